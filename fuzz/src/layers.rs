//! What layers are made of: tars, packed or not, and the indexes of a store.

use std::cell::OnceCell;
use std::io::Read;

use cache::{LayerIndex, Store, StoreOptions};
use image::compress::Decoder;
use image::tar::Reader;

const BLOCK: usize = 512;
/// The most that is read of one input, in bytes: a bomb is another test's subject.
const MOST: u64 = 1 << 20;

/// The bytes with the checksum of every tar header made right: mutations cannot guess it.
pub(crate) fn mended(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    for block in bytes.chunks_exact_mut(BLOCK) {
        if &block[257..262] != b"ustar" {
            continue;
        }
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    bytes
}

/// A tar, read to its end: a member has as many bytes as it says.
pub fn archive(data: &[u8]) {
    let bytes = mended(data);
    let mut reader = Reader::new(&bytes[..]);
    let mut left = MOST;
    while let Ok(Some(entry)) = reader.next_entry() {
        let mut body = reader.body().take(left);
        let Ok(count) = std::io::copy(&mut body, &mut std::io::sink()) else {
            return;
        };
        left -= count;
        if left == 0 {
            return;
        }
        assert_eq!(count, entry.size, "{entry:?}");
    }
}

/// A layer's tar, unpacked into a store: whatever it says, what it leaves is an index that can
/// be read, and files below the layer alone.
pub fn unpack(data: &[u8]) {
    thread_local! {
        static STORE: OnceCell<(tempfile::TempDir, Store)> = const { OnceCell::new() };
    }
    let bytes = mended(data);
    // A member that is all hole would only take time.
    let mut reader = Reader::new(&bytes[..]);
    let mut sizes = 0_u64;
    while let Ok(Some(entry)) = reader.next_entry() {
        sizes = sizes.saturating_add(entry.size);
    }
    if sizes > MOST {
        return;
    }
    STORE.with(|store| {
        let (_, store) = store.get_or_init(|| {
            let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
            let dir = dir.expect("there is room for a store");
            let store = Store::open(StoreOptions::new(dir.path().join("store")));
            (dir, store.expect("a store opens"))
        });
        let layer = store.new_layer().expect("a layer is begun");
        let Ok(unpacked) = layer.unpack(&mut &bytes[..]) else {
            return;
        };
        let entries = unpacked.into_entries();
        if let Ok(index) = LayerIndex::new(entries) {
            LayerIndex::from_bytes(index.as_bytes().to_vec()).expect("what was made is read");
        }
    });
}

/// Something packed, of any format.
pub fn compressed(data: &[u8]) {
    if let Ok(decoder) = Decoder::new(data) {
        let _ = std::io::copy(&mut decoder.take(MOST), &mut std::io::sink());
    }
}

/// The index of a layer: refused, or as good as one that was made here.
pub fn index(data: &[u8]) {
    let Ok(index) = LayerIndex::from_bytes(cache::layer::with_checksum(data)) else {
        return;
    };
    let _ = index.verify_change();
    let entries: Vec<_> = index.iter().collect();
    for entry in &entries {
        assert_eq!(index.get(&entry.path).as_ref(), Some(entry));
    }
    let again = LayerIndex::new(entries).expect("its entries make an index");
    assert_eq!(again.iter().len(), index.iter().len());
}
