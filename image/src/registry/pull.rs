//! From a registry: manifests, blobs, tags.

use std::io::{self, Read};
use std::sync::Arc;

use ureq::http::header::{ACCEPT, CONTENT_RANGE, CONTENT_TYPE, HeaderName, LINK, RANGE};
use ureq::http::{Method, StatusCode};

use super::request::Ask;
use super::{Access, Client, Host, RegistryError, scope};
use crate::blob::{BlobError, Verifier};
use crate::http::{Attempts, text};
use crate::manifest::{DOCUMENT_LIMIT, Descriptor, Document, DocumentError, media_type};
use crate::{Digest, ImageRef};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const MOST_PAGES: usize = 1000;

/// A manifest or an index, as a registry sent it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetched {
    /// Its type, digest and length.
    pub descriptor: Descriptor,
    /// Its bytes, of which the digest is.
    pub bytes: Vec<u8>,
    /// What they say.
    pub document: Document,
}

impl Client {
    /// What a name stands for now, without fetching it where the registry can say so.
    pub fn resolve(&self, image: &ImageRef) -> Result<Descriptor, RegistryError> {
        let host = self.host(image)?;
        let response = self.ask(&host, &manifest_request(&host, Method::HEAD, image))?;
        let headers = response.headers();
        let known = |name: HeaderName| text(headers, name);
        let digest = known(CONTENT_DIGEST).and_then(|d| d.parse::<Digest>().ok());
        let size = known(ureq::http::header::CONTENT_LENGTH).and_then(|s| s.parse().ok());
        let media_type = known(CONTENT_TYPE).map(|t| bare_type(&t).to_owned());
        match (digest, size, media_type, image.digest) {
            (Some(digest), Some(size), Some(media_type), asked)
                if asked.is_none_or(|asked| asked == digest)
                    && (media_type::is_manifest(&media_type)
                        || media_type::is_index(&media_type)) =>
            {
                Ok(Descriptor::new(&media_type, digest, size))
            }
            _ => Ok(self.manifest(image)?.descriptor),
        }
    }

    /// Fetches the manifest or index that a name stands for.
    pub fn manifest(&self, image: &ImageRef) -> Result<Fetched, RegistryError> {
        let host = self.host(image)?;
        let what = image.to_string();
        let ask = manifest_request(&host, Method::GET, image);
        let mut attempts = Attempts::new(self.options.retry, &self.options.cancel);
        let (bytes, announced, promised) = loop {
            let response = self.ask(&host, &ask)?;
            let announced = text(response.headers(), CONTENT_TYPE);
            let promised = text(response.headers(), CONTENT_DIGEST);
            let mut bytes = Vec::new();
            let mut body = response.into_body().into_reader().take(DOCUMENT_LIMIT + 1);
            match body.read_to_end(&mut bytes) {
                Ok(_) => break (bytes, announced, promised),
                Err(_) if attempts.again(None)? => {}
                Err(error) => return Err(BlobError::Io(error).into()),
            }
        };
        let bad = |source| RegistryError::Document {
            what: what.clone(),
            source,
        };
        if bytes.len() as u64 > DOCUMENT_LIMIT {
            let size = bytes.len() as u64;
            return Err(bad(DocumentError::TooLarge { size }));
        }
        let found = Digest::of(&bytes);
        let promised = promised.and_then(|digest| digest.parse().ok());
        if let Some(expected) = image.digest.or(promised)
            && expected != found
        {
            return Err(BlobError::Digest { expected, found }.into());
        }
        let announced = announced.as_deref().map(bare_type);
        let document = Document::parse(&bytes, announced).map_err(bad)?;
        let media_type = match announced {
            Some(t) if media_type::is_manifest(t) || media_type::is_index(t) => t,
            _ => document.media_type(),
        };
        Ok(Fetched {
            descriptor: Descriptor::new(media_type, found, bytes.len() as u64),
            bytes,
            document,
        })
    }

    /// Opens a blob of an image's repository. What is read has been verified once its end is
    /// reached; a connection that breaks is taken up where it broke.
    pub fn blob(
        self: &Arc<Self>,
        image: &ImageRef,
        descriptor: &Descriptor,
    ) -> Result<BlobReader, RegistryError> {
        let host = self.host(image)?;
        let mut resuming = Resuming {
            client: Arc::clone(self),
            what: format!("{}@{}", image.name(), descriptor.digest),
            url: format!(
                "{}/v2/{}/blobs/{}",
                host.origin, image.repository, descriptor.digest
            ),
            scope: scope(&image.repository, Access::Pull),
            host,
            size: descriptor.size,
            position: 0,
            failures: 0,
            body: None,
        };
        resuming.connect()?;
        Ok(BlobReader(Verifier::new(
            resuming,
            descriptor.digest,
            descriptor.size,
        )))
    }

    /// Fetches a small blob, such as a configuration, whole.
    pub fn document(
        self: &Arc<Self>,
        image: &ImageRef,
        descriptor: &Descriptor,
    ) -> Result<Vec<u8>, RegistryError> {
        if descriptor.size > DOCUMENT_LIMIT {
            return Err(RegistryError::Document {
                what: image.to_string(),
                source: DocumentError::TooLarge {
                    size: descriptor.size,
                },
            });
        }
        let mut bytes = Vec::new();
        self.blob(image, descriptor)?
            .read_to_end(&mut bytes)
            .map_err(|e| match e.downcast::<RegistryError>() {
                Ok(error) => error,
                Err(e) => e.downcast().unwrap_or_else(BlobError::Io).into(),
            })?;
        Ok(bytes)
    }

