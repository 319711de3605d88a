//! Applies a plan in a container's new mount namespace. Every target is opened when its turn comes,
//! relative to descriptors, and mounted on by descriptor: between looking and mounting nobody can
//! put another thing there. Knows no policy; that is in the plan.

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, FileType, Mode, OFlags, makedev};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use super::report::Reporter;
use super::root::{Launch, host};
use super::start::Start;
use super::target::{Targets, create};
use super::tree;
use crate::container::error::ContainerError;
use crate::container::plan::{Place, Step, Tree};

const PROC_SUPER_MAGIC: i64 = 0x9fa0;

/// A container's root in the making.
pub(super) struct Builder<'a> {
    launch: &'a Launch,
    targets: Targets<'a>,
    standard: Vec<(&'static str, OwnedFd)>,
    made: Option<&'a OwnedFd>,
    terminals: Option<&'a OwnedFd>,
}

impl<'a> Builder<'a> {
    /// Mounts the root file system of `start`, at a place where only this process sees it.
    pub(super) fn new(
        start: &'a Start<'a>,
        launch: &'a Launch,
        reporter: &'a Reporter,
    ) -> Result<Self, ContainerError> {
        let root = tree::overlay(&start.spec.root, &launch.machine)?;
        let failed = failed("the root file system", "/");
        tree::attach_at(&root, "/root").map_err(&failed)?;
        let made = start.made.tree.as_ref();
        if let Some(made) = made {
            tree::attach_at(made, "/scratch").map_err(&failed)?;
        }
        Ok(Self {
            launch,
            targets: Targets::new(root, reporter).map_err(&failed)?,
            standard: Vec::new(),
            made,
            terminals: start.terminals.as_ref(),
        })
    }

    /// Applies the steps, and gives the root.
    pub(super) fn build(mut self, steps: &[Step]) -> Result<OwnedFd, ContainerError> {
        for step in steps {
            self.apply(step)?;
        }
        Ok(self.targets.into_root())
    }

    fn apply(&mut self, step: &Step) -> Result<(), ContainerError> {
        match step {
            Step::Mount {
                tree,
                at,
                readonly,
                nosuid,
                noexec,
            } => {
                let mut attributes = MountAttrFlags::empty();
                attributes.set(MountAttrFlags::MOUNT_ATTR_RDONLY, *readonly);
                attributes.set(MountAttrFlags::MOUNT_ATTR_NOSUID, *nosuid);
                attributes.set(MountAttrFlags::MOUNT_ATTR_NOEXEC, *noexec);
                self.mount(tree, at, attributes)
            }
            Step::AllDevices => self.all_devices(),
            Step::Link { name, to } => rustix::fs::symlinkat(*to, self.standard("dev")?, *name)
                .map_err(failed("a link", name)),
            Step::MaskProc(path) => self.mask("proc", path),
            Step::MaskSys(path) => self.mask("sys", path),
            Step::ProtectProc(path) => self.protect("proc", path),
            Step::SealRoot => tree::restrict(
                self.targets.root(),
                MountAttrFlags::MOUNT_ATTR_RDONLY,
                false,
            )
            .map_err(failed("a read-only root", "/")),
        }
    }

