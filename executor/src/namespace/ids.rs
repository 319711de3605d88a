//! The ids that a user was granted in /etc/subuid and /etc/subgid, and the map of a namespace made
//! of them. Knows no system call.

/// Consecutive ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first, outside.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// The ranges of `text` that belong to the user, who may be named or numbered.
pub(super) fn granted(text: &str, name: Option<&str>, number: u32) -> Vec<Range> {
    let number = number.to_string();
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let owner = fields.next()?;
            if Some(owner) != name && owner != number {
                return None;
            }
            let first: u32 = fields.next()?.parse().ok()?;
            let count: u32 = fields.next()?.parse().ok()?;
            (count > 0 && first.checked_add(count).is_some()).then_some(Range { first, count })
        })
        .collect()
}

/// The name of a user in the text of /etc/passwd.
pub(super) fn name(passwd: &str, uid: u32) -> Option<&str> {
    let uid = uid.to_string();
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then_some(name)
    })
}

/// The arguments for newuidmap or newgidmap after the process id: the own id is root inside, and
/// the granted ones follow from 1.
pub(super) fn map(own: u32, ranges: &[Range]) -> Vec<String> {
    let mut inside = 1;
    let mut numbers = vec![0, own, 1];
    for range in ranges {
        numbers.extend([inside, range.first, range.count]);
        inside += range.count;
    }
    numbers.iter().map(u32::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_by_name_or_number() {
        let text =
            "ann:100000:65536\n1000:300000:10\nbob:1:1\nann:bad:1\nann:5\nann:4294967295:9\n";
        let range = |first, count| Range { first, count };
        let both = granted(text, Some("ann"), 1000);
        assert_eq!(both, [range(100_000, 65536), range(300_000, 10)]);
        assert_eq!(granted(text, None, 1000), [range(300_000, 10)]);
        assert!(granted(text, Some("carl"), 7).is_empty());
        let map = map(1000, &both).join(" ");
        assert_eq!(map, "0 1000 1 1 100000 65536 65537 300000 10");
    }

    #[test]
    fn names_come_from_passwd() {
        let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(name(passwd, 1000), Some("ann"));
        assert_eq!(name(passwd, 5), None);
    }
}