    /// The tags of an image's repository, in the registry's order.
    pub fn tags(&self, image: &ImageRef) -> Result<Vec<String>, RegistryError> {
        #[derive(serde::Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let host = self.host(image)?;
        let what = image.name();
        let mut url = format!("{}/v2/{}/tags/list", host.origin, image.repository);
        let mut tags = Vec::new();
        for _ in 0..MOST_PAGES {
            let scopes = scope(&image.repository, Access::Pull);
            let ask = Ask::new(Method::GET, url, scopes, what.clone());
            let response = self.ask(&host, &ask)?;
            let next =
                text(response.headers(), LINK).and_then(|link| next_page(&host.origin, &link));
            let mut bytes = Vec::new();
            let body = response.into_body().into_reader();
            body.take(DOCUMENT_LIMIT)
                .read_to_end(&mut bytes)
                .map_err(BlobError::Io)?;
            let page: Page = serde_json::from_slice(&bytes).map_err(|_| RegistryError::Answer {
                what: what.clone(),
                reason: "its list of tags is none",
            })?;
            tags.extend(page.tags.unwrap_or_default());
            match next {
                Some(next) => url = next,
                None => return Ok(tags),
            }
        }
        Err(RegistryError::Answer {
            what,
            reason: "its list of tags has no end",
        })
    }
}

fn manifest_request(host: &Host, method: Method, image: &ImageRef) -> Ask<'static> {
    let url = format!(
        "{}/v2/{}/manifests/{}",
        host.origin,
        image.repository,
        image.manifest_name()
    );
    let scopes = scope(&image.repository, Access::Pull);
    Ask::new(method, url, scopes, image.to_string())
        .header(ACCEPT, media_type::MANIFESTS_AND_INDEXES.join(", "))
}

/// A media type without its parameters.
fn bare_type(text: &str) -> &str {
    text.split(';').next().unwrap_or_default().trim()
}

/// The address in `<ADDRESS>; rel="next"`, when it is the same registry's.
pub(super) fn next_page(origin: &str, link: &str) -> Option<String> {
    let (address, relation) = link.strip_prefix('<')?.split_once('>')?;
    if !relation.contains("next") {
        return None;
    }
    if address.starts_with('/') {
        return Some(format!("{origin}{address}"));
    }
    let same = address.starts_with(&format!("{origin}/"));
    same.then(|| address.to_owned())
}

/// The bytes of a blob, on their way from a registry. Its end is reached only when digest and
/// length are right; otherwise reading fails with a [`BlobError`] or [`RegistryError`] inside the
/// [`io::Error`].
pub struct BlobReader(Verifier<Resuming>);

impl Read for BlobReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

/// Reads on where a connection broke.
struct Resuming {
    client: Arc<Client>,
    host: Arc<Host>,
    what: String,
    url: String,
    scope: String,
    size: u64,
    position: u64,
    /// How often it broke.
    failures: u32,
    body: Option<Box<dyn Read + Send>>,
}

impl Resuming {
    /// Asks for what is left of the blob.
    fn connect(&mut self) -> Result<(), RegistryError> {
        let mut ask = Ask::new(
            Method::GET,
            self.url.clone(),
            self.scope.clone(),
            self.what.clone(),
        );
        if self.position > 0 {
            ask = ask.header(RANGE, format!("bytes={}-", self.position));
        }
        let response = self.client.ask(&self.host, &ask)?;
        let is_part = response.status() == StatusCode::PARTIAL_CONTENT;
        let start = if is_part {
            let range = text(response.headers(), CONTENT_RANGE);
            let start = range.as_deref().and_then(range_start);
            if start != Some(self.position) {
                return Err(RegistryError::Answer {
                    what: self.what.clone(),
                    reason: "it sends another part of the blob than was asked for",
                });
            }
            self.position
        } else {
            0
        };
        let mut body = response.into_body().into_reader();
        // A registry that knows no ranges sends all again.
        let again = self.position - start;
        let skipped = io::copy(&mut (&mut body).take(again), &mut io::sink());
        if skipped.map_err(BlobError::Io)? < again {
            return Err(BlobError::Io(io::ErrorKind::UnexpectedEof.into()).into());
        }
        self.body = Some(Box::new(body));
        Ok(())
    }

    /// After a connection broke: pauses and opens another, while there is hope.
    fn reconnect(&mut self, broken: io::Error) -> io::Result<()> {
        self.body = None;
        let policy = self.client.options.retry;
        self.failures += 1;
        if self.failures >= policy.attempts {
            return Err(broken);
        }
        let client = Arc::clone(&self.client);
        let mut attempts = Attempts::new(policy, &client.options.cancel);
        let mut last = broken;
        while attempts.again(None).map_err(RegistryError::from)? {
            match self.connect() {
                Ok(()) => return Ok(()),
                Err(RegistryError::Blob(BlobError::Io(error))) => last = error,
                Err(error) => return Err(error.into()),
            }
        }
        Err(last)
    }
}

impl Read for Resuming {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            self.client.check_cancelled()?;
            let Some(body) = &mut self.body else {
                return Ok(0);
            };
            let broken = match body.read(into) {
                Ok(0) if self.position < self.size => io::ErrorKind::UnexpectedEof.into(),
                Ok(read) => {
                    self.position += read as u64;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // All that counts is there; whatever follows does not.
                Err(_) if self.position >= self.size => return Ok(0),
                Err(error) => error,
            };
            self.reconnect(broken)?;
        }
    }
}

/// The first position of `bytes FIRST-LAST/SIZE`.
fn range_start(text: &str) -> Option<u64> {
    let range = text.trim().strip_prefix("bytes ")?;
    range.split('-').next()?.trim().parse().ok()
}