    fn mount(
        &mut self,
        tree: &Tree,
        at: &Place,
        attributes: MountAttrFlags,
    ) -> Result<(), ContainerError> {
        let shown = target_name(at);
        let made = self.make(tree, &shown, attributes)?;
        let failed = failed(&what(tree), &shown);
        let is_directory = rustix::fs::fstat(&made)
            .map(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
            .map_err(&failed)?;
        if let (Tree::Tmpfs { .. }, Place::Path(path)) = (tree, at) {
            self.as_below(&made, path).map_err(&failed)?;
        }
        let target = match at {
            Place::Standard(name) => self.targets.standard(name).map_err(&failed)?,
            Place::Path(path) => self.targets.open(path, is_directory).map_err(&failed)?,
            Place::Dev(name) => {
                let dev = self.standard("dev")?;
                create(dev, name, is_directory).map_err(&failed)?;
                tree::without_links(dev, name).map_err(&failed)?
            }
            Place::Sys(path) => match tree::without_links(self.standard("sys")?, path) {
                Err(Errno::NOENT) => return Ok(()),
                target => target.map_err(&failed)?,
            },
        };
        if matches!(at, Place::Path(_)) {
            let inside = rustix::fs::fstatfs(&target).map_err(&failed)?.f_type;
            if inside as i64 == PROC_SUPER_MAGIC {
                return Err(ContainerError::Invalid {
                    why: format!("nothing can be mounted inside /proc (`{shown}`)"),
                });
            }
        }
        tree::attach(&made, &target).map_err(&failed)?;
        if let Place::Standard(name) = at {
            self.standard.push((name, made));
        }
        Ok(())
    }

    /// Gives memory the mode of the directory that it hides, as the reference does.
    fn as_below(&self, made: &OwnedFd, path: &str) -> Result<(), Errno> {
        let Ok(below) = tree::inside(self.targets.root(), path) else {
            return Ok(());
        };
        let mode = rustix::fs::fstat(below)?.st_mode;
        let root = rustix::fs::openat(made, ".", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::fs::fchmod(root, Mode::from_raw_mode(mode & 0o7777))
    }

    /// Makes a tree, restricted.
    fn make(
        &self,
        tree: &Tree,
        target: &str,
        attributes: MountAttrFlags,
    ) -> Result<OwnedFd, ContainerError> {
        let failed = failed(&what(tree), target);
        let nodev = attributes | MountAttrFlags::MOUNT_ATTR_NODEV;
        let source = |path: &std::path::Path| {
            let path = path.display().to_string();
            let failed = &failed;
            move |cause: Errno| match cause {
                Errno::NOENT | Errno::NOTDIR => ContainerError::MissingSource {
                    path: path.clone(),
                    target: target.to_owned(),
                },
                cause => failed(cause),
            }
        };
        let restricted = |copy: OwnedFd, attributes, recursive| {
            tree::restrict(&copy, attributes, recursive)
                .map(|()| copy)
                .map_err(&failed)
        };
        match tree {
            Tree::Proc => tree::filesystem("proc", &[], nodev).map_err(failed),
            Tree::OwnSys => tree::filesystem("sysfs", &[], nodev).map_err(failed),
            Tree::Cgroup => tree::filesystem("cgroup2", &[], nodev).map_err(failed),
            Tree::Queues => tree::filesystem("mqueue", &[], nodev).map_err(failed),
            Tree::Sys => {
                let copy = tree::copy(CWD, "/sys", true).map_err(&failed)?;
                restricted(copy, nodev, true)
            }
            Tree::Tmpfs {
                size,
                mode,
                uid,
                gid,
            } => {
                let mut options = vec![("mode", format!("{:o}", mode.unwrap_or(0o1777)))];
                options.extend(size.map(|size| ("size", size.to_string())));
                for (name, id) in [("uid", uid), ("gid", gid)] {
                    options.extend((*id != 0).then(|| (name, id.to_string())));
                }
                let options: Vec<(&str, &str)> = options
                    .iter()
                    .map(|(name, value)| (*name, value.as_str()))
                    .collect();
                tree::filesystem("tmpfs", &options, nodev).map_err(failed)
            }
            Tree::Terminals { tty_group } => match self.terminals {
                Some(made) => super::duplicate(made).map_err(failed),
                None => terminals(*tty_group, attributes).map_err(failed),
            },
            Tree::Device(name) => restricted(device(name).map_err(&failed)?, attributes, false),
            Tree::Console => {
                let pts = self.standard("dev")?;
                let console = tree::copy(pts, "pts/0", false).map_err(&failed)?;
                restricted(console, attributes, false)
            }
            Tree::Store(path) => {
                let text = path.to_str().unwrap_or("..");
                let place = tree::without_links(store().map_err(&failed)?, text);
                let copy = tree::copy(place.map_err(source(path))?, "", false);
                restricted(copy.map_err(&failed)?, nodev, false)
            }
            Tree::HostProc => {
                let copy = tree::copy(CWD, "/proc", true).map_err(&failed)?;
                restricted(copy, nodev, true)
            }
            Tree::Node(path) => node(path).map_err(failed),
            Tree::Host { path, propagation } => {
                let (root, rest) = host(&self.launch.host_sources, path).ok_or_else(|| {
                    ContainerError::UnannouncedSource {
                        path: path.display().to_string(),
                    }
                })?;
                let root = rustix::fs::open(root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
                    .map_err(&failed)?;
                let place = match rest.to_str() {
                    Some("") => root,
                    rest => tree::inside(&root, rest.unwrap_or("..")).map_err(source(path))?,
                };
                let copy = tree::copy(place, "", true).map_err(&failed)?;
                tree::restrict_with(&copy, nodev, *propagation, true)
                    .map(|()| copy)
                    .map_err(&failed)
            }
            Tree::Layers { stack, path } => {
                let stack = tree::overlay(stack, &self.launch.machine)?;
                // a copy can be taken only of what is attached somewhere
                tree::attach_at(&stack, "/scratch").map_err(&failed)?;
                let place = tree::inside(&stack, path).map_err(source(path.as_ref()))?;
                let copy = tree::copy(place, "", false).map_err(&failed)?;
                restricted(copy, nodev, false)
            }
            Tree::Made(name) => {
                let made = self.made.ok_or(Errno::NOENT).map_err(&failed)?;
                let copy = tree::copy(made, name, false).map_err(&failed)?;
                restricted(copy, nodev, false)
            }
        }
    }

    fn all_devices(&mut self) -> Result<(), ContainerError> {
        let failed = failed("the devices", "/dev");
        let host = rustix::fs::open(
            "/dev",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(&failed)?;
        let dev = self.standard("dev")?;
        for entry in rustix::fs::Dir::read_from(&host).map_err(&failed)? {
            let entry = entry.map_err(&failed)?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            let kind = rustix::fs::statat(&host, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
                .map(|stat| FileType::from_raw_mode(stat.st_mode));
            if !matches!(kind, Ok(FileType::CharacterDevice | FileType::BlockDevice))
                || ["ptmx", "console"].contains(&name)
            {
                continue;
            }
            let copy = tree::copy(&host, name, false).map_err(&failed)?;
            create(dev, name, false).map_err(&failed)?;
            let target = tree::without_links(dev, name).map_err(&failed)?;
            tree::restrict(&copy, MountAttrFlags::MOUNT_ATTR_NOEXEC, false).map_err(&failed)?;
            tree::attach(&copy, target).map_err(&failed)?;
        }
        Ok(())
    }

    fn mask(&self, base: &'static str, path: &str) -> Result<(), ContainerError> {
        let failed = failed("a mask", &format!("/{base}/{path}"));
        let target = match tree::without_links(self.standard(base)?, path) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            target => target.map_err(&failed)?,
        };
        let kind = rustix::fs::fstat(&target).map_err(&failed)?.st_mode;
        let over = if FileType::from_raw_mode(kind) == FileType::Directory {
            tree::copy(CWD, "/empty", false)
        } else {
            device("null")
        };
        tree::attach(&over.map_err(&failed)?, &target).map_err(&failed)
    }

    fn protect(&self, base: &'static str, path: &str) -> Result<(), ContainerError> {
        let failed = failed("a read-only path", &format!("/{base}/{path}"));
        let target = match tree::without_links(self.standard(base)?, path) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            target => target.map_err(&failed)?,
        };
        let copy = tree::copy(&target, "", true).map_err(&failed)?;
        tree::restrict(&copy, MountAttrFlags::MOUNT_ATTR_RDONLY, true).map_err(&failed)?;
        tree::attach(&copy, &target).map_err(&failed)
    }

    fn standard(&self, name: &str) -> Result<&OwnedFd, ContainerError> {
        self.standard
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, mount)| mount)
            .ok_or_else(|| failed("a plan out of order", name)(Errno::NOENT))
    }
}

/// A device, or a directory of them, of the launcher's /dev.
fn node(path: &std::path::Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dev = rustix::fs::open("/dev", flags, Mode::empty())?;
    let place = tree::inside(&dev, path.to_str().unwrap_or(".."))?;
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&place)?.st_mode);
    if !matches!(
        kind,
        FileType::CharacterDevice | FileType::BlockDevice | FileType::Directory
    ) {
        return Err(Errno::NODEV);
    }
    let copy = tree::copy(place, "", true)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    tree::restrict(&copy, attributes, true)?;
    Ok(copy)
}

