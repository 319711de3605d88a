//! One GET, in a thread of its own so that a cancelled build does not wait for a silent server.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};
use image::http::{Conditions, Fetcher, RetryPolicy};
use image::{Digest, DigestWriter};
use serde::{Deserialize, Serialize};
use solver::{Cancel, ContentDigest};

use crate::ops::error::OpError;

/// How often a cancellation is looked for.
const INTERVAL: Duration = Duration::from_millis(50);
const BUFFER: usize = 128 << 10;
/// How often a body that breaks off is begun again.
const ATTEMPTS: u32 = 3;

/// What to get.
pub struct Download {
    pub url: String,
    /// Value of the header `Authorization`.
    pub authorization: Option<String>,
    /// Of the version that is here already.
    pub validators: Option<Validators>,
    /// Where the body goes.
    pub into: PathBuf,
}

/// What tells versions apart. RFC 9110, section 8.8.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

/// What the server answered.
pub enum Answer {
    /// The version that is here already is the one.
    NotModified,
    /// Another one, written to [`Download::into`].
    Body(Body),
}

/// A body that was written.
pub struct Body {
    pub validators: Validators,
    pub size: u64,
    pub sha256: Digest,
    pub content: ContentDigest,
}

/// Gets it.
pub fn get(download: Download, cancel: &Cancel) -> Result<Answer, OpError> {
    let url = download.url.clone();
    let (sender, receiver) = bounded(1);
    let stop = cancel.clone();
    std::thread::Builder::new()
        .name("download".to_owned())
        // Nobody listens any more when the build was cancelled.
        .spawn(move || drop(sender.send(attempts(&download, &stop))))
        .map_err(|e| OpError::io("start", b"a download", e))?;
    loop {
        if cancel.is_cancelled() {
            return Err(OpError::Cancelled);
        }
        match receiver.recv_timeout(INTERVAL) {
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let reason = "the download's thread panicked".to_owned();
                return Err(OpError::Http { url, reason });
            }
        }
    }
}

fn attempts(download: &Download, cancel: &Cancel) -> Result<Answer, OpError> {
    let stop = cancel.clone();
    let stop = Arc::new(move || stop.is_cancelled());
    let fetcher = Fetcher::new(RetryPolicy::default(), stop)?;
    let known = download.validators.clone().unwrap_or_default();
    let authorization = download.authorization.iter();
    let conditions = Conditions {
        etag: known.etag,
        last_modified: known.last_modified,
        headers: authorization
            .map(|value| ("Authorization".to_owned(), value.clone()))
            .collect(),
    };
    let mut left = ATTEMPTS;
    loop {
        left -= 1;
        let mut answer = fetcher.get(&download.url, &conditions)?;
        if answer.status == 304 {
            return Ok(Answer::NotModified);
        }
        let validators = Validators {
            etag: answer.etag,
            last_modified: answer.last_modified,
        };
        match write(&mut answer.body, download, validators) {
            Ok(body) => return Ok(Answer::Body(body)),
            Err(_) if left > 0 && !cancel.is_cancelled() => {}
            Err(error) => return Err(OpError::io("download", download.url.as_bytes(), error)),
        }
    }
}

fn write(reader: &mut impl Read, download: &Download, validators: Validators) -> io::Result<Body> {
    // What an earlier attempt left is written over.
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&download.into)?;
    let mut writer = DigestWriter::new(file);
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        writer.write_all(&buffer[..count])?;
        hasher.update(&buffer[..count]);
    }
    let (_, sha256, size) = writer.finish();
    Ok(Body {
        validators,
        size,
        sha256,
        content: ContentDigest(*hasher.finalize().as_bytes()),
    })
}
