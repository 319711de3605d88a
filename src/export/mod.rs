//! Where results go: one file for each kind of output.

mod archive;
mod files;
mod registry;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cache::{Snapshot, Store};
use frontend::plan::Target;
use image::compress::Compression;
use image::manifest::media_type;
use image::{Descriptor, Digest, ImageRef, Index, Manifest};
use solver::Cancel;

use crate::cli::value::{Output, OutputKind};
use crate::images::{Images, Packing, pack};
use crate::progress::Progress;
use crate::report::{Class, Failure};

/// What a build made for one platform.
pub struct Made<'a> {
    /// What was planned.
    pub target: &'a Target,
    /// Its files.
    pub snapshot: &'a Snapshot,
}

/// What all outputs need.
pub struct Export<'a> {
    /// Where layers are.
    pub images: &'a Images,
    /// One for each platform.
    pub made: &'a [Made<'a>],
    /// Names from `--tag`.
    pub names: &'a [ImageRef],
    /// Shows what happens.
    pub progress: &'a Progress,
    /// Asks to stop.
    pub cancel: &'a Cancel,
}

/// What an output was written as.
#[derive(Debug, Clone)]
pub struct Written {
    /// The manifest or index; none for plain files.
    pub descriptor: Option<Descriptor>,
    /// The configuration, if there is one image.
    pub config: Option<Digest>,
}

impl Export<'_> {
    /// Writes one output.
    pub fn write(&self, output: &Output) -> Result<Written, Failure> {
        if output.rewrite_timestamp && self.made.iter().all(|made| made.target.epoch.is_none()) {
            self.progress.note("warning: rewrite-timestamp=true does nothing without --build-arg SOURCE_DATE_EPOCH=…");
        }
        match output.kind {
            OutputKind::CacheOnly => Ok(Written {
                descriptor: None,
                config: None,
            }),
            OutputKind::Oci | OutputKind::Docker => archive::write(self, output),
            OutputKind::Local | OutputKind::Tar => files::write(self, output),
            OutputKind::Registry => registry::write(self, output),
            OutputKind::Image if output.push => registry::write(self, output),
            OutputKind::Image => Ok(Written {
                descriptor: None,
                config: None,
            }),
        }
    }

    fn store(&self) -> &Store {
        self.images.store()
    }

    /// Names of an output: those of `--tag`, and its own.
    fn names_of(&self, output: &Output) -> Result<Vec<ImageRef>, Failure> {
        let mut names = self.names.to_vec();
        for name in &output.names {
            names.push(parse_name(name)?);
        }
        Ok(names)
    }

    /// Packs the layers of all platforms and puts manifests and configurations beside them.
    fn documents(
        &self,
        output: &Output,
        docker: bool,
    ) -> Result<(Descriptor, Option<Digest>), Failure> {
        let compression = match &output.compression {
            Some(name) => Compression::named(name, output.compression_level.map(i64::from))
                .map_err(|error| Failure::from_error(Class::Yours, &error))?,
            None => Compression::named("gzip", output.compression_level.map(i64::from))
                .map_err(|error| Failure::from_error(Class::Yours, &error))?,
        };
        let mut descriptors = Vec::new();
        for made in self.made {
            let packing = Packing {
                compression,
                force: output.force_compression,
                clamp: made.target.epoch.filter(|_| output.rewrite_timestamp),
                base_layers: made.target.base_layers,
            };
            let task = self.progress.task(format!(
                "[export] packing layers for {}",
                made.target.platform
            ));
            let packed = pack(
                self.store(),
                made.snapshot,
                &packing,
                self.cancel,
                &|item, done| task.advance(item, done, 0),
            );
            let packed = match packed {
                Ok(packed) => packed,
                Err(error) => {
                    let failure = error.failure();
                    task.failed(&failure.title);
                    return Err(failure);
                }
            };
            task.done();
            let mut config = made.target.config.clone();
            config.rootfs.diff_ids = packed.iter().map(|layer| layer.diff_id).collect();
            let types = Types::of(docker);
            let config_descriptor = self.put_json(types.config, &config)?;
            let mut layers: Vec<Descriptor> =
                packed.into_iter().map(|layer| layer.descriptor).collect();
            for layer in &mut layers {
                layer.media_type = types.layer(layer);
            }
            let manifest = Manifest::new(types.manifest, config_descriptor, layers);
            let mut descriptor = self.put_json(types.manifest, &manifest)?;
            descriptor.platform = Some(made.target.platform.clone());
            descriptors.push((descriptor, manifest.config.digest));
        }
        match <[_; 1]>::try_from(descriptors) {
            Ok([(mut descriptor, config)]) => {
                descriptor.platform = None;
                Ok((descriptor, Some(config)))
            }
            Err(several) => {
                let types = Types::of(docker);
                let index = Index::new(
                    types.index,
                    several
                        .into_iter()
                        .map(|(descriptor, _)| descriptor)
                        .collect(),
                );
                Ok((self.put_json(types.index, &index)?, None))
            }
        }
    }

    fn put_json(
        &self,
        media_type: &str,
        document: &impl serde::Serialize,
    ) -> Result<Descriptor, Failure> {
        let bytes = serde_json::to_vec(document)
            .map_err(|error| Failure::from_error(Class::Ours, &error))?;
        self.store()
            .blobs()
            .put_bytes(&bytes)
            .map_err(|error| crate::home::store_failure(&error))?;
        Ok(Descriptor::of(media_type, &bytes))
    }
}

