//! Who a file belongs to: `--chown` and USER, looked up in a snapshot's own passwd and group.
//!
//! Forgiving on purpose, as the reference is: a user that is not there is 0, a group that is not
//! there leaves the user's own. Knows nothing of the host's users.

use std::io::Read;

use cache::View;
use cache::snapshot::Resolved;
use cache::{Entry, Kind};

use super::error::OpError;

/// Largest passwd or group file that is read.
const MAX_BYTES: u64 = 1 << 20;

/// A user and a group by number, as the container sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// One half of `user:group`.
enum Half<'a> {
    Id(u32),
    Name(&'a str),
}

impl<'a> Half<'a> {
    /// A number is one that fits 31 bits; everything else is a name. Root is 0
    /// everywhere, and so is nothing at all.
    fn parse(text: &'a str) -> Self {
        if matches!(text, "" | "root") {
            return Self::Id(0);
        }
        match text.parse::<i32>() {
            Ok(id) if id >= 0 => Self::Id(id as u32),
            _ => Self::Name(text),
        }
    }
}

/// Looks up `user[:group]`; `target` is none for an empty root, where a name cannot be looked up.
pub fn look_up(text: &str, target: Option<&View>) -> Result<Owner, OpError> {
    if text.is_empty() {
        return Ok(Owner::default());
    }
    let read = |path: &'static str| match target {
        Some(view) => Ok(read_small(view, path.as_bytes())?.unwrap_or_default()),
        None => Err(OpError::NoUserDatabase {
            owner: text.to_owned(),
        }),
    };
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let mut owner = match Half::parse(user) {
        Half::Id(id) => Owner { uid: id, gid: id },
        Half::Name(name) => user_named(&read("etc/passwd")?, name).unwrap_or_default(),
    };
    match group.map(Half::parse) {
        None => {}
        Some(Half::Id(id)) => owner.gid = id,
        Some(Half::Name(name)) => {
            if let Some(gid) = group_named(&read("etc/group")?, name) {
                owner.gid = gid;
            }
        }
    }
    Ok(owner)
}

/// The first entry of a passwd file with this name. See passwd(5).
fn user_named(passwd: &[u8], name: &str) -> Option<Owner> {
    let fields = line_of(passwd, name)?;
    Some(Owner {
        uid: number(fields.get(2)),
        gid: number(fields.get(3)),
    })
}

/// The first entry of a group file with this name. See group(5).
fn group_named(group: &[u8], name: &str) -> Option<u32> {
    Some(number(line_of(group, name)?.get(2)))
}

fn line_of<'a>(file: &'a [u8], name: &str) -> Option<Vec<&'a [u8]>> {
    file.split(|&byte| byte == b'\n')
        .map(|line| line.trim_ascii().split(|&byte| byte == b':').collect())
        .find(|fields: &Vec<&[u8]>| fields.first() == Some(&name.as_bytes()))
}

fn number(field: Option<&&[u8]>) -> u32 {
    field
        .and_then(|field| std::str::from_utf8(field).ok())
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// The content of a small regular file of a snapshot; none if there is no such file. Links are
/// followed inside the root.
fn read_small(view: &View, path: &[u8]) -> Result<Option<Vec<u8>>, OpError> {
    let Resolved::Entry(Entry {
        path,
        kind: Kind::File { size, .. },
        ..
    }) = view.resolve(path, true)?
    else {
        return Ok(None);
    };
    let file_too_large = || OpError::UserDatabaseTooLarge {
        path: String::from_utf8_lossy(&path).into_owned(),
        limit: MAX_BYTES,
    };
    if size > MAX_BYTES {
        return Err(file_too_large());
    }
    let Some(file) = view.open(&path)? else {
        return Ok(None);
    };
    let mut bytes = Vec::with_capacity(size as usize);
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| OpError::io("read", &path, source))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(file_too_large());
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] =
        b"root:x:0:0::/root:/bin/sh\n\ngames:x:5:60:games\nbroken\nodd:x:a:b\ngames:x:9:9\n";
    const GROUP: &[u8] = b"root:x:0:\nstaff:x:50:games\n";

    #[test]
    fn names_are_found_once_and_bad_lines_are_harmless() {
        assert_eq!(user_named(PASSWD, "games"), Some(Owner { uid: 5, gid: 60 }));
        assert_eq!(user_named(PASSWD, "odd"), Some(Owner { uid: 0, gid: 0 }));
        assert_eq!(user_named(PASSWD, "broken"), Some(Owner::default()));
        assert_eq!(user_named(PASSWD, "nobody"), None);
        assert_eq!(group_named(GROUP, "staff"), Some(50));
        assert_eq!(group_named(GROUP, "wheel"), None);
    }

    #[test]
    fn numbers_need_no_files() {
        for (text, uid, gid) in [
            ("", 0, 0),
            ("5", 5, 5),
            ("5:7", 5, 7),
            ("1000:", 1000, 0),
            (":7", 0, 7),
            ("root", 0, 0),
            ("root:7", 0, 7),
            ("7:root", 7, 0),
            ("2147483647", 2_147_483_647, 2_147_483_647),
        ] {
            assert_eq!(look_up(text, None).unwrap(), Owner { uid, gid }, "{text}");
        }
    }

    #[test]
    fn names_on_an_empty_root_are_an_error() {
        for text in ["games", "games:5", "5:staff", "4294967294"] {
            assert!(
                matches!(look_up(text, None), Err(OpError::NoUserDatabase { .. })),
                "{text}"
            );
        }
    }
}
