//! `images`, `tag`, `rmi` and `history`: what the store knows of images.

use std::fmt::Write as _;

use cache::images::UsedBy;
use cache::{Store, StoredImage};
use image::{Digest, ImageRef};
use solver::pattern::Pattern;

use crate::cli::images::{HistoryArgs, ImagesArgs, RmiArgs, TagArgs};
use crate::columns::{Columns, Row, custom, ellipsis, size};
use crate::export::parse_name;
use crate::home::{Home, store_failure};
use crate::images::{content_size, find, image_failure, load, settle, settle_all};
use crate::output::print;
use crate::report::{Class, Failure};
use crate::time::{ago, shown, written};

const NONE: &str = "<none>";
/// Letters of a command in a history that is cut.
const COMMAND: usize = 45;

/// Lists images, newest first.
pub fn list(args: &ImagesArgs, home: &Home) -> anyhow::Result<u8> {
    let store = home.enter_and_open()?;
    settle_all(&store, &crate::stop::on_signal()).map_err(|error| error.failure())?;
    let images = store.images().map_err(|error| store_failure(&error))?;
    let filters = Filters::new(&store, args)?;
    let mut rows = Vec::new();
    let mut ids = String::new();
    for image in &images {
        if !filters.take(&store, image)? {
            continue;
        }
        for (repository, tag, digest) in lines(image, args.digests) {
            if !filters.name(&repository, &tag) {
                continue;
            }
            let id = id(&image.config, args.no_trunc);
            // Writing to a text cannot fail.
            let _ = writeln!(ids, "{id}");
            rows.push(vec![
                "N/A".to_owned(),
                shown(image.created),
                ago(image.created),
                digest,
                id,
                repository,
                "N/A".to_owned(),
                size(image.size),
                tag,
                "N/A".to_owned(),
                size(image.size),
            ]);
        }
    }
    let format = custom(args.format.as_deref());
    if args.quiet && format.is_none() {
        print(&ids)?;
        return Ok(0);
    }
    let mut columns = vec!["Repository", "Tag", "ID", "CreatedSince", "Size"];
    if args.digests {
        columns.insert(2, "Digest");
    }
    Columns {
        fields: &[
            ("Containers", "CONTAINERS"),
            ("CreatedAt", "CREATED AT"),
            ("CreatedSince", "CREATED"),
            ("Digest", "DIGEST"),
            ("ID", "IMAGE ID"),
            ("Repository", "REPOSITORY"),
            ("SharedSize", "SHARED SIZE"),
            ("Size", "SIZE"),
            ("Tag", "TAG"),
            ("UniqueSize", "UNIQUE SIZE"),
            ("VirtualSize", "SIZE"),
        ],
        shown: columns,
    }
    .print(format, &rows)?;
    Ok(0)
}

/// Repository, tag and digest of each line that an image has in a list. A digest has a line of its
/// own only where its repository has no tag, or where digests are asked for and there are several.
fn lines(image: &StoredImage, digests: bool) -> Vec<(String, String, String)> {
    let names: Vec<ImageRef> = image.names.iter().filter_map(|n| n.parse().ok()).collect();
    let none = || NONE.to_owned();
    let mut lines = Vec::new();
    for name in names.iter().filter(|name| name.digest.is_none()) {
        let own: Vec<String> = names
            .iter()
            .filter(|other| other.name() == name.name())
            .filter_map(|other| Some(other.digest?.to_string()))
            .collect();
        let tag = name.tag.clone().unwrap_or_else(none);
        match own.as_slice() {
            several @ [_, _, ..] if digests => lines.extend(
                several
                    .iter()
                    .map(|digest| (name.familiar_name(), tag.clone(), digest.clone())),
            ),
            own => {
                let digest = own.first().cloned().unwrap_or_else(none);
                lines.push((name.familiar_name(), tag, digest));
            }
        }
    }
    for name in &names {
        let tagged = lines.iter().any(|line| line.0 == name.familiar_name());
        if let Some(digest) = name.digest
            && !tagged
        {
            lines.push((name.familiar_name(), none(), digest.to_string()));
        }
    }
    if lines.is_empty() {
        lines.push((none(), none(), none()));
    }
    lines
}

fn id(digest: &Digest, whole: bool) -> String {
    if whole {
        digest.to_string()
    } else {
        digest.hex()[..12].to_owned()
    }
}

/// Which images are listed.
#[derive(Default)]
struct Filters {
    names: Vec<String>,
    dangling: Option<bool>,
    labels: Vec<(String, Option<String>)>,
    before: Option<i64>,
    since: Option<i64>,
}

