//! What goes where: the rules of docker's `cp`, which are those of cp(1) made exact. Pure.

/// What is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its last component; empty when what is in it is meant (`dir/.`, `/`).
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
}

impl Source {
    /// The source that a path means.
    pub fn of(path: &str, is_dir: bool) -> Self {
        let name = match path.trim_end_matches('/').rsplit('/').next() {
            _ if path.ends_with("/.") || path == "." => "",
            None | Some("." | "..") => "",
            Some(name) => name,
        };
        Self {
            name: name.to_owned(),
            is_dir,
        }
    }
}

/// What is at the destination already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum There {
    /// A directory.
    Directory,
    /// Something else.
    File,
    /// Nothing.
    Nothing,
}

/// Why something cannot go somewhere. The messages are docker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// A directory onto a file.
    #[error("cannot copy directory")]
    DirectoryOntoFile,
    /// A file is written as if it were a directory.
    #[error("not a directory")]
    NotDirectory,
    /// A file into a directory that is not there.
    #[error("no such directory")]
    NoDirectory,
}

/// Whether a path says that it is a directory.
pub fn says_directory(path: &str) -> bool {
    path.ends_with('/') || path.ends_with("/.") || path == "."
}

/// The directory that the source goes into, which must be there, and its name in it.
pub fn rule(source: &Source, destination: &str, there: There) -> Result<(String, String), Wrong> {
    match there {
        There::Directory => return Ok((destination.to_owned(), source.name.clone())),
        There::File if source.is_dir => return Err(Wrong::DirectoryOntoFile),
        There::File if says_directory(destination) => return Err(Wrong::NotDirectory),
        There::Nothing if !source.is_dir && says_directory(destination) => {
            return Err(Wrong::NoDirectory);
        }
        _ => {}
    }
    let destination = destination.strip_suffix("/.").unwrap_or(destination);
    let (dir, name) = match destination.trim_end_matches('/').rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((dir, name)) => (dir, name),
        None => (".", destination),
    };
    Ok((dir.to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_and_what_is_there_decide() {
        use There::{Directory, File, Nothing};
        for (source, is_dir, destination, there, expected) in [
            ("/a/f", false, "/there", Directory, Ok(("/there", "f"))),
            ("/a/f", false, "/x/name", Nothing, Ok(("/x", "name"))),
            ("/a/f", false, "/name", File, Ok(("/", "name"))),
            ("/a/f", false, "/x/", Nothing, Err(Wrong::NoDirectory)),
            ("/a/f", false, "/x/", File, Err(Wrong::NotDirectory)),
            ("/a/d", true, "/x", File, Err(Wrong::DirectoryOntoFile)),
            ("/a/d", true, "/x/new", Nothing, Ok(("/x", "new"))),
            ("/a/d", true, "/x/new/", Nothing, Ok(("/x", "new"))),
            ("/a/d/", true, "/x", Directory, Ok(("/x", "d"))),
            ("/a/d/.", true, "/x", Directory, Ok(("/x", ""))),
            ("/a/d/.", true, "/x/new", Nothing, Ok(("/x", "new"))),
            ("/", true, "/x", Directory, Ok(("/x", ""))),
            ("/a/..", true, "/x", Directory, Ok(("/x", ""))),
        ] {
            let found = rule(&Source::of(source, is_dir), destination, there);
            let expected = expected.map(|(dir, name)| (dir.to_owned(), name.to_owned()));
            assert_eq!(found, expected, "{source} {destination}");
        }
    }
}
