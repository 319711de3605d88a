//! `type=local` and `type=tar`: the files alone.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use cache::{MergedTree, TarOptions};

use super::{Destination, Export, Written, unwritable};
use crate::cli::value::{Output, OutputKind};
use crate::report::{Class, Failure};

/// Writes the files of each platform: of several, each in a directory of its own.
pub fn write(export: &Export<'_>, output: &Output) -> Result<Written, Failure> {
    let split = export.made.len() > 1;
    let dest = output.dest.as_deref();
    let task = export.progress.task(format!("[export] writing files to {}", dest.unwrap_or_else(|| Path::new("-")).display()));
    if output.kind == OutputKind::Local {
        for made in export.made {
            let view = export.store().view(made.snapshot).map_err(|error| crate::home::store_failure(&error))?;
            let mut dir = dest.unwrap_or_else(|| Path::new(".")).to_owned();
            if split {
                dir.push(made.target.platform.to_string().replace('/', "_"));
            }
            std::fs::create_dir_all(&dir).map_err(|error| unwritable(&dir, &error))?;
            MergedTree::new(&view)
                .write_to(&dir, made.target.epoch, &|| export.cancel.is_cancelled())
                .map_err(|error| Failure::from_error(Class::System, &error))?;
        }
    } else {
        let mut destination = Destination::open(dest)?;
        let written = write_tar(export, &mut destination, split);
        if let Err(failure) = written {
            destination.discard();
            return Err(failure);
        }
        destination.finish()?;
    }
    task.done();
    Ok(Written { descriptor: None, config: None })
}

fn write_tar(export: &Export<'_>, destination: &mut Destination, split: bool) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(1 << 20, destination);
    let mut tar = image::tar::Writer::new(&mut out);
    for made in export.made {
        let view = export.store().view(made.snapshot).map_err(|error| crate::home::store_failure(&error))?;
        let prefix = if split { PathBuf::from(made.target.platform.to_string().replace('/', "_")) } else { PathBuf::new() };
        let options = TarOptions { clamp: made.target.epoch };
        MergedTree::new(&view)
            .write_tar(&mut tar, &prefix, options)
            .map_err(|error| Failure::from_error(Class::System, &error))?;
    }
    tar.finish().map_err(|error| unwritable(Path::new("-"), &error.into()))?;
    out.flush().map_err(|error| unwritable(Path::new("-"), &error))
}
