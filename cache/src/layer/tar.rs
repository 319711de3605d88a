//! A layer as an archive, and back.

use std::io::{Read, Write};

use super::{Entry, Layer, LayerError, NewLayer};

/// How a layer's tar is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct TarOptions {
    /// Latest modification time, in seconds since 1970: later ones become this (`rewrite-timestamp`).
    pub clamp: Option<i64>,
}

/// Writes a layer's tar from its index: sorted, normalised, the same bytes everywhere.
pub fn write_tar(
    layer: &Layer,
    options: TarOptions,
    out: &mut dyn Write,
) -> Result<(), LayerError> {
    let _ = (layer, options, out);
    todo!()
}

impl NewLayer {
    /// Unpacks a layer's tar (plain, as a diff id names it) into this layer, and gives the entries
    /// for [`commit_unpacked`](Self::commit_unpacked). Everything in the tar is hostile.
    pub fn unpack(&self, tar: &mut dyn Read) -> Result<Vec<Entry>, LayerError> {
        let _ = tar;
        todo!()
    }
}
