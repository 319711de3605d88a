/* What a process in a container may ask of the kernel: one line a question, with the error number
 * it got. Argument: the name of an abstract socket that somebody listens on outside. */
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static void say(const char *what, long result) {
    printf("%s %d\n", what, result < 0 ? errno : 0);
}

int main(int argc, char **argv) {
    char space[256] = {0};
    say("read", syscall(SYS_read, 0, space, 0));
    say("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
    say("unix", socket(AF_UNIX, SOCK_STREAM, 0));
    say("clone3", syscall(SYS_clone3, space, 8));
    long child = syscall(SYS_clone, CLONE_NEWUSER | 17, 0, 0, 0, 0);
    if (child == 0) _exit(0);
    say("userns", child);
    say("unshare", unshare(CLONE_NEWUSER));
    say("keyctl", syscall(SYS_keyctl, 0, 0, 0, 0, 0));
    say("bpf", syscall(SYS_bpf, 0, space, 8));
    say("io_uring", syscall(SYS_io_uring_setup, 1, space));
    say("personality", personality(0xffffffff));
    say("no_randomize", personality(ADDR_NO_RANDOMIZE));
    say("unknown", syscall(5000));
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t length = argc > 1 ? strlen(argv[1]) : 0;
    memcpy(to.sun_path + 1, argc > 1 ? argv[1] : "", length);
    say("abstract", connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&to,
                            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length)));
    return 0;
}
