//! `save` and `load`: images in files.

use std::fs::File;
use std::io::{BufReader, BufWriter, IsTerminal, Read, Write};
use std::path::Path;

use cache::images::NewImage;
use cache::{Store, StoredImage};
use image::blob::reachable;
use image::layout::{ArchiveKind, NamedImage};
use image::{Digest, ImageRef};

use crate::cli::build::Progress as Mode;
use crate::cli::images::{LoadArgs, SaveArgs};
use crate::export::{Destination, unwritable};
use crate::home::{Home, store_failure};
use crate::images::{
    Images, complete, find, load_host, load_root, remember, resolved, settle_all, snapshot,
};
use crate::output::print;
use crate::progress::{Progress, Task};
use crate::report::{Class, Failure};

/// Bytes between two reports of how far it is.
const REPORT_EVERY: u64 = 4 << 20;

/// Writes images to an archive that docker and OCI tools load.
pub fn save(args: &SaveArgs, home: &Home) -> anyhow::Result<u8> {
    let dest = args.output.as_deref();
    let store = home.enter_and_open()?;
    let cancel = crate::stop::on_signal();
    let progress = Progress::new(Mode::Auto);
    let images = Images::new(&store, false, &cancel);
    let mut wanted = Vec::new();
    for text in &args.images {
        let all = tags_of(&store, text, &cancel)?;
        if all.is_empty() {
            wanted.push((find(&store, text)?, text.clone()));
        }
        wanted.extend(all);
    }
    // Refuses a terminal before layers are packed for nothing.
    let mut destination = Destination::open(dest).map_err(Failure::refused)?;
    let written = (|| {
        let mut named: Vec<NamedImage> = Vec::new();
        for (stored, text) in &wanted {
            let descriptor = complete(&images, stored, &progress, &cancel)?;
            let name = name_of(stored, text);
            let same = named
                .iter_mut()
                .find(|image| image.descriptor.digest == descriptor.digest);
            match same {
                Some(image) => {
                    image.names.extend(name);
                    image.names.sort();
                    image.names.dedup();
                }
                None => named.push(NamedImage {
                    descriptor,
                    names: Vec::from_iter(name),
                }),
            }
        }
        let mut writer = BufWriter::with_capacity(1 << 20, &mut destination);
        image::layout::save(&mut writer, ArchiveKind::Docker, &named, &store.blobs())
            .map_err(|error| Failure::from_error(Class::System, &error))?;
        writer
            .flush()
            .map_err(|error| unwritable(dest.unwrap_or_else(|| Path::new("-")), &error))
    })();
    if let Err(failure) = written {
        return Err(destination.fail(failure).refused().into());
    }
    destination.finish().map_err(Failure::refused)?;
    progress.finish();
    Ok(0)
}

/// All images of a repository, each with a tag, when `text` is a repository without a tag.
fn tags_of(
    store: &Store,
    text: &str,
    cancel: &solver::Cancel,
) -> Result<Vec<(StoredImage, String)>, Failure> {
    let last = text.rsplit('/').next().unwrap_or_default();
    let repository = match text.parse::<ImageRef>() {
        Ok(name) if !last.contains([':', '@']) => name.name(),
        _ => return Ok(Vec::new()),
    };
    settle_all(store, cancel).map_err(|error| error.failure())?;
    let mut all = Vec::new();
    for image in store.images().map_err(|error| store_failure(&error))? {
        for tag in image.tags() {
            if tag
                .parse::<ImageRef>()
                .is_ok_and(|name| name.name() == repository)
            {
                all.push((image.clone(), tag.to_owned()));
            }
        }
    }
    Ok(all)
}

/// The name by which an image was asked for; none if it was by its id.
fn name_of(stored: &StoredImage, text: &str) -> Option<ImageRef> {
    let name: ImageRef = text.parse().ok()?;
    let is_tag = name.tag.is_some() && name.digest.is_none();
    (is_tag && stored.names.contains(&name.to_string())).then_some(name)
}

/// Reads the images of an archive.
pub fn load(args: &LoadArgs, home: &Home) -> anyhow::Result<u8> {
    let shown = args.input.as_deref().map_or_else(
        || "standard input".to_owned(),
        |path| path.display().to_string(),
    );
    let store = home.enter_and_open()?;
    let progress = Progress::new(if args.quiet { Mode::Quiet } else { Mode::Auto });
    let cancel = crate::stop::on_signal();
    let task = progress.task(format!("reading {shown}"));
    let read = match args.input.as_deref() {
        Some(path) if path != Path::new("-") => File::open(path)
            .map_err(|error| unreadable(&shown, &error))
            .and_then(|file| {
                let total = file.metadata().map_or(0, |meta| meta.len());
                read(&store, Counted::new(file, total, &task, &cancel), &shown)
            }),
        _ if std::io::stdin().is_terminal() => Err(Failure::new(
            Class::Refused,
            "there is no archive on standard input",
        )
        .help("give one with -i FILE, or redirect standard input")),
        _ => read(
            &store,
            Counted::new(std::io::stdin(), 0, &task, &cancel),
            &shown,
        ),
    };
    let read = match read {
        Ok(read) => read,
        Err(failure) => {
            task.failed(&failure.title);
            progress.finish();
            // What came of it before it failed is nobody's.
            drop(store.collect_garbage());
            return Err(failure.into());
        }
    };
    task.done();
    let images = Images::new(&store, false, &cancel);
    for image in read {
        let id = keep(&store, &image)?;
        if let Err(failure) = unpack(&images, &id, &progress, &cancel) {
            // It is there all the same, and can be saved and pushed; whoever starts it hears why not.
            progress.note(&format!(
                "warning: the image {id} cannot be unpacked: {}",
                failure.title
            ));
        }
        let mut said = String::new();
        for name in &image.names {
            said.push_str(&format!("Loaded image: {}\n", name.familiar()));
        }
        if said.is_empty() {
            said = format!("Loaded image ID: {id}\n");
        }
        print(&said)?;
    }
    progress.finish();
    Ok(0)
}

