//! Paths inside an archive: compared with each other, never given to a file system.

use super::LayoutError;

/// A path of the archive as `manifest.json` writes it; one that leads out of it is refused.
pub(super) fn clean(path: &[u8]) -> Result<String, LayoutError> {
    let refuse = |reason| LayoutError::Entry {
        name: String::from_utf8_lossy(path).into_owned(),
        reason,
    };
    let text = std::str::from_utf8(path).map_err(|_| refuse("it is not UTF-8"))?;
    if text.starts_with('/') {
        return Err(refuse("it is absolute"));
    }
    let mut parts = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(refuse("it leads upwards")),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// The path that a link at `path` leads to; one out of the archive is refused.
pub(super) fn beside(path: &str, target: &[u8]) -> Result<String, LayoutError> {
    let refuse = |reason| LayoutError::Entry {
        name: path.to_owned(),
        reason,
    };
    let target = std::str::from_utf8(target).map_err(|_| refuse("its target is not UTF-8"))?;
    if target.starts_with('/') {
        return Err(refuse("it links to an absolute path"));
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts
                    .pop()
                    .ok_or_else(|| refuse("it links out of the archive"))?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}
