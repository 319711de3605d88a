//! `export`: the files of a container as a tar, without its volumes.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use cache::{MergedTree, View};
use image::tar::Writer;

use crate::cli::container::ExportArgs;
use crate::containers::{changes, find};
use crate::export::{Destination, unwritable};
use crate::home::Home;
use crate::report::{Class, Failure};

/// Writes the tar to a file or to standard output.
pub fn run(args: &ExportArgs, home: &Home) -> anyhow::Result<u8> {
    let store = home.enter_and_open()?;
    let row = find::row(&store, &args.container)?;
    let below = changes::below(&store, &row)?;
    let own = Arc::new(changes::shown(&store, &row, &below)?);
    let whole = View::new([below.layers(), &[own]].concat());
    let cancel = crate::stop::on_signal();
    let dest = args.output.as_deref();
    let mut destination = Destination::open(dest).map_err(Failure::refused)?;
    let written = (|| {
        let out = BufWriter::with_capacity(1 << 18, &mut destination);
        let mut tar = Writer::new(out);
        let failed =
            |error: &(dyn std::error::Error + 'static)| Failure::from_error(Class::System, error);
        let done = MergedTree::new(&whole, None)
            .write_tar(&mut tar, b"", &|| cancel.is_cancelled())
            .map_err(|error| failed(&error))?;
        if !done {
            return Err(Failure::new(Class::Interrupted, "stopped"));
        }
        let mut out = tar.finish().map_err(|error| failed(&error))?;
        out.flush()
            .map_err(|error| unwritable(dest.unwrap_or_else(|| Path::new("-")), &error))
    })();
    if let Err(failure) = written {
        return Err(destination.fail(failure).refused().into());
    }
    destination.finish().map_err(Failure::refused)?;
    Ok(0)
}