/// Media types of one of the two families.
struct Types {
    docker: bool,
    manifest: &'static str,
    index: &'static str,
    config: &'static str,
}

impl Types {
    fn of(docker: bool) -> Self {
        if docker {
            Self {
                docker,
                manifest: media_type::DOCKER_MANIFEST,
                index: media_type::DOCKER_INDEX,
                config: media_type::DOCKER_CONFIG,
            }
        } else {
            Self {
                docker,
                manifest: media_type::OCI_MANIFEST,
                index: media_type::OCI_INDEX,
                config: media_type::OCI_CONFIG,
            }
        }
    }

    /// A layer's type in this family; what has no form in it keeps its own.
    fn layer(&self, layer: &Descriptor) -> String {
        match layer.layer_format() {
            Some(format) if self.docker => format.container.docker_layer().to_owned(),
            Some(format) => format.container.oci_layer().to_owned(),
            None => layer.media_type.clone(),
        }
    }
}

/// A name for an image, without a digest.
pub fn parse_name(text: &str) -> Result<ImageRef, Failure> {
    let name: ImageRef = text.parse().map_err(|error: image::ReferenceError| {
        Failure::new(Class::Yours, format!("the name `{text}`: {error}"))
    })?;
    if name.digest.is_some() {
        return Err(Failure::new(
            Class::Yours,
            format!("the name `{text}` has a digest; a new image has none yet"),
        ));
    }
    Ok(name)
}

/// A file that takes its name when it is whole, or standard output.
pub enum Destination {
    /// Standard output.
    Stdout {
        /// Open for writing.
        stdout: io::Stdout,
        /// Whether its reader is gone.
        unread: bool,
    },
    /// A file beside the one that it becomes.
    File {
        /// Open for writing.
        file: File,
        /// Its name until it is whole.
        part: PathBuf,
        /// Its name.
        path: PathBuf,
    },
}

impl Destination {
    /// Opens `dest`, or standard output for `-` and for none.
    pub fn open(dest: Option<&Path>) -> Result<Self, Failure> {
        let path = match dest {
            None => return Self::stdout(),
            Some(path) if path == Path::new("-") => return Self::stdout(),
            Some(path) => path.to_owned(),
        };
        let mut part = path.clone().into_os_string();
        part.push(format!(".{}.part", std::process::id()));
        let part = PathBuf::from(part);
        if path.is_dir() {
            return Err(
                Failure::new(Class::Yours, format!("{} is a directory", path.display()))
                    .help("give a file"),
            );
        }
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&part)
            .map_err(|error| unwritable(&path, &error))?;
        Ok(Self::File { file, part, path })
    }

    fn stdout() -> Result<Self, Failure> {
        use std::io::IsTerminal;
        let stdout = io::stdout();
        if stdout.is_terminal() {
            return Err(
                Failure::new(Class::Yours, "an archive is not written to a terminal")
                    .help("give dest=FILE, or redirect standard output"),
            );
        }
        Ok(Self::Stdout {
            stdout,
            unread: false,
        })
    }

    /// Gives a file its name.
    pub fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Stdout { mut stdout, .. } => stdout
                .flush()
                .map_err(|error| unwritable(Path::new("-"), &error)),
            Self::File { part, path, .. } => std::fs::rename(&part, &path).map_err(|error| {
                let _ = std::fs::remove_file(&part);
                unwritable(&path, &error)
            }),
        }
    }

    /// Removes what was written; says why it is not whole. A reader that is gone explains all.
    pub fn fail(self, failure: Failure) -> Failure {
        match self {
            Self::Stdout { unread: true, .. } => {
                crate::output::failure(&io::ErrorKind::BrokenPipe.into())
            }
            Self::Stdout { .. } => failure,
            Self::File { part, .. } => {
                // Nothing else can be done about a file that cannot be removed.
                let _ = std::fs::remove_file(part);
                failure
            }
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout { stdout, unread } => stdout.write(bytes).inspect_err(|error| {
                *unread |= error.kind() == io::ErrorKind::BrokenPipe;
            }),
            Self::File { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout { stdout, unread } => stdout.flush().inspect_err(|error| {
                *unread |= error.kind() == io::ErrorKind::BrokenPipe;
            }),
            Self::File { file, .. } => file.flush(),
        }
    }
}

/// An output that cannot be written.
pub fn unwritable(path: &Path, error: &io::Error) -> Failure {
    if path == Path::new("-") {
        return crate::output::failure(error);
    }
    let mut failure = Failure::new(Class::System, format!("cannot write {}", path.display()));
    failure.causes = vec![error.to_string()];
    failure
}
