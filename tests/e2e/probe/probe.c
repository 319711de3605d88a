/* What a program finds in a container: one line for each thing, a word and its value. Argument: the
 * name of an abstract socket that somebody listens on outside. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

extern char **environ;

/* The error of a call, or "done". */
static const char *error(long result) {
    return result < 0 ? strerrorname_np(errno) : "done";
}

/* Opens and reads one byte: "bytes", "nothing", or the error. */
static const char *reads(const char *path) {
    char byte;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return error(fd);
    long got = read(fd, &byte, 1);
    close(fd);
    return got < 0 ? error(got) : got ? "bytes" : "nothing";
}

static const char *writes(const char *path) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) close(fd);
    return error(fd);
}

/* Names in a directory, sorted, without those of `fd`. */
static void names(const char *word, const char *path, int digits_only) {
    struct dirent **found;
    int count = scandir(path, &found, NULL, alphasort);
    printf("%s", word);
    for (int at = 0; at < count; at++) {
        const char *name = found[at]->d_name;
        int digits = name[0] >= '0' && name[0] <= '9';
        /* scandir's own descriptor is closed again: its link is broken by now */
        char link[300];
        struct stat meta;
        snprintf(link, sizeof link, "%s/%s", path, name);
        if (name[0] == '.' || (digits_only && !digits) || lstat(link, &meta) < 0) continue;
        printf(" %s", name);
    }
    printf("\n");
}

/* Makes a device node and opens it. */
static void device(const char *word, mode_t kind, dev_t number) {
    const char *path = "/tmp/probe-node";
    unlink(path);
    int made = mknod(path, kind | 0666, number);
    printf("%s %s\n", word, made < 0 ? error(made) : reads(path));
    unlink(path);
}

static void limit(const char *word, int which) {
    struct rlimit limit;
    getrlimit(which, &limit);
    printf("limit-%s %ld\n", word, limit.rlim_cur == RLIM_INFINITY ? -1L : (long)limit.rlim_cur);
}

int main(int argc, char **argv) {
    char text[4096];
    for (char **variable = environ; *variable; variable++)
        printf("env %.*s\n", (int)strcspn(*variable, "="), *variable);
    names("fds", "/proc/self/fd", 1);
    printf("cwd %s\n", getcwd(text, sizeof text) ? text : error(-1));
    printf("pid %d\nparent %d\nsession %d\n", getpid(), getppid(), getsid(0));
    names("processes", "/proc", 1);
    printf("terminal %s\n", reads("/dev/tty"));
    mode_t mask = umask(0);
    printf("umask %03o\nnice %d\n", mask, getpriority(PRIO_PROCESS, 0));
    limit("core", RLIMIT_CORE);
    limit("files", RLIMIT_NOFILE);
    limit("stack", RLIMIT_STACK);
    limit("cpu", RLIMIT_CPU);
    limit("size", RLIMIT_FSIZE);
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(text, sizeof text, file))
        if (!strncmp(text, "Sig", 3) || !strncmp(text, "Shd", 3) || !strncmp(text, "Cap", 3) ||
            !strncmp(text, "NoNewPrivs", 10) || !strncmp(text, "Seccomp:", 8)) {
            char word[32], value[64];
            if (sscanf(text, "%31[^:]: %63s", word, value) == 2) printf("%s %s\n", word, value);
        }
    file = fopen("/proc/self/oom_score_adj", "re");
    if (file && fgets(text, sizeof text, file)) printf("oom %s", text);
    const char *masked[] = { "kcore", "keys", "timer_list", "acpi", "scsi", "latency_stats" };
    for (unsigned at = 0; at < sizeof masked / sizeof *masked; at++) {
        snprintf(text, sizeof text, "/proc/%s", masked[at]);
        printf("proc-%s %s\n", masked[at], reads(text));
    }
    names("firmware", "/sys/firmware", 0);
    printf("sysctl %s\n", writes("/proc/sys/kernel/core_pattern"));
    printf("sysrq %s\n", writes("/proc/sysrq-trigger"));
    printf("sysfs %s\n", writes("/sys/kernel/mm/transparent_hugepage/enabled"));
    names("dev", "/dev", 0);
    device("disk", S_IFBLK, makedev(8, 0));
    device("memory", S_IFCHR, makedev(1, 1));
    device("kmsg", S_IFCHR, makedev(1, 11));
    /* Mounts where device nodes work: those of single nodes in /dev, and terminals. What is /dev/null
     * itself, wherever it is, covers something. */
    file = fopen("/proc/self/mountinfo", "re");
    printf("nodes");
    while (file && fgets(text, sizeof text, file)) {
        char root[1024], target[2048], options[512];
        if (sscanf(text, "%*d %*d %*s %1023s %2047s %511s", root, target, options) == 3 &&
            !strstr(options, "nodev") && strcmp(root, "/null"))
            printf(" %s", target);
    }
    printf("\nmount %s\n", error(mount("none", "/tmp", "tmpfs", 0, NULL)));
    printf("userns %s\n", error(unshare(CLONE_NEWUSER)));
    printf("keyring %s\n", error(syscall(SYS_keyctl, 0, -3, 1)));
    printf("hostname %s\n", error(sethostname("x", 1)));
    printf("kexec %s\n", error(syscall(SYS_kexec_load, 0, 0, 0, 0)));
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t length = argc > 1 ? strlen(argv[1]) : 0;
    memcpy(to.sun_path + 1, argc > 1 ? argv[1] : "", length);
    printf("abstract %s\n",
           error(connect(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), (struct sockaddr *)&to,
                         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length))));
    return 0;
}