impl Filters {
    fn new(store: &Store, args: &ImagesArgs) -> Result<Self, Failure> {
        let mut filters = Self {
            names: Vec::from_iter(args.name.clone()),
            ..Self::default()
        };
        for filter in &args.filters {
            let value = filter.value.as_str();
            let invalid = || {
                Failure::new(
                    Class::Refused,
                    format!("invalid filter '{}={value}'", filter.name),
                )
            };
            match filter.name.as_str() {
                "reference" => filters.names.push(value.to_owned()),
                "dangling" => {
                    filters.dangling = Some(match value {
                        "true" | "1" => true,
                        "false" | "0" => false,
                        _ => return Err(invalid()),
                    });
                }
                "label" => filters.labels.push(match value.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                    None => (value.to_owned(), None),
                }),
                "before" => filters.before = Some(find(store, value)?.created),
                "since" => filters.since = Some(find(store, value)?.created),
                _ => return Err(invalid().help("use dangling, reference, label, before or since")),
            }
        }
        Ok(filters)
    }

    fn take(&self, store: &Store, image: &StoredImage) -> Result<bool, Failure> {
        let dangling = image.tags().next().is_none();
        let plain = self.dangling.is_none_or(|wanted| wanted == dangling)
            && self.before.is_none_or(|time| image.created < time)
            && self.since.is_none_or(|time| image.created > time);
        if !plain || self.labels.is_empty() {
            return Ok(plain);
        }
        let loaded = load(store, image, None).map_err(|error| error.failure())?;
        let labels = loaded.map(|loaded| loaded.config.config.labels);
        Ok(labels.is_some_and(|labels| {
            self.labels.iter().all(|(name, value)| {
                labels
                    .get(name)
                    .is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
            })
        }))
    }

    /// Whether any pattern fits the short form of a name, with or without its tag.
    fn name(&self, repository: &str, tag: &str) -> bool {
        let whole = format!("{repository}:{tag}");
        self.names.is_empty()
            || self.names.iter().any(|pattern| {
                let pattern = pattern.strip_prefix("docker.io/").unwrap_or(pattern);
                let pattern = pattern.strip_prefix("library/").unwrap_or(pattern);
                // What is no pattern fits nothing.
                Pattern::new(pattern)
                    .is_ok_and(|fits| fits.matches(repository) || fits.matches(&whole))
            })
    }
}

/// Gives an image another name.
pub fn tag(args: &TagArgs, home: &Home) -> anyhow::Result<u8> {
    let name = parse_name(&args.target).map_err(Failure::refused)?;
    let store = home.enter_and_open()?;
    let image = find(&store, &args.source)?;
    store
        .tag_image(&image.manifest, &name)
        .map_err(|error| store_failure(&error))?;
    Ok(0)
}

/// Takes names away, images with their last one, and then what nobody needs any more.
pub fn remove(args: &RmiArgs, home: &Home) -> anyhow::Result<u8> {
    let store = home.enter_and_open()?;
    let mut failures = Vec::new();
    let mut missing = Vec::new();
    let mut is_gone = false;
    let containers = store.containers().map_err(|error| store_failure(&error))?;
    let users = |image: &StoredImage| -> Option<UsedBy> {
        let own = containers.iter().filter(|row| row.config == image.config);
        let mut all: Vec<UsedBy> = own
            .map(|row| UsedBy {
                container: row.short_id().to_owned(),
                running: crate::containers::find::status(&store, row)
                    .is_ok_and(|status| status.state.is_live()),
            })
            .collect();
        all.sort_by_key(|user| !user.running);
        all.into_iter().next()
    };
    let cancel = crate::stop::on_signal();
    for text in &args.images {
        settle(&store, text, &cancel).map_err(|error| error.failure())?;
        match store.remove_image(text, args.force, &users) {
            Ok(removed) => {
                let mut said = String::new();
                for name in &removed.untagged {
                    let _ = writeln!(said, "Untagged: {name}");
                }
                if let Some(id) = removed.deleted {
                    is_gone = true;
                    let _ = writeln!(said, "Deleted: {id}");
                }
                print(&said)?;
            }
            // By force what is not there is gone already.
            Err(error @ cache::ImageError::Unknown(_)) if args.force => {
                missing.push(image_failure(&error));
            }
            Err(error) => failures.push(image_failure(&error)),
        }
    }
    if is_gone {
        store
            .collect_garbage()
            .map_err(|error| store_failure(&error))?;
    }
    if let Some(failure) = Failure::all(failures) {
        return Err(failure.into());
    }
    if let Some(failure) = Failure::all(missing) {
        crate::report::report(&failure.into());
    }
    Ok(0)
}

