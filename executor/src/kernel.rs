//! What the running kernel can do, found out by trying it.

use rustix::io::Errno;
use rustix::mount::{FsOpenFlags, fsconfig_set_string, fsopen};

/// Whether an overlay takes its layers one by one, as from Linux 6.7 on. `directory` is any that is
/// there.
///
/// # Errors
/// What opening a file system that is not mounted needs: `EPERM` without rights to mount.
pub(crate) fn mounts_layer_by_layer(directory: &str) -> Result<bool, Errno> {
    let context = || fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC);
    let takes = |key: &str| -> Result<bool, Errno> {
        Ok(fsconfig_set_string(context()?, key, directory).is_ok())
    };
    // An older one keeps every option unread until the file system is made: also one that there never was.
    Ok(takes("lowerdir+")? && !takes("rbuild")?)
}
