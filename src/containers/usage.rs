//! What a container uses. Its control group says so, as far as one counts; what none counts is added up
//! over its processes, as /proc has it. See cgroup-v2.rst and proc(5).

use std::path::Path;

/// What processes use.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// Time on processors, in seconds.
    pub cpu_seconds: f64,
    /// Bytes of memory that are theirs; what several of them share counts once.
    pub memory: u64,
    /// Bytes that came over their network, loopback aside.
    pub net_received: u64,
    /// Bytes that went out over it.
    pub net_sent: u64,
    /// Bytes read from disks.
    pub block_read: u64,
    /// Bytes written to disks.
    pub block_written: u64,
    /// How many threads there are.
    pub pids: u64,
}

/// What the container of that id uses, whose processes these are.
pub fn read(id: &str, pids: &[i32]) -> Reading {
    let mut reading = of_processes(pids);
    let first = pids.first().copied().unwrap_or(0);
    let groups = std::fs::read_to_string(format!("/proc/{first}/cgroup")).unwrap_or_default();
    if let Some(group) = own_group(&groups, id) {
        counted(&Path::new("/sys/fs/cgroup").join(group), &mut reading);
    }
    reading
}

/// The group named after a container, from the text of /proc/PID/cgroup of one of its processes, which
/// may be in a group below.
fn own_group<'t>(text: &'t str, id: &str) -> Option<&'t str> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let end = path.find(id)? + id.len();
    path.get(..end)
}

/// Takes over what a control group counts. Of memory, what can be had back at once is no use: files
/// that were read or written a while ago.
fn counted(group: &Path, reading: &mut Reading) {
    let text = |name: &str| std::fs::read_to_string(group.join(name)).unwrap_or_default();
    let number = |name: &str| text(name).trim().parse::<u64>().ok();
    if let Some(memory) = number("memory.current") {
        let idle = bytes(&text("memory.stat"), "inactive_file ");
        reading.memory = memory.checked_sub(idle).unwrap_or(memory);
    }
    if let Some(pids) = number("pids.current") {
        reading.pids = pids;
    }
    let used = bytes(&text("cpu.stat"), "usage_usec ");
    if used > 0 {
        reading.cpu_seconds = used as f64 / 1e6;
    }
    if group.join("io.stat").exists() {
        let io = text("io.stat");
        let sum = |name: &str| {
            io.split_whitespace()
                .filter_map(|word| word.strip_prefix(name)?.parse::<u64>().ok())
                .sum()
        };
        (reading.block_read, reading.block_written) = (sum("rbytes="), sum("wbytes="));
    }
}

/// What these processes use. One that has ended counts for nothing.
fn of_processes(pids: &[i32]) -> Reading {
    let mut reading = Reading::default();
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    for (at, pid) in pids.iter().enumerate() {
        let dir = Path::new("/proc").join(pid.to_string());
        let text = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap_or_default();
        let stat = text("stat");
        // The name, in parentheses, may have anything in it.
        let fields: Vec<u64> = stat
            .rsplit_once(')')
            .map_or("", |(_, rest)| rest)
            .split_whitespace()
            .map(|field| field.parse().unwrap_or(0))
            .collect();
        let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0);
        reading.cpu_seconds += (field(14) + field(15)) as f64 / ticks;
        reading.pids += field(20);
        reading.memory += kilobytes(&text("smaps_rollup"), "Pss:")
            .or_else(|| kilobytes(&text("status"), "VmRSS:"))
            .unwrap_or(0);
        let io = text("io");
        reading.block_read += bytes(&io, "read_bytes:");
        reading.block_written += bytes(&io, "write_bytes:");
        if at == 0 {
            (reading.net_received, reading.net_sent) = network(&text("net/dev"));
        }
    }
    reading
}

/// Bytes of memory of this machine.
pub fn memory_of_machine() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    kilobytes(&text, "MemTotal:").unwrap_or(0)
}

fn line<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(name))
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let number = line(text, name)?.split_whitespace().next()?;
    Some(number.parse::<u64>().ok()? * 1024)
}

fn bytes(text: &str, name: &str) -> u64 {
    line(text, name)
        .and_then(|rest| rest.trim().parse().ok())
        .unwrap_or(0)
}

/// Bytes received and sent, loopback aside.
fn network(text: &str) -> (u64, u64) {
    let mut all = (0, 0);
    for line in text.lines() {
        let Some((name, counters)) = line.split_once(':') else {
            continue;
        };
        if name.trim() == "lo" {
            continue;
        }
        let counters: Vec<u64> = counters
            .split_whitespace()
            .map(|counter| counter.parse().unwrap_or(0))
            .collect();
        all.0 += counters.first().copied().unwrap_or(0);
        all.1 += counters.get(8).copied().unwrap_or(0);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let reading = read("none", &[i32::try_from(std::process::id()).unwrap()]);
        assert!(reading.memory > 0 && reading.pids > 0);
        assert_eq!(read("none", &[0]), Reading::default());
    }

    #[test]
    fn what_a_group_counts_is_what_is_used() {
        assert_eq!(
            own_group("3:pids:/a\n0::/rbuild/abc/below\n", "abc"),
            Some("rbuild/abc")
        );
        assert_eq!(own_group("0::/user/session\n", "abc"), None);
        assert_eq!(own_group("3:pids:/rbuild/abc\n", "abc"), None);

        let group = tempfile::tempdir().unwrap();
        let mut reading = Reading {
            memory: 5,
            pids: 6,
            cpu_seconds: 7.0,
            block_read: 8,
            ..Reading::default()
        };
        let before = reading.clone();
        counted(group.path(), &mut reading);
        assert_eq!(reading, before, "nothing is counted there");
        for (file, text) in [
            ("memory.current", "1000\n"),
            ("memory.stat", "anon 3\ninactive_file 400\n"),
            ("pids.current", "3\n"),
            ("cpu.stat", "usage_usec 1500000\nuser_usec 1\n"),
            (
                "io.stat",
                "8:0 rbytes=10 wbytes=20 rios=1\n8:16 rbytes=1 wbytes=2\n",
            ),
        ] {
            std::fs::write(group.path().join(file), text).unwrap();
        }
        counted(group.path(), &mut reading);
        assert_eq!((reading.memory, reading.pids), (600, 3));
        assert_eq!((reading.block_read, reading.block_written), (11, 22));
        assert!((reading.cpu_seconds - 1.5).abs() < f64::EPSILON);
    }

    #[test]
    fn loopback_is_no_network() {
        let text =
            "Inter-| x\n face |bytes\n    lo: 5 0 0 0 0 0 0 0 6 0\n  eth0: 7 1 0 0 0 0 0 0 8 1\n";
        assert_eq!(network(text), (7, 8));
    }
}