/// Shows the steps that made an image, newest first.
pub fn history(args: &HistoryArgs, home: &Home) -> anyhow::Result<u8> {
    let store = home.enter_and_open()?;
    let image = find(&store, &args.image)?;
    let loaded = crate::images::load_host(&store, &image)?;
    let mut sizes = layer_sizes(&store, &image, &loaded.manifest)?.into_iter();
    let mut rows: Vec<Row> = Vec::new();
    for step in &loaded.config.history {
        let bytes = if step.empty_layer {
            0
        } else {
            sizes.next().unwrap_or_default()
        };
        let seconds = step.created.as_deref().and_then(image::time::parse_rfc3339);
        let seconds = seconds.unwrap_or_default();
        let command = step.created_by.replace('\t', " ");
        rows.push(vec![
            "<missing>".to_owned(),
            written(seconds),
            if args.human {
                ago(seconds)
            } else {
                written(seconds)
            },
            if args.no_trunc {
                command
            } else {
                ellipsis(&command, COMMAND)
            },
            if args.human {
                size(bytes)
            } else {
                bytes.to_string()
            },
            step.comment.clone(),
        ]);
    }
    rows.reverse();
    if let Some(newest) = rows.first_mut() {
        newest[0] = id(&loaded.id, args.no_trunc);
    }
    if args.quiet {
        let ids: String = rows.iter().flat_map(|row| [&row[0], "\n"]).collect();
        print(&ids)?;
        return Ok(0);
    }
    Columns {
        fields: &[
            ("ID", "IMAGE"),
            ("CreatedAt", "CREATED AT"),
            ("CreatedSince", "CREATED"),
            ("CreatedBy", "CREATED BY"),
            ("Size", "SIZE"),
            ("Comment", "COMMENT"),
        ],
        shown: vec![
            "ID",
            if args.human {
                "CreatedSince"
            } else {
                "CreatedAt"
            },
            "CreatedBy",
            "Size",
            "Comment",
        ],
    }
    .print(args.format.as_deref(), &rows)?;
    Ok(0)
}

/// Bytes of the files of each layer, lowest first; of layers that are not unpacked, of their blobs.
fn layer_sizes(
    store: &Store,
    image: &StoredImage,
    manifest: &image::Manifest,
) -> Result<Vec<u64>, Failure> {
    let snapshot = image.snapshot.as_ref();
    let Some(snapshot) = snapshot.filter(|s| s.layers.len() == manifest.layers.len()) else {
        return Ok(manifest.layers.iter().map(|layer| layer.size).collect());
    };
    let mut sizes = Vec::with_capacity(snapshot.layers.len());
    for (id, descriptor) in snapshot.layers.iter().zip(&manifest.layers) {
        sizes.push(match store.layer(id) {
            Ok(layer) => content_size(&layer),
            Err(_) => descriptor.size,
        });
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(names: &[&str]) -> StoredImage {
        StoredImage {
            manifest: Digest::of(b"m"),
            config: Digest::of(b"c"),
            names: names
                .iter()
                .map(|name| name.parse::<ImageRef>().unwrap().to_string())
                .collect(),
            snapshot: None,
            size: 0,
            created: 0,
            named: None,
        }
    }

    #[test]
    fn each_name_is_a_line_and_no_name_is_one_too() {
        let digest = Digest::of(b"m");
        let by_digest = format!("app@{digest}");
        let shown = |names: &[&str]| -> Vec<String> {
            lines(&image(names), true)
                .into_iter()
                .map(|(a, b, c)| format!("{a} {b} {c}"))
                .collect()
        };
        assert_eq!(shown(&[]), ["<none> <none> <none>"]);
        assert_eq!(
            shown(&["app:1", "example.org/x:2", &by_digest]),
            [
                format!("app 1 {digest}"),
                "example.org/x 2 <none>".to_owned()
            ]
        );
        assert_eq!(shown(&[&by_digest]), [format!("app <none> {digest}")]);
    }

    #[test]
    fn patterns_fit_short_names() {
        for (pattern, repository, fit) in [
            ("app", "app", true),
            ("a*", "app", true),
            ("*", "example.org/app", false),
            ("*/*", "example.org/app", true),
            ("a?p:1*", "app", true),
            ("a?p:2*", "app", false),
            ("docker.io/library/[a-c]pp", "app", true),
            ("[^a-c]pp", "app", false),
            ("\\app", "app", true),
            ("[app", "app", false),
        ] {
            let filters = Filters {
                names: vec![pattern.to_owned()],
                ..Filters::default()
            };
            assert_eq!(filters.name(repository, "1.2"), fit, "{pattern}");
        }
    }
}
