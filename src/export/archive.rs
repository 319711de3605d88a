//! `type=oci` and `type=docker`: one tar, or an OCI layout directory.

use std::io::{BufWriter, Write};

use image::layout::{ArchiveKind, LayoutDir, NamedImage, save};

use super::{Destination, Export, Written, unwritable};
use crate::cli::value::{Output, OutputKind};
use crate::report::{Class, Failure};

/// Writes the archive.
pub fn write(export: &Export<'_>, output: &Output) -> Result<Written, Failure> {
    let docker = output.kind == OutputKind::Docker;
    if docker && export.made.len() > 1 {
        return Err(Failure::new(Class::Yours, "type=docker holds one platform")
            .help("use type=oci for several"));
    }
    let (descriptor, config) = export.documents(output, output.oci_mediatypes == Some(false))?;
    let names = export.names_of(output)?;
    let images = [NamedImage {
        descriptor: descriptor.clone(),
        names,
    }];
    let store = export.store();
    let task = export.progress.task(match &output.dest {
        Some(dest) => format!("[export] writing {}", dest.display()),
        None => "[export] writing to standard output".to_owned(),
    });
    let failed = |error: image::layout::LayoutError| Failure::from_error(Class::System, &error);
    if !output.tar {
        let dir = output.dest.clone().unwrap_or_default();
        let layout = LayoutDir::create(&dir).map_err(failed)?;
        layout.add(&images, &store.blobs()).map_err(failed)?;
    } else {
        // A docker archive without a destination goes to the store: the image is there already.
        let kind = if docker {
            ArchiveKind::Docker
        } else {
            ArchiveKind::Oci
        };
        let mut destination = Destination::open(output.dest.as_deref())?;
        // Headers are gathered; content comes in larger parts and is not copied once more.
        let mut writer = BufWriter::with_capacity(64 << 10, &mut destination);
        let written = save(&mut writer, kind, &images, &store.blobs()).map(|_| ());
        let flushed = writer.flush();
        drop(writer);
        if let Err(error) = written {
            return Err(destination.fail(failed(error)));
        }
        if let Err(error) = flushed {
            let dest = output.dest.as_deref().unwrap_or_else(|| "-".as_ref());
            return Err(destination.fail(unwritable(dest, &error)));
        }
        destination.finish()?;
    }
    task.done();
    Ok(Written {
        descriptor: Some(descriptor),
        config,
    })
}