/// Unpacks an image that was loaded, as docker does: it is as large as its files from then on.
fn unpack(
    images: &Images,
    id: &Digest,
    progress: &Progress,
    cancel: &solver::Cancel,
) -> Result<(), Failure> {
    let store = images.store();
    let all = store.images().map_err(|error| store_failure(&error))?;
    let Some(stored) = all.iter().find(|stored| stored.config == *id) else {
        return Ok(());
    };
    if stored.snapshot.is_none() {
        let loaded = load_host(store, stored)?;
        snapshot(images, &resolved(stored, loaded), progress, cancel)?;
    }
    Ok(())
}

fn read(
    store: &Store,
    from: Counted<'_, impl Read>,
    shown: &str,
) -> Result<Vec<NamedImage>, Failure> {
    let cancel = from.cancel.clone();
    let from = BufReader::with_capacity(1 << 18, from);
    let images = image::layout::load(from, &store.blobs()).map_err(|error| {
        if cancel.is_cancelled() {
            return Failure::new(Class::Interrupted, "stopped");
        }
        let cause = Failure::from_error(Class::Refused, &error);
        let mut failure = Failure::new(Class::Refused, format!("cannot load {shown}"));
        failure.causes = std::iter::once(cause.title).chain(cause.causes).collect();
        failure
    })?;
    if images.is_empty() {
        return Err(Failure::new(
            Class::Refused,
            format!("cannot load {shown}: it holds no image"),
        ));
    }
    Ok(images)
}

/// Stores an image of an archive, whose blobs are in the store already; its id.
fn keep(store: &Store, image: &NamedImage) -> Result<Digest, Failure> {
    let root = image.descriptor.digest;
    let shown = image
        .names
        .first()
        .map_or_else(|| root.to_string(), ImageRef::familiar);
    let loaded = load_root(store, root, &shown, None)
        .map_err(|error| error.failure())?
        .ok_or_else(|| {
            Failure::new(
                Class::Refused,
                format!("{shown} has nothing for {}", image::Platform::host()),
            )
        })?;
    // The same image in other wrapping: an image is its configuration, as docker has it.
    let known = store.images().map_err(|error| store_failure(&error))?;
    if let Some(known) = known.iter().find(|known| known.config == loaded.id) {
        for name in &image.names {
            store
                .tag_image(&known.manifest, name)
                .map_err(|error| store_failure(&error))?;
        }
        return Ok(loaded.id);
    }
    let blobs: Vec<Digest> = reachable(&store.blobs(), &image.descriptor)
        .map_err(|error| Failure::from_error(Class::Refused, &error))?
        .into_iter()
        .map(|blob| blob.digest)
        .collect();
    let created = loaded.config.created.as_deref();
    let new = NewImage {
        manifest: root,
        config: loaded.id,
        blobs: &blobs,
        snapshot: None,
        size: loaded.manifest.layers.iter().map(|layer| layer.size).sum(),
        created: created
            .and_then(image::time::parse_rfc3339)
            .unwrap_or_default(),
    };
    remember(store, &loaded.config, &loaded.manifest).map_err(|error| store_failure(&error))?;
    let names: Vec<ImageRef> = image.names.clone();
    store
        .add_image(&new, &names)
        .map_err(|error| store_failure(&error))?;
    Ok(loaded.id)
}

fn unreadable(shown: &str, error: &std::io::Error) -> Failure {
    let mut failure = Failure::new(Class::Refused, format!("cannot read {shown}"));
    failure.causes = vec![error.to_string()];
    failure
}

/// Says how far it is, and fails when somebody asks to stop.
struct Counted<'a, R> {
    inner: R,
    task: &'a Task,
    cancel: solver::Cancel,
    total: u64,
    done: u64,
    reported: u64,
}

impl<'a, R> Counted<'a, R> {
    fn new(inner: R, total: u64, task: &'a Task, cancel: &solver::Cancel) -> Self {
        Self {
            inner,
            task,
            cancel: cancel.clone(),
            total,
            done: 0,
            reported: 0,
        }
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(std::io::Error::other("stopped"));
        }
        let count = self.inner.read(buffer)?;
        self.done += count as u64;
        if self.done - self.reported >= REPORT_EVERY {
            self.reported = self.done;
            self.task.advance("archive", self.done, self.total);
        }
        Ok(count)
    }
}