/// A new instance of terminals.
pub(super) fn terminals(tty_group: bool, attributes: MountAttrFlags) -> Result<OwnedFd, Errno> {
    let mut options = vec![("mode", "620"), ("ptmxmode", "666")];
    if tty_group {
        options.push(("gid", "5"));
    }
    tree::filesystem("devpts", &options, attributes)
}

/// A device of the launcher's /dev, if it is what its name says.
fn device(name: &str) -> Result<OwnedFd, Errno> {
    let numbers = match name {
        "null" => (1, 3),
        "zero" => (1, 5),
        "full" => (1, 7),
        "random" => (1, 8),
        "urandom" => (1, 9),
        "tty" => (5, 0),
        _ => return Err(Errno::NODEV),
    };
    let copy = tree::copy(CWD, &format!("/dev/{name}"), false)?;
    let stat = rustix::fs::fstat(&copy)?;
    let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    if !is_device || stat.st_rdev != makedev(numbers.0, numbers.1) {
        return Err(Errno::NODEV);
    }
    Ok(copy)
}

fn store() -> Result<OwnedFd, Errno> {
    rustix::fs::open("/store", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}

fn target_name(at: &Place) -> String {
    match at {
        Place::Standard(name) => format!("/{name}"),
        Place::Path(path) => path.clone(),
        Place::Dev(name) => format!("/dev/{name}"),
        Place::Sys(path) => format!("/sys/{path}"),
    }
}

fn what(tree: &Tree) -> String {
    match tree {
        Tree::Proc => "proc".to_owned(),
        Tree::Sys | Tree::OwnSys => "sysfs".to_owned(),
        Tree::Cgroup => "cgroup2".to_owned(),
        Tree::Tmpfs { .. } => "a tmpfs".to_owned(),
        Tree::Device(name) => format!("the device {name}"),
        Tree::Terminals { .. } => "devpts".to_owned(),
        Tree::Console => "the console".to_owned(),
        Tree::Queues => "mqueue".to_owned(),
        Tree::Store(path) => format!("`{}` of the store", path.display()),
        Tree::Host { path, .. } => format!("`{}` of the host", path.display()),
        Tree::Node(path) => format!("the device `/dev/{}`", path.display()),
        Tree::HostProc => "the host's proc".to_owned(),
        Tree::Layers { path, .. } => format!("`{path}` of other layers"),
        Tree::Made(_) => "a file made for this container".to_owned(),
    }
}

fn failed(what: &str, target: &str) -> impl Fn(Errno) -> ContainerError + use<> {
    let (what, target) = (what.to_owned(), target.to_owned());
    move |cause| ContainerError::Mount {
        what: what.clone(),
        target: target.clone(),
        cause: cause.into(),
    }
}
