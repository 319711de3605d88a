//! To a registry: only what it does not have, blobs side by side, names last.

use std::io::Read;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ureq::http::header::{CONTENT_TYPE, HeaderName, LOCATION};
use ureq::http::{Method, StatusCode};

use super::request::{Ask, failure};
use super::{Access, Client, Host, RegistryError, scope};
use crate::ImageRef;
use crate::blob::{BlobError, BlobSource, reachable, read_document};
use crate::http::{Attempts, is_passing, is_worth_retrying, retry_after, text};
use crate::manifest::{Descriptor, media_type};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// How a blob came to a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It was there.
    Existed,
    /// It was in another of its repositories.
    Mounted,
    /// It was sent.
    Uploaded,
}

/// What happens during [`Client::push`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushEvent {
    /// A blob's turn has come.
    Started,
    /// So many of its bytes have been sent since the last event.
    Sent(u64),
    /// It is there.
    Done(Pushed),
}

impl Client {
    /// Pushes an image or index with all that it needs, and gives it the name of `image` (its tag,
    /// unless there is none). `mount` names a repository of the same registry that has a blob,
    /// where one is known. At most `jobs` blobs are sent at a time.
    pub fn push(
        &self,
        image: &ImageRef,
        root: &Descriptor,
        source: &dyn BlobSource,
        jobs: usize,
        mount: &(dyn Fn(&Descriptor) -> Option<String> + Sync),
        event: &(dyn Fn(&Descriptor, PushEvent) + Sync),
    ) -> Result<(), RegistryError> {
        let all = reachable(source, root)?;
        let is_document = |d: &Descriptor| {
            media_type::is_manifest(&d.media_type) || media_type::is_index(&d.media_type)
        };
        let (documents, blobs): (Vec<_>, Vec<_>) = all.into_iter().partition(is_document);
        let blobs: Vec<_> = blobs
            .into_iter()
            .filter(|blob| !blob.layer_format().is_some_and(|f| f.nondistributable))
            .collect();
        let next = AtomicUsize::new(0);
        let failed = Mutex::new(None);
        let push = || {
            while let Some(blob) = blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                event(blob, PushEvent::Started);
                let sent = |bytes| event(blob, PushEvent::Sent(bytes));
                let from = mount(blob);
                match self.push_blob(image, blob, source, from.as_deref(), &sent) {
                    Ok(pushed) => event(blob, PushEvent::Done(pushed)),
                    Err(error) => {
                        next.store(blobs.len(), Ordering::Relaxed);
                        if let Ok(mut failed) = failed.lock() {
                            failed.get_or_insert(error);
                        }
                    }
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..jobs.clamp(1, blobs.len().max(1)) {
                // Where there is no thread to be had, those that there are push all of them.
                let _ = thread::Builder::new().spawn_scoped(scope, push);
            }
            push();
        });
        if let Ok(Some(error)) = failed.into_inner() {
            return Err(error);
        }
        for document in &documents {
            event(document, PushEvent::Started);
            let bytes = read_document(source, document)?;
            let is_root = document.digest == root.digest;
            let name = match &image.tag {
                Some(tag) if is_root => tag.clone(),
                _ => document.digest.to_string(),
            };
            self.push_manifest(image, &name, document, &bytes)?;
            event(document, PushEvent::Done(Pushed::Uploaded));
        }
        Ok(())
    }

