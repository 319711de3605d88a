//! Who a process runs as: `name|uid[:group|gid]` against the container's passwd and group files.
//! Knows no system call; the files come as text.

use super::error::ContainerError;

/// The ids of a process, and where its user lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    /// Those of the groups that somebody asked for; the others are what the files of an image say.
    pub(crate) asked: Vec<u32>,
}

/// Resolves `user`, and `more` groups. `read` gives /etc/passwd and /etc/group; it is not called
/// for a user and a group that are numbers.
///
/// The primary group is always among the supplementary ones: else a process could shed by setgid(2)
/// a group that files deny something to.
pub(crate) fn identify(
    user: &str,
    more: &[String],
    read: &mut dyn FnMut(&str) -> Result<String, ContainerError>,
) -> Result<Identity, ContainerError> {
    let (name, group) = match user.split_once(':') {
        Some((name, group)) => (name, Some(group).filter(|group| !group.is_empty())),
        None => (user, None),
    };
    let mut identity = match id(name).zip(group.and_then(id)) {
        Some((uid, gid)) => Identity {
            uid,
            gid,
            groups: Vec::new(),
            asked: Vec::new(),
        },
        // an image need not know its root
        None if user.is_empty() => look_up("0", None, read).unwrap_or_else(|_| Identity {
            uid: 0,
            gid: 0,
            groups: Vec::new(),
            asked: Vec::new(),
        }),
        None => look_up(name, group, read)?,
    };
    for name in more {
        let gid = match number(name) {
            Some(gid) => gid,
            None => find_group(name, &read("/etc/group")?)?,
        };
        identity.groups.push(gid);
        identity.asked.push(gid);
    }
    if !identity.groups.contains(&identity.gid) {
        identity.groups.insert(0, identity.gid);
    }
    for id in [identity.uid, identity.gid].iter().chain(&identity.groups) {
        if *id == u32::MAX {
            return Err(ContainerError::Invalid {
                why: format!("{id} is no id: the kernel takes it for none"),
            });
        }
    }
    Ok(identity)
}

/// An id that needs no file: digits, or the name that every system has.
fn id(text: &str) -> Option<u32> {
    if text == "root" {
        return Some(0);
    }
    number(text)
}

fn look_up(
    user: &str,
    group: Option<&str>,
    read: &mut dyn FnMut(&str) -> Result<String, ContainerError>,
) -> Result<Identity, ContainerError> {
    let passwd = read("/etc/passwd")?;
    let wanted = if user.is_empty() { "0" } else { user };
    let wanted_id = number(wanted);
    let entry = entries(&passwd).find(|entry| match wanted_id {
        Some(_) => entry.get(2).and_then(|uid| number(uid)) == wanted_id,
        None => entry.first() == Some(&wanted),
    });
    let field = |index: usize| entry.as_ref().and_then(|entry| number(entry.get(index)?));
    let uid = match field(2).or(wanted_id) {
        Some(uid) => uid,
        None => {
            return Err(ContainerError::UnknownUser {
                name: user.to_owned(),
            });
        }
    };
    let mut identity = Identity {
        uid,
        gid: field(3).unwrap_or(0),
        groups: Vec::new(),
        asked: Vec::new(),
    };
    within_range(identity.uid)?;
    if let Some(group) = group {
        identity.gid = match number(group) {
            Some(gid) => within_range(gid)?,
            None => find_group(group, &read("/etc/group")?)?,
        };
    } else if let Some(name) = entry.as_ref().and_then(|entry| entry.first()) {
        let text = read("/etc/group")?;
        let member = |entry: &Vec<&str>| {
            entry
                .get(3)
                .is_some_and(|members| members.split(',').any(|member| member == *name))
        };
        identity.groups = entries(&text)
            .filter(member)
            .filter_map(|entry| number(entry.get(2)?))
            .collect();
    }
    Ok(identity)
}

/// Ids beyond are only taken where no file is asked.
fn within_range(id: u32) -> Result<u32, ContainerError> {
    if i32::try_from(id).is_err() {
        return Err(ContainerError::Invalid {
            why: "uids and gids must be in range 0-2147483647".to_owned(),
        });
    }
    Ok(id)
}

