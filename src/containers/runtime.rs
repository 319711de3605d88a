//! Which program makes a container's processes: this one, or another OCI runtime that was named.
//! Knows nothing of how it is called.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::report::{Class, Failure};

/// What docker calls its default.
pub const DEFAULT: &str = "runc";
const OWN: &str = "rbuild";

/// The program that `--runtime` names, by its path or by a name in PATH; none for this one, which is
/// also what docker's default means where there is no such program.
pub fn program(named: Option<&str>) -> Result<Option<PathBuf>, Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    find(
        named.unwrap_or_default(),
        &std::env::split_paths(&path).collect::<Vec<_>>(),
    )
}

fn find(name: &str, path: &[PathBuf]) -> Result<Option<PathBuf>, Failure> {
    if name.is_empty() || name == OWN {
        return Ok(None);
    }
    let found = if name.contains('/') {
        std::path::absolute(name)
            .ok()
            .filter(|file| is_program(file))
    } else {
        let places = path.iter().filter(|place| place.is_absolute());
        places
            .map(|place| place.join(name))
            .find(|file| is_program(file))
    };
    match found {
        Some(program) => Ok(Some(program)),
        None if name == DEFAULT => Ok(None),
        None => Err(
            Failure::new(Class::Refused, format!("Unknown runtime specified {name}"))
                .help("--runtime takes the path of an OCI runtime or its name in PATH"),
        ),
    }
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_is_found_by_path_and_by_name() {
        let place = tempfile::tempdir().unwrap();
        let file = |name: &str, mode: u32| {
            let file = place.path().join(name);
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            file
        };
        let (good, _) = (file("good", 0o755), file("text", 0o644));
        let path = [PathBuf::from("relative"), place.path().to_owned()];
        assert_eq!(find("good", &path).unwrap(), Some(good.clone()));
        assert_eq!(find(good.to_str().unwrap(), &[]).unwrap(), Some(good));
        for own in ["", OWN, DEFAULT] {
            assert_eq!(find(own, &path).unwrap(), None);
        }
        for missing in ["text", "nosuch", "/no/such/runc"] {
            let said = find(missing, &path).unwrap_err().title;
            assert_eq!(said, format!("Unknown runtime specified {missing}"));
        }
        assert!(
            find(DEFAULT, &[file("runc", 0o755).parent().unwrap().into()])
                .unwrap()
                .is_some()
        );
    }
}