    /// Whether the repository of `image` has a blob.
    pub fn has_blob(&self, image: &ImageRef, blob: &Descriptor) -> Result<bool, RegistryError> {
        let host = self.host(image)?;
        let url = format!(
            "{}/v2/{}/blobs/{}",
            host.origin, image.repository, blob.digest
        );
        let scopes = scope(&image.repository, Access::PullPush);
        let what = format!("{}@{}", image.name(), blob.digest);
        match self.ask(&host, &Ask::new(Method::HEAD, url, scopes, what)) {
            Ok(_) => Ok(true),
            Err(RegistryError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Brings one blob to the repository of `image`, without sending it where that can be avoided.
    pub fn push_blob(
        &self,
        image: &ImageRef,
        blob: &Descriptor,
        source: &dyn BlobSource,
        mount_from: Option<&str>,
        sent: &dyn Fn(u64),
    ) -> Result<Pushed, RegistryError> {
        if self.has_blob(image, blob)? {
            return Ok(Pushed::Existed);
        }
        let host = self.host(image)?;
        let what = format!("{}@{}", image.name(), blob.digest);
        let mount_from = mount_from.filter(|from| *from != image.repository);
        let mut attempts = Attempts::new(self.options.retry, &self.options.cancel);
        loop {
            let Some(location) = self.begin_upload(&host, image, blob, mount_from, &what)? else {
                return Ok(Pushed::Mounted);
            };
            let joint = if location.contains('?') { '&' } else { '?' };
            let url = format!("{location}{joint}digest={}", blob.digest);
            let scopes = scope(&image.repository, Access::PullPush);
            let ask = Ask::new(Method::PUT, url, scopes, what.clone())
                .header(CONTENT_TYPE, "application/octet-stream");
            let mut body = Counted {
                inner: source.open(&blob.digest).map_err(BlobError::Io)?,
                sent,
                client: self,
            };
            match self.upload(&host, &ask, &mut body, blob.size) {
                Ok(response) if response.status().is_success() => return Ok(Pushed::Uploaded),
                Ok(response) => {
                    let again = is_passing(response.status())
                        && attempts.again(retry_after(response.headers()))?;
                    if !again {
                        return Err(failure(&host, &what, response));
                    }
                }
                Err(RegistryError::Transport { source, .. })
                    if is_worth_retrying(&source) && attempts.again(None)? => {}
                Err(error) => {
                    self.check_cancelled()?;
                    return Err(error);
                }
            }
        }
    }

    /// Puts a manifest or index under a name (tag or digest) of the repository of `image`.
    pub fn push_manifest(
        &self,
        image: &ImageRef,
        name: &str,
        descriptor: &Descriptor,
        bytes: &[u8],
    ) -> Result<(), RegistryError> {
        let host = self.host(image)?;
        let url = format!("{}/v2/{}/manifests/{name}", host.origin, image.repository);
        let scopes = scope(&image.repository, Access::PullPush);
        let ask = Ask::new(Method::PUT, url, scopes, image.to_string())
            .header(CONTENT_TYPE, &descriptor.media_type)
            .body(bytes);
        let response = self.ask(&host, &ask)?;
        let stored = text(response.headers(), CONTENT_DIGEST);
        if let Some(found) = stored.and_then(|digest| digest.parse().ok())
            && found != descriptor.digest
        {
            return Err(BlobError::Digest {
                expected: descriptor.digest,
                found,
            }
            .into());
        }
        Ok(())
    }

    /// Where to send a blob; none when the registry took it from another repository.
    fn begin_upload(
        &self,
        host: &Host,
        image: &ImageRef,
        blob: &Descriptor,
        mount_from: Option<&str>,
        what: &str,
    ) -> Result<Option<String>, RegistryError> {
        let mut url = format!("{}/v2/{}/blobs/uploads/", host.origin, image.repository);
        let mut scopes = scope(&image.repository, Access::PullPush);
        if let Some(from) = mount_from {
            url.push_str(&format!("?mount={}&from={from}", blob.digest));
            scopes.push(' ');
            scopes.push_str(&scope(from, Access::Pull));
        }
        let begin = |url, scopes| {
            let ask = Ask::new(Method::POST, url, scopes, what.to_owned());
            self.ask(host, &ask)
        };
        let response = match begin(url, scopes) {
            // Not allowed to read there: send it, then.
            Err(RegistryError::Denied { .. } | RegistryError::NotFound { .. })
                if mount_from.is_some() =>
            {
                return self.begin_upload(host, image, blob, None, what);
            }
            other => other?,
        };
        if response.status() == StatusCode::CREATED {
            return Ok(None);
        }
        let location = text(response.headers(), LOCATION).unwrap_or_default();
        if location.starts_with("http://") || location.starts_with("https://") {
            Ok(Some(location))
        } else if location.starts_with('/') {
            Ok(Some(format!("{}{location}", host.origin)))
        } else {
            Err(RegistryError::Answer {
                what: what.to_owned(),
                reason: "it says not where to send the blob",
            })
        }
    }
}

/// A blob on its way out.
struct Counted<'a> {
    inner: Box<dyn Read + Send + 'a>,
    sent: &'a dyn Fn(u64),
    client: &'a Client,
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.client.check_cancelled()?;
        let read = self.inner.read(into)?;
        (self.sent)(read as u64);
        Ok(read)
    }
}
