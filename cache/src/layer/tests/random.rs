//! Random histories in the kernel's own overlay: whatever is done to a tree, the layers show it,
//! and their tars, unpacked one on the other, show it too.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use proptest::prelude::*;

use super::history::{cases, for_all};
use super::overlay::step;
use super::tar::{tar_of, unpacked};
use super::*;

/// Something that a command may do to a file system. What cannot be done is not done.
#[derive(Debug, Clone)]
enum Deed {
    MakeDir(String),
    Write(String, u8),
    Append(String),
    Symlink(String, String),
    HardLink(String, String),
    Pipe(String),
    Remove(String),
    Rename(String, String),
    Mode(String, u32),
    Owner(String, u32),
    Old(String),
}

fn any_deed() -> impl Strategy<Value = Deed> {
    let name = || prop::sample::select(vec!["a", "b", "c"]);
    let path = move || prop::collection::vec(name(), 1..4).prop_map(|names| names.join("/"));
    let mode = prop::sample::select(vec![0o755, 0o700, 0o1777, 0o4755, 0o600]);
    prop_oneof![
        4 => path().prop_map(Deed::MakeDir),
        4 => (path(), 0..3_u8).prop_map(|(path, size)| Deed::Write(path, size)),
        1 => path().prop_map(Deed::Append),
        1 => (path(), path()).prop_map(|(to, path)| Deed::Symlink(to, path)),
        2 => (path(), path()).prop_map(|(from, path)| Deed::HardLink(from, path)),
        1 => path().prop_map(Deed::Pipe),
        4 => path().prop_map(Deed::Remove),
        3 => (path(), path()).prop_map(|(from, to)| Deed::Rename(from, to)),
        2 => (path(), mode).prop_map(|(path, mode)| Deed::Mode(path, mode)),
        1 => (path(), 0..3_u32).prop_map(|(path, owner)| Deed::Owner(path, owner)),
        1 => path().prop_map(Deed::Old),
    ]
}

/// Whether it was done.
fn do_it(root: &Path, deed: &Deed) -> bool {
    use std::fs;
    let at = |path: &String| root.join(path);
    // Links in the tree lead out of it, or nowhere: nothing is done through one.
    let real = |path: &String| {
        let path = at(path);
        let dir = path.parent().unwrap();
        !path.is_symlink() && dir.canonicalize().is_ok_and(|real| real == dir)
    };
    match deed {
        Deed::MakeDir(path) => real(path) && fs::create_dir(at(path)).is_ok(),
        Deed::Write(path, size) => {
            real(path)
                && !is_pipe(&at(path))
                && fs::write(at(path), vec![b'x'; *size as usize]).is_ok()
        }
        Deed::Append(path) => {
            real(path)
                && !is_pipe(&at(path))
                && fs::File::options()
                    .append(true)
                    .open(at(path))
                    .and_then(|mut file| std::io::Write::write_all(&mut file, b"y"))
                    .is_ok()
        }
        Deed::Symlink(to, path) => real(path) && std::os::unix::fs::symlink(to, at(path)).is_ok(),
        Deed::HardLink(from, path) => {
            real(from) && real(path) && fs::hard_link(at(from), at(path)).is_ok()
        }
        Deed::Pipe(path) => {
            let kind = rustix::fs::FileType::Fifo;
            real(path)
                && rustix::fs::mknodat(rustix::fs::CWD, at(path), kind, 0o620.into(), 0).is_ok()
        }
        Deed::Remove(path) => {
            let path = at(path);
            fs::remove_file(&path).is_ok() || (path.is_dir() && fs::remove_dir_all(&path).is_ok())
        }
        Deed::Rename(from, to) => real(from) && real(to) && fs::rename(at(from), at(to)).is_ok(),
        Deed::Mode(path, mode) => {
            real(path) && fs::set_permissions(at(path), PermissionsExt::from_mode(*mode)).is_ok()
        }
        Deed::Owner(path, owner) => {
            real(path) && std::os::unix::fs::lchown(at(path), Some(*owner), Some(*owner)).is_ok()
        }
        Deed::Old(path) => {
            let times = crate::layer::place::times(crate::layer::Timestamp::seconds(5));
            let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::utimensat(rustix::fs::CWD, at(path), &times, flags).is_ok()
        }
    }
}

/// Opening one would wait.
fn is_pipe(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|meta| meta.file_type().is_fifo())
}

#[test]
fn layers_show_whatever_was_done() {
    {
        let (_dir, store) = store();
        if step(&store, &View::default(), &|_| ()).is_none() {
            return;
        }
    }
    let steps = prop::collection::vec(prop::collection::vec(any_deed(), 1..12), 1..5);
    for_all(cases(60), steps, |store, steps| {
        let mut below = View::default();
        let mut copy = View::default();
        for deeds in steps {
            let work = |root: &Path| {
                let root = root.canonicalize().unwrap();
                for deed in &deeds {
                    do_it(&root, deed);
                }
            };
            let (seen, layer) = step(store, &below, &work).unwrap();
            below = on_top(&below, &layer);
            assert_eq!(shown(&below), seen, "{deeds:?}");

            // The same through a tar.
            let again = unpacked(store, &copy, &tar_of(&layer)).unwrap();
            copy = on_top(&copy, &again);
            assert_eq!(shown(&copy), seen, "{deeds:?}");
        }
    });
}