/// The home directory of `uid`; `/` when it has none.
pub(crate) fn home(uid: u32, passwd: &str) -> String {
    entries(passwd)
        .find(|entry| entry.get(2).and_then(|text| number(text)) == Some(uid))
        .and_then(|entry| entry.get(5).map(|home| (*home).to_owned()))
        .filter(|home| !home.is_empty())
        .unwrap_or_else(|| "/".to_owned())
}

fn find_group(name: &str, text: &str) -> Result<u32, ContainerError> {
    entries(text)
        .find(|entry| entry.first() == Some(&name))
        .and_then(|entry| number(entry.get(2)?))
        .ok_or_else(|| ContainerError::UnknownGroup {
            name: name.to_owned(),
        })
}

fn entries(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split(':').collect())
}

/// Digits alone: `+1` and ` 1` are names.
fn number(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n# a comment\n\nbroken\napp:x:1000:1001::/home/app:/bin/sh\nghost:x:7:8:::\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,app\nstaff:x:50:other,app\napps:x:1001:\n";

    fn ids(user: &str, more: &[&str]) -> Result<(u32, u32, Vec<u32>), ContainerError> {
        let more: Vec<String> = more.iter().map(|&name| name.to_owned()).collect();
        let mut read =
            |path: &str| Ok(if path == "/etc/passwd" { PASSWD } else { GROUP }.to_owned());
        identify(user, &more, &mut read).map(|who| (who.uid, who.gid, who.groups))
    }

    #[test]
    fn users_are_found_as_the_reference_does() {
        let cases: [(&str, u32, u32, &[u32]); 13] = [
            ("", 0, 0, &[0, 10]),
            ("root", 0, 0, &[0, 10]),
            ("0", 0, 0, &[0, 10]),
            ("00", 0, 0, &[0, 10]),
            ("root:root", 0, 0, &[0]),
            ("app", 1000, 1001, &[1001, 10, 50]),
            ("1000", 1000, 1001, &[1001, 10, 50]),
            ("1000:1000", 1000, 1000, &[1000]),
            ("1000:staff", 1000, 50, &[50]),
            ("app:staff", 1000, 50, &[50]),
            ("app:77", 1000, 77, &[77]),
            ("4242", 4242, 0, &[0]),
            (":staff", 0, 50, &[50]),
        ];
        for (user, uid, gid, groups) in cases {
            assert_eq!(ids(user, &[]), Ok((uid, gid, groups.to_vec())), "{user}");
        }
        assert_eq!(
            ids("5:6", &["staff", "9"]),
            Ok((5, 6, vec![6, 50, 9])),
            "groups that were asked for"
        );
        assert_eq!(ids("5:6", &["6"]), Ok((5, 6, vec![6])), "only once");
    }

    #[test]
    fn numbers_alone_read_no_file_and_root_needs_none() {
        let mut read =
            |_: &str| -> Result<String, ContainerError> { Err(ContainerError::LauncherEnded) };
        assert!(identify("5:6", &["7".to_owned()], &mut read).is_ok());
        assert!(identify("", &[], &mut read).is_ok());
        assert!(identify("5", &[], &mut read).is_err());
    }

    #[test]
    fn the_unknown_is_named() {
        let unknown = |name: &str| ContainerError::UnknownUser {
            name: name.to_owned(),
        };
        assert_eq!(ids("nobody", &[]), Err(unknown("nobody")));
        assert_eq!(ids("-1", &[]), Err(unknown("-1")));
        assert_eq!(ids("99999999999", &[]), Err(unknown("99999999999")));
        assert!(matches!(
            ids("app:none", &[]),
            Err(ContainerError::UnknownGroup { .. })
        ));
        for user in ["2147483648", "app:2147483648"] {
            let refused = ids(user, &[]).unwrap_err().to_string();
            assert!(refused.contains("in range 0-2147483647"), "{refused}");
        }
        assert_eq!(ids("2147483648:1", &[]), Ok((2_147_483_648, 1, vec![1])));
        assert!(matches!(
            ids("4294967295:1", &[]),
            Err(ContainerError::Invalid { .. })
        ));
    }

    #[test]
    fn homes() {
        assert_eq!(home(1000, PASSWD), "/home/app");
        assert_eq!(home(7, PASSWD), "/");
        assert_eq!(home(4242, PASSWD), "/");
    }
}
