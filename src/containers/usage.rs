//! What the processes of a container use, as /proc says: it needs no control group, so it is the same
//! for root and for ordinary users. See proc(5).

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

/// What these processes use. One that has ended counts for nothing.
pub fn read(pids: &[i32]) -> Reading {
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
        let reading = read(&[i32::try_from(std::process::id()).unwrap()]);
        assert!(reading.memory > 0 && reading.pids > 0);
        assert_eq!(read(&[0]), Reading::default());
    }

    #[test]
    fn loopback_is_no_network() {
        let text =
            "Inter-| x\n face |bytes\n    lo: 5 0 0 0 0 0 0 0 6 0\n  eth0: 7 1 0 0 0 0 0 0 8 1\n";
        assert_eq!(network(text), (7, 8));
    }
}
