//! Mounts as detached trees: a new file system, or a copy of what is mounted. They are visible
//! nowhere until they are moved. Knows no plan.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
    move_mount, open_tree,
};

use crate::container::error::ContainerError;
use crate::container::plan::Machine;
use crate::container::spec::{Propagation, RootFs};
use crate::sys::mount::set_attributes;

/// The most layers that an overlay takes (`OVL_MAX_STACK`).
const MAX_LAYERS: usize = 500;
/// What the old mount call takes as options: one page, less its end.
const PAGE: usize = 4095;

/// A new file system.
pub(super) fn filesystem(
    name: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Errno> {
    let context = fsopen(name, FsOpenFlags::FSOPEN_CLOEXEC)?;
    // what df(1) and /proc/mounts show
    fsconfig_set_string(context.as_fd(), "source", name)?;
    for (key, value) in options {
        fsconfig_set_string(context.as_fd(), *key, *value)?;
    }
    fsconfig_create(context.as_fd())?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// A copy of what is at `path` below `at`; of all mounts below it too when `recursive`. A path that
/// is empty is `at` itself.
pub(super) fn copy(at: impl AsFd, path: &str, recursive: bool) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    if path.is_empty() {
        flags |= OpenTreeFlags::AT_EMPTY_PATH;
    }
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(at, path, flags)
}

/// Attributes added to a tree, which also stops sharing mounts with anybody.
pub(super) fn restrict(
    tree: &OwnedFd,
    attributes: MountAttrFlags,
    recursive: bool,
) -> Result<(), Errno> {
    restrict_with(tree, attributes, Propagation::Private, recursive)
}

/// As [`restrict`], but for what becomes of mounts made later.
pub(super) fn restrict_with(
    tree: &OwnedFd,
    attributes: MountAttrFlags,
    propagation: Propagation,
    recursive: bool,
) -> Result<(), Errno> {
    let propagation = match propagation {
        Propagation::Private => MountPropagationFlags::PRIVATE,
        Propagation::Slave => MountPropagationFlags::DOWNSTREAM,
        Propagation::Shared => MountPropagationFlags::SHARED,
    };
    set_attributes(
        tree.as_fd(),
        u64::from(attributes.bits()),
        u64::from(propagation.bits()),
        recursive,
    )
}

/// Attaches a tree on top of what `target` is open on.
pub(super) fn attach(tree: &OwnedFd, target: impl AsFd) -> Result<(), Errno> {
    move_mount(
        tree.as_fd(),
        "",
        target,
        "",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH,
    )
}

/// Attaches a tree at a path of the launcher's root.
pub(super) fn attach_at(tree: &OwnedFd, path: &str) -> Result<(), Errno> {
    move_mount(
        tree.as_fd(),
        "",
        CWD,
        path,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
}

/// Opens `path` as a place, with links followed inside `root` as if it were the root directory.
pub(super) fn inside(root: impl AsFd, path: &str) -> Result<OwnedFd, Errno> {
    let path = path.trim_start_matches('/');
    rustix::fs::openat2(
        root,
        if path.is_empty() { "." } else { path },
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    )
}

/// Opens `path` as a place; a link anywhere on the way is an error.
pub(super) fn without_links(root: impl AsFd, path: &str) -> Result<OwnedFd, Errno> {
    rustix::fs::openat2(
        root,
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    )
}

/// A stack of layers as one tree.
pub(super) fn overlay(stack: &RootFs, machine: &Machine) -> Result<OwnedFd, ContainerError> {
    let layers = stack.lower.len();
    if layers > MAX_LAYERS {
        return Err(ContainerError::TooManyLayers {
            layers,
            limit: MAX_LAYERS,
        });
    }
    let mut lower = Vec::with_capacity(layers.max(1));
    for layer in stack.lower.iter().rev() {
        lower.push(in_store(layer)?);
    }
    let failed = |at: &str| {
        let at = at.to_owned();
        move |cause: Errno| ContainerError::Overlay {
            layers,
            at,
            cause: cause.into(),
        }
    };
    let nodev = MountAttrFlags::MOUNT_ATTR_NODEV;
    if lower.is_empty() {
        lower.push("/empty".to_owned());
    }
    if stack.upper.is_none() && lower.len() == 1 {
        let tree = copy(CWD, &lower[0], false).map_err(failed(&lower[0]))?;
        restrict(&tree, nodev | MountAttrFlags::MOUNT_ATTR_RDONLY, false)
            .map_err(failed(&lower[0]))?;
        return Ok(tree);
    }
    let mut options = vec![
        ("index", "off".to_owned()),
        ("metacopy", "off".to_owned()),
        ("xino", "off".to_owned()),
        ("redirect_dir", "nofollow".to_owned()),
    ];
    if let Some(upper) = &stack.upper {
        options.push(("upperdir", in_store(&upper.fs)?));
        options.push(("workdir", in_store(&upper.work)?));
    }
    let mut words = Vec::new();
    if !machine.root {
        words.push("userxattr");
    }
    if stack.volatile && stack.upper.is_some() {
        words.push("volatile");
    }
    if !machine.layer_by_layer {
        return old_overlay(&lower, &options, &words).map_err(failed("mount"));
    }
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(failed("fsopen"))?;
    for layer in &lower {
        fsconfig_set_string(context.as_fd(), "lowerdir+", layer.as_str()).map_err(failed(layer))?;
    }
    for (key, value) in &options {
        fsconfig_set_string(context.as_fd(), *key, value.as_str()).map_err(failed(key))?;
    }
    for word in words {
        fsconfig_set_flag(context.as_fd(), word).map_err(failed(word))?;
    }
    fsconfig_create(context.as_fd()).map_err(failed("create"))?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, nodev).map_err(failed("fsmount"))
}

/// As before Linux 6.7: one page of options, with names relative to the store.
fn old_overlay(
    lower: &[String],
    options: &[(&str, String)],
    words: &[&str],
) -> Result<OwnedFd, Errno> {
    let short = |path: &str| path.strip_prefix("/store/").unwrap_or(path).to_owned();
    let mut data = String::from("lowerdir=");
    data.push_str(
        &lower
            .iter()
            .map(|path| short(path))
            .collect::<Vec<_>>()
            .join(":"),
    );
    for (key, value) in options {
        data.push_str(&format!(",{key}={}", short(value)));
    }
    for word in words {
        data.push(',');
        data.push_str(word);
    }
    if data.len() > PAGE {
        return Err(Errno::NAMETOOLONG);
    }
    let data = std::ffi::CString::new(data).map_err(|_| Errno::INVAL)?;
    rustix::process::chdir("/store")?;
    let mounted = rustix::mount::mount(
        "overlay",
        "/scratch",
        "overlay",
        rustix::mount::MountFlags::NODEV,
        data.as_c_str(),
    );
    rustix::process::chdir("/")?;
    mounted?;
    let tree = copy(CWD, "/scratch", false);
    rustix::mount::unmount("/scratch", rustix::mount::UnmountFlags::DETACH)?;
    tree
}

/// A path of the store in the launcher's root. What an overlay's options cannot say is refused.
fn in_store(path: &std::path::Path) -> Result<String, ContainerError> {
    let wrong = |why: &str| ContainerError::Invalid {
        why: format!("the layer `{}` {why}", path.display()),
    };
    let text = path.to_str().ok_or_else(|| wrong("has no UTF-8 name"))?;
    let plain = path
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_)));
    if !plain || text.contains([',', ':', '\\']) {
        return Err(wrong("has a name that the store does not give"));
    }
    Ok(format!("/store/{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn layers_are_named_as_the_store_names_them() {
        assert_eq!(
            in_store(Path::new("layers/a/fs")).unwrap(),
            "/store/layers/a/fs"
        );
        for bad in ["../x", "/x", "a/../b", "a:b", "a,b", "a\\b"] {
            assert!(in_store(Path::new(bad)).is_err(), "{bad}");
        }
    }
}
