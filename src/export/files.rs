//! `type=local` and `type=tar`: the files alone.

use std::collections::HashMap;
use std::io::{BufWriter, Write};
use std::path::Path;

use cache::{MergedTree, View};

use super::{Destination, Export, Made, Written, unwritable};
use crate::cli::value::{Output, OutputKind};
use crate::home::store_failure;
use crate::report::{Class, Failure};

/// Writes the files of each platform: of several, each in a directory of its own.
pub fn write(export: &Export<'_>, output: &Output) -> Result<Written, Failure> {
    let split = output.platform_split.unwrap_or(export.made.len() > 1);
    let dest = output.dest.as_deref();
    let shown = dest.unwrap_or_else(|| Path::new("-"));
    let task = export
        .progress
        .task(format!("[export] writing files to {}", shown.display()));
    let mut trees = Vec::new();
    for made in export.made {
        let view = export.store().view(made.snapshot);
        trees.push((made, view.map_err(|error| store_failure(&error))?));
    }
    if !split && trees.len() > 1 {
        refuse_collisions(&trees)?;
    }
    if output.kind == OutputKind::Local {
        write_directory(export, output, &trees, split)?;
    } else {
        let mut destination = Destination::open(dest)?;
        if let Err(failure) = write_tar(export, &mut destination, &trees, split) {
            return Err(destination.fail(failure));
        }
        destination.finish()?;
    }
    if export.cancel.is_cancelled() {
        return Err(Failure::new(Class::Interrupted, "stopped"));
    }
    task.done();
    Ok(Written {
        descriptor: None,
        config: None,
    })
}

type Tree<'a> = (&'a Made<'a>, View);

fn write_directory(
    export: &Export<'_>,
    output: &Output,
    trees: &[Tree<'_>],
    split: bool,
) -> Result<(), Failure> {
    let dest = output.dest.as_deref().unwrap_or_else(|| Path::new("."));
    for (made, view) in trees {
        let mut dir = dest.to_owned();
        if split {
            dir.push(folder(made));
        }
        std::fs::create_dir_all(&dir).map_err(|error| unwritable(&dir, &error))?;
        let skipped = MergedTree::new(view, made.target.epoch)
            .write_to(&dir, &|| export.cancel.is_cancelled())
            .map_err(|error| Failure::from_error(Class::System, &error))?;
        if let Some(first) = skipped.devices.first() {
            export.progress.note(&format!(
                "warning: {} device nodes, such as /{}, are left out: only root makes them",
                skipped.devices.len(),
                String::from_utf8_lossy(first)
            ));
        }
    }
    Ok(())
}

fn write_tar(
    export: &Export<'_>,
    destination: &mut Destination,
    trees: &[Tree<'_>],
    split: bool,
) -> Result<(), Failure> {
    let failed =
        |error: &(dyn std::error::Error + 'static)| Failure::from_error(Class::System, error);
    let out = BufWriter::with_capacity(1 << 20, destination);
    let mut tar = image::tar::Writer::new(out);
    for (made, view) in trees {
        let prefix = if split { folder(made) } else { String::new() };
        let whole = MergedTree::new(view, made.target.epoch)
            .write_tar(&mut tar, prefix.as_bytes(), &|| {
                export.cancel.is_cancelled()
            })
            .map_err(|error| failed(&error))?;
        if !whole {
            return Err(Failure::new(Class::Interrupted, "stopped"));
        }
    }
    let mut out = tar.finish().map_err(|error| failed(&error))?;
    out.flush().map_err(|error| failed(&error))
}

/// The directory of a platform: `linux_arm_v7`.
fn folder(made: &Made<'_>) -> String {
    made.target.platform.to_string().replace('/', "_")
}

/// Files of several platforms can only share a directory if no two of them have one name.
fn refuse_collisions(trees: &[Tree<'_>]) -> Result<(), Failure> {
    let mut seen = HashMap::new();
    for (made, view) in trees {
        for path in MergedTree::new(view, None).leaves() {
            if let Some(other) = seen.insert(path.clone(), folder(made)) {
                return Err(Failure::new(
                    Class::Yours,
                    format!(
                        "cannot overwrite {} from {other} with {}",
                        String::from_utf8_lossy(&path),
                        folder(made)
                    ),
                )
                .help("leave out platform-split=false"));
            }
        }
    }
    Ok(())
}
