# Makes of what tests/interop/probe says under docker what it says under rbuild: sed -E. Every rule is
# explained in docs/runtime.md, "The same inside".

# no mount has device nodes, and those of /dev are single mounts of the host's
s#^(mount (/|/etc/[a-z.]+|/namespaces|/probe): [a-z0-9]+ r[wo]),relatime( master)?$#\1,nodev,relatime#
s#^mount /dev: tmpfs rw,nosuid rw,#mount /dev: tmpfs rw,nosuid,nodev,relatime rw,#
s#^disk and memory again done$#disk and memory again refused#
$a\
mount /dev/full: devtmpfs rw,nosuid,noexec,relatime\
mount /dev/null: devtmpfs rw,nosuid,noexec,relatime\
mount /dev/random: devtmpfs rw,nosuid,noexec,relatime\
mount /dev/tty: devtmpfs rw,nosuid,noexec,relatime\
mount /dev/urandom: devtmpfs rw,nosuid,noexec,relatime\
mount /dev/zero: devtmpfs rw,nosuid,noexec,relatime\
mount /proc/interrupts: devtmpfs rw,relatime

# what is hidden is behind one empty directory or the host's null device
s#^hidden /proc/interrupts: can be read$#hidden /proc/interrupts: 0 bytes#
s#^(mount (/proc/(acpi|asound|scsi)|/sys/(firmware|devices/virtual/powercap)): tmpfs ro),relatime ro$#\1,nosuid,nodev,noexec,relatime rw,size=4k,mode=755#
s#^(mount /proc/(kcore|keys|latency_stats|sched_debug|timer_list|timer_stats)): tmpfs rw,nosuid rw,size=65536k,mode=755$#\1: devtmpfs rw,relatime#
s#^(mount /sys: sysfs ro.*) ro$#\1 rw#

# control groups of version 1 are not shown, and the namespace of groups is its own
/^mount \/sys\/fs\/cgroup\/[a-z,_]+: cgroup /d
s#^(mount /sys/fs/cgroup: tmpfs) rw,nosuid,nodev,noexec,relatime rw,mode=755$#\1 ro,nosuid,nodev,noexec,relatime rw,size=4k,mode=755#
s#^namespace cgroup: the host's$#namespace cgroup: its own#

# docker gives what its daemon has
s#^(limit Max open files:) [0-9]+ #\1 1024 #
