//! Whether a directory's file system can hold a store, found by doing what the store will do.
//!
//! Called once for a new store; the answer is kept in `store.json`.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, RenameFlags, XattrFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};

use super::{Probed, StoreError, Xattrs};

/// File systems by their magic number (statfs(2)), and what keeps a store off them.
const FILE_SYSTEMS: &[(u64, &str, Option<&str>)] = &[
    (
        0x794c_7630,
        "overlay",
        Some("cannot hold the layers of another overlay"),
    ),
    (0x6969, "NFS", Some(NETWORK)),
    (0xff53_4d42, "CIFS", Some(NETWORK)),
    (0xfe53_4d42, "SMB", Some(NETWORK)),
    (0x517b, "SMB", Some(NETWORK)),
    (0x0102_1997, "9p", Some(NETWORK)),
    (0x00c3_6400, "Ceph", Some(NETWORK)),
    (0x5346_414f, "AFS", Some(NETWORK)),
    (0x6573_5546, "FUSE", None),
    (0x4d44, "FAT", Some("keeps no owners and no links")),
    (0x2011_bab0, "exFAT", Some("keeps no owners and no links")),
    (
        0xf15f,
        "eCryptfs",
        Some("cannot hold the layers of an overlay"),
    ),
    (0x7371_7368, "squashfs", Some("cannot be written")),
    (0xe0f5_e1e2, "erofs", Some("cannot be written")),
    (0xef53, "ext4", None),
    (0x5846_5342, "xfs", None),
    (0x9123_683e, "btrfs", None),
    (0xf2f5_2010, "f2fs", None),
    (0x0102_1994, "tmpfs", None),
    (0x2fc1_2fc1, "zfs", None),
    (0xca45_1a4e, "bcachefs", None),
];
const NETWORK: &str = "is shared between machines, where neither overlay nor the rows' locks work";

/// Tries everything that needs no mount in `scratch`, a directory of the store's that is made here
/// and left for the caller to remove.
pub(super) fn files(root: &Path, scratch: &Path, xattrs: Xattrs) -> Result<Probed, StoreError> {
    let statfs = rustix::fs::statfs(root).map_err(|e| StoreError::io("inspect", root)(e.into()))?;
    let magic = statfs.f_type as u64 & 0xffff_ffff;
    let known = FILE_SYSTEMS.iter().find(|(number, ..)| *number == magic);
    let kind = known.map_or_else(
        || format!("a file system {magic:#x}"),
        |(_, name, _)| (*name).to_owned(),
    );
    let refuse = |lacks| StoreError::FileSystem {
        root: root.to_owned(),
        kind: kind.clone(),
        lacks,
    };
    if let Some((.., Some(lacks))) = known {
        return Err(refuse(lacks));
    }
    let make = |name: &str| {
        let path = scratch.join(name);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(StoreError::io("make", &path))
            .map(|()| path)
    };
    let dir = make("dir")?;
    let doing = |result: io::Result<()>, lacks| {
        result.map_err(|error| {
            match error
                .raw_os_error()
                .map(rustix::io::Errno::from_raw_os_error)
            {
                Some(rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT) => {
                    StoreError::io("write", scratch)(error)
                }
                _ => refuse(lacks),
            }
        })
    };
    doing(
        rustix::fs::setxattr(&dir, xattrs.opaque(), b"y", XattrFlags::empty()).map_err(Into::into),
        match xattrs {
            Xattrs::Trusted => "keeps no trusted.* extended attributes",
            Xattrs::User => "keeps no user.* extended attributes (tmpfs: from Linux 6.6)",
        },
    )?;
    doing(
        rustix::fs::mknodat(
            CWD,
            scratch.join("whiteout"),
            FileType::CharacterDevice,
            Mode::empty(),
            0,
        )
        .map_err(Into::into),
        "refuses whiteouts (character device 0:0)",
    )?;
    doing(
        std::fs::write(scratch.join("a"), b"a").and_then(|()| {
            rustix::fs::renameat_with(
                CWD,
                scratch.join("a"),
                CWD,
                scratch.join("b"),
                RenameFlags::NOREPLACE,
            )
            .map_err(Into::into)
        }),
        "cannot rename without replacing",
    )?;
    // What overlay itself does to delete a file of an upper directory that hides a lower one.
    doing(
        rustix::fs::renameat_with(
            CWD,
            scratch.join("b"),
            CWD,
            dir.join("c"),
            RenameFlags::WHITEOUT,
        )
        .map_err(Into::into),
        "cannot rename and leave a whiteout",
    )?;
    let typed = std::fs::read_dir(scratch).and_then(|mut entries| {
        entries.try_fold(true, |typed, entry| Ok(typed && entry?.file_type().is_ok()))
    });
    doing(typed.map(|_| ()), "cannot list a directory")?;
    let reflink = std::fs::File::open(dir.join("c"))
        .and_then(|from| {
            let to = std::fs::File::create(scratch.join("clone"))?;
            rustix::fs::ioctl_ficlone(&to, &from).map_err(Into::into)
        })
        .is_ok();
    Ok(Probed {
        file_system: kind,
        overlay: None,
        reflink,
    })
}

/// Tries to mount an overlay in `scratch`, which is attached nowhere and gone on return. Needs
/// CAP_SYS_ADMIN in the user namespace of the mount namespace.
pub(super) fn overlay(root: &Path, scratch: &Path, xattrs: Xattrs) -> Result<(), StoreError> {
    for name in ["lower", "upper", "work"] {
        let path = scratch.join(name);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(StoreError::io("make", &path))?;
    }
    let mount = || -> rustix::io::Result<()> {
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&context, "lowerdir", scratch.join("lower"))?;
        fsconfig_set_string(&context, "upperdir", scratch.join("upper"))?;
        fsconfig_set_string(&context, "workdir", scratch.join("work"))?;
        if xattrs == Xattrs::User {
            fsconfig_set_flag(&context, "userxattr")?;
        }
        fsconfig_create(&context)?;
        fsmount(
            &context,
            FsMountFlags::FSMOUNT_CLOEXEC,
            MountAttrFlags::empty(),
        )?;
        Ok(())
    };
    mount().map_err(|errno| match errno {
        rustix::io::Errno::PERM | rustix::io::Errno::NODEV | rustix::io::Errno::NOSYS => {
            StoreError::io("mount an overlay in", scratch)(errno.into())
        }
        _ => StoreError::FileSystem {
            root: root.to_owned(),
            kind: "a file system".to_owned(),
            lacks: "cannot hold the upper directory of an overlay",
        },
    })
}

/// The running kernel's release.
pub(super) fn kernel() -> String {
    rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned()
}
