//! What the fuzz targets do with bytes: each function takes any bytes and panics if something
//! does not hold. `fuzz_targets/` gives them to libFuzzer; `tests/short.rs` gives them their
//! corpus and some thousand mutations of it without any of its machinery.

mod answers;
mod files;
mod images;
mod layers;
mod plans;

pub use answers::answers;
pub use files::{expand, ignore, parse};
pub use images::{documents, load, reference};
pub use layers::{archive, compressed, index, unpack};
pub use plans::{flags, plan};

/// Takes any bytes.
pub type Target = fn(&[u8]);

/// All of them, by the names of their corpora.
pub const TARGETS: [(&str, Target); 13] = [
    ("parse", parse),
    ("expand", expand),
    ("ignore", ignore),
    ("plan", plan),
    ("flags", flags),
    ("archive", archive),
    ("unpack", unpack),
    ("compressed", compressed),
    ("documents", documents),
    ("load", load),
    ("reference", reference),
    ("answers", answers),
    ("index", index),
];

/// Text and what follows its first line: two inputs of one.
fn first_line(data: &[u8]) -> Option<(&str, &[u8])> {
    let end = data.iter().position(|byte| *byte == b'\n')?;
    Some((std::str::from_utf8(&data[..end]).ok()?, &data[end + 1..]))
}
