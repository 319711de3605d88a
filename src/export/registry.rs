//! `type=registry`, `push=true` and `--push`: the image goes where its name says.

use super::{Export, Written};
use crate::cli::value::Output;
use crate::images::send;
use crate::report::{Class, Failure};

/// Packs the image and sends what the registry does not have.
pub fn write(export: &Export<'_>, output: &Output) -> Result<Written, Failure> {
    let names = export.names_of(output)?;
    if names.is_empty() {
        return Err(Failure::new(Class::Yours, "a push needs a name").help("give one with -t"));
    }
    let (descriptor, config) = export.documents(output, output.oci_mediatypes == Some(false))?;
    for name in &names {
        send(export.images, name, &descriptor, export.progress)?;
    }
    Ok(Written {
        descriptor: Some(descriptor),
        config,
    })
}
