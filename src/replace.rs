//! Replaces the text of a user's file in one piece: whoever reads it sees the old or the new one.
//!
//! Mode, owner and extended attributes stay, a symbolic link is followed, and what is no ordinary
//! file of one name, or is not what was read, is left alone.

use std::ffi::{CStr, CString, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, Gid, Mode, OFlags, Uid, XattrFlags};

use crate::report::{Class, Failure};

/// Writes `new` in the place of `old`.
pub fn replace(path: &Path, old: &str, new: &str) -> Result<(), Failure> {
    let refused = |reason: String| {
        Failure::new(
            Class::Yours,
            format!("{} is left as it is: {reason}", path.display()),
        )
    };
    let failed = |what: &str, error: &io::Error| {
        let mut failure = Failure::from_error(Class::System, error);
        failure.causes.insert(0, failure.title);
        failure.title = format!("{} is left as it is: {what}", path.display());
        failure
    };
    let real = std::fs::canonicalize(path).map_err(|error| failed("it cannot be found", &error))?;
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(&real);
    let mut file = file.map_err(|error| failed("it cannot be read", &error))?;
    let found = file
        .metadata()
        .map_err(|error| failed("it cannot be read", &error))?;
    if !found.is_file() {
        return Err(refused("it is no regular file".to_owned()));
    }
    if found.nlink() > 1 {
        let names = found.nlink() - 1;
        return Err(refused(format!(
            "it has {names} more {}, which would keep the old text",
            if names == 1 { "name" } else { "names" }
        ))
        .help("--diff shows what would change"));
    }
    if rustix::fs::access(&real, Access::WRITE_OK).is_err() {
        return Err(refused("it may not be written".to_owned()));
    }
    let mut now = Vec::with_capacity(old.len());
    file.read_to_end(&mut now)
        .map_err(|error| failed("it cannot be read", &error))?;
    if now != old.as_bytes() {
        return Err(refused("it was changed meanwhile".to_owned()).help("check it again"));
    }
    let other =
        Beside::new(&real).map_err(|error| failed("no file can be made beside it", &error))?;
    other
        .write(new)
        .map_err(|error| failed("the new text cannot be written", &error))?;
    other
        .take_after(&file, &found)
        .map_err(|error| failed("its mode, owner and attributes cannot be kept", &error))?;
    other
        .rename(&real)
        .map_err(|error| failed("it cannot be replaced", &error))
}

/// A new file in the same directory, which goes again unless it gets the other's name.
struct Beside {
    file: File,
    path: Option<PathBuf>,
}

impl Beside {
    fn new(real: &Path) -> io::Result<Self> {
        let name = real.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mut number = std::process::id();
        loop {
            let mut hidden = OsString::from(".");
            hidden.push(name);
            hidden.push(format!(".{number}"));
            let path = real.with_file_name(hidden);
            let file = File::options()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path);
            match file {
                // What an earlier process of this number left.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    number = number.wrapping_add(1);
                }
                file => {
                    return Ok(Self {
                        file: file?,
                        path: Some(path),
                    });
                }
            }
        }
    }

    fn write(&self, text: &str) -> io::Result<()> {
        (&self.file).write_all(text.as_bytes())
    }

    /// Makes it look like the other one.
    fn take_after(&self, file: &File, found: &Metadata) -> io::Result<()> {
        let own = self.file.metadata()?;
        if (own.uid(), own.gid()) != (found.uid(), found.gid()) {
            let (owner, group) = (Uid::from_raw(found.uid()), Gid::from_raw(found.gid()));
            rustix::fs::fchown(&self.file, Some(owner), Some(group))?;
        }
        rustix::fs::fchmod(&self.file, Mode::from_raw_mode(found.mode()))?;
        for name in attributes(file)? {
            let value = value(file, &name)?;
            // Labels of the system's own are given to a new file by the system.
            let set = rustix::fs::fsetxattr(&self.file, &name, &value, XattrFlags::empty());
            if !name.to_bytes().starts_with(b"security.") {
                set?;
            }
        }
        Ok(())
    }

    fn rename(mut self, real: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        if let Some(path) = &self.path {
            std::fs::rename(path, real)?;
        }
        self.path = None;
        // The text is safe; that the name is too is no reason to fail.
        let _ = real.parent().map(|dir| File::open(dir)?.sync_all());
        Ok(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Names of a file's extended attributes; none where there are none.
fn attributes(file: &File) -> io::Result<Vec<CString>> {
    let mut names = vec![0; 64 << 10];
    let length = match rustix::fs::flistxattr(file, names.as_mut_slice()) {
        Err(rustix::io::Errno::OPNOTSUPP) => 0,
        length => length?,
    };
    let names = names[..length].split_inclusive(|byte| *byte == 0);
    let names = names.filter_map(|name| CStr::from_bytes_with_nul(name).ok());
    Ok(names.map(CStr::to_owned).collect())
}

fn value(file: &File, name: &CStr) -> io::Result<Vec<u8>> {
    let mut value = vec![0; 64 << 10];
    let length = rustix::fs::fgetxattr(file, name, value.as_mut_slice())?;
    value.truncate(length);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_behind_its_link_with_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "old").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let has_attribute = rustix::fs::setxattr(&file, c"user.x", b"1", XattrFlags::empty());
        let link = dir.path().join("link");
        symlink("file", &link).unwrap();
        replace(&link, "old", "new").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o640);
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(names(dir.path()), ["file", "link"]);
        if has_attribute.is_ok() {
            let kept = value(&File::open(&file).unwrap(), c"user.x").unwrap();
            assert_eq!(kept, b"1");
        }
    }

    #[test]
    fn what_is_another_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "other").unwrap();
        let said = |text: &str| replace(&file, text, "new").unwrap_err().title;
        assert!(said("old").ends_with("it was changed meanwhile"));
        std::fs::hard_link(&file, dir.path().join("same")).unwrap();
        assert!(said("other").ends_with("it has 1 more name, which would keep the old text"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "other");
        let error = replace(dir.path(), "", "new").unwrap_err();
        assert!(error.title.ends_with("it is no regular file"), "{error}");
        assert_eq!(names(dir.path()), ["file", "same"]);
    }
}
