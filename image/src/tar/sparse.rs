//! Files with holes (GNU tar's manual, "Storing Sparse Files"): the four ways to write their map.

use std::io::Read;

use super::header::number;
use super::{BLOCK, EXTENSION_LIMIT, TarError, pax};

/// Bytes that are there: `length` of them at `offset` of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// What the extended header of a sparse file says.
#[derive(Debug, Default)]
pub(super) struct SparseRecords {
    major: Option<Vec<u8>>,
    minor: Option<Vec<u8>>,
    pub(super) name: Option<Vec<u8>>,
    size: Option<Vec<u8>>,
    map: Option<Vec<u8>>,
    pairs: Vec<Vec<u8>>,
}

/// Where the map of a sparse file is found.
pub(super) enum Map {
    /// It is no sparse file.
    None,
    /// In the extended header (0.0 and 0.1): the numbers.
    Given(Vec<u64>),
    /// In front of the content (1.0).
    InBody,
}

impl SparseRecords {
    /// Takes a record when it is about sparse files.
    pub(super) fn take(&mut self, key: &[u8], value: &[u8]) -> Result<bool, TarError> {
        let slot = match key {
            b"GNU.sparse.major" => &mut self.major,
            b"GNU.sparse.minor" => &mut self.minor,
            b"GNU.sparse.name" => &mut self.name,
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => &mut self.size,
            b"GNU.sparse.map" => &mut self.map,
            b"GNU.sparse.numblocks" => return Ok(true),
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                let is_length = key.ends_with(b"numbytes");
                if is_length != (self.pairs.len() % 2 == 1) {
                    return Err(TarError::Pax {
                        reason: "offsets and lengths of a sparse file do not alternate",
                    });
                }
                self.pairs.push(value.to_vec());
                return Ok(true);
            }
            _ => return Ok(false),
        };
        *slot = Some(value.to_vec());
        Ok(true)
    }

    /// The length of the file with its holes, where one is given.
    pub(super) fn size(&self) -> Option<Option<u64>> {
        self.size.as_deref().map(pax::decimal)
    }

    /// Where the map is.
    pub(super) fn map(&self) -> Option<Map> {
        match (self.major.as_deref(), self.minor.as_deref()) {
            (Some(b"1"), Some(b"0")) => return Some(Map::InBody),
            (None, None) | (Some(b"0"), Some(b"0" | b"1")) => {}
            _ => return None,
        }
        let numbers: Vec<&[u8]> = match &self.map {
            Some(map) => map.split(|b| *b == b',').collect(),
            None if self.pairs.is_empty() => return Some(Map::None),
            None => self.pairs.iter().map(Vec::as_slice).collect(),
        };
        let numbers: Option<Vec<u64>> = numbers.into_iter().map(pax::decimal).collect();
        numbers.map(Map::Given)
    }
}

/// Numbers of the old format: those of the header, then of extension blocks of 21 pairs.
/// Returns them with the number of bytes read.
pub(super) fn read_old(
    pairs: &[u8],
    mut extended: bool,
    from: &mut impl Read,
) -> Result<(Vec<u64>, u64), TarError> {
    let mut numbers = Vec::new();
    let mut read = 0;
    take_pairs(pairs, &mut numbers)?;
    while extended {
        let mut block = [0; BLOCK];
        super::reader::fill(from, &mut block)?;
        read += BLOCK as u64;
        too_large(read)?;
        take_pairs(&block[..504], &mut numbers)?;
        extended = block[504] != 0;
    }
    Ok((numbers, read))
}

fn take_pairs(bytes: &[u8], numbers: &mut Vec<u64>) -> Result<(), TarError> {
    for pair in bytes.chunks_exact(24) {
        if pair[0] == 0 {
            break;
        }
        for field in pair.chunks_exact(12) {
            let value = number(field).and_then(|n| u64::try_from(n).ok());
            numbers.push(value.ok_or(TarError::Pax {
                reason: "a number of a sparse file's map is none",
            })?);
        }
    }
    Ok(())
}

/// Numbers of format 1.0: lines in front of the content, filled up to a block. Returns them with
/// the number of bytes read; at most `available` bytes are.
pub(super) fn read_in_body(
    from: &mut impl Read,
    available: u64,
) -> Result<(Vec<u64>, u64), TarError> {
    let bad = || TarError::Pax {
        reason: "the map in front of a sparse file's content is malformed",
    };
    let mut numbers = Vec::new();
    let mut wanted = None;
    let mut line = Vec::new();
    let mut read = 0;
    while wanted != Some(numbers.len() as u64) {
        if read + BLOCK as u64 > available {
            return Err(bad());
        }
        let mut block = [0; BLOCK];
        super::reader::fill(from, &mut block)?;
        read += BLOCK as u64;
        too_large(read)?;
        for byte in block {
            if byte != b'\n' {
                line.push(byte);
                continue;
            }
            let number = pax::decimal(&line).ok_or_else(bad)?;
            line.clear();
            match wanted {
                None => wanted = Some(number.checked_mul(2).ok_or_else(bad)?),
                Some(_) => numbers.push(number),
            }
            if wanted == Some(numbers.len() as u64) {
                break;
            }
        }
    }
    Ok((numbers, read))
}

fn too_large(size: u64) -> Result<(), TarError> {
    if size > EXTENSION_LIMIT {
        return Err(TarError::TooLarge {
            what: "the map of a sparse file",
            size,
            limit: EXTENSION_LIMIT,
        });
    }
    Ok(())
}

/// The extents of a map, lowest first and apart, when it fits a file of `size` bytes of which
/// `stored` are in the archive. Empty extents are left out.
pub(super) fn extents(numbers: &[u64], size: u64, stored: u64) -> Option<Vec<Extent>> {
    if !numbers.len().is_multiple_of(2) {
        return None;
    }
    let mut extents = Vec::with_capacity(numbers.len() / 2);
    let (mut end, mut sum) = (0_u64, 0_u64);
    for pair in numbers.chunks_exact(2) {
        let (offset, length) = (pair[0], pair[1]);
        if offset < end {
            return None;
        }
        end = offset.checked_add(length)?;
        sum += length;
        if end > size {
            return None;
        }
        if length > 0 {
            extents.push(Extent { offset, length });
        }
    }
    (sum == stored).then_some(extents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_must_be_sorted_and_fit() {
        let extent = |offset, length| Extent { offset, length };
        for (numbers, size, stored, expected) in [
            (
                &[0, 2, 5, 3][..],
                8,
                5,
                Some(vec![extent(0, 2), extent(5, 3)]),
            ),
            (&[0, 2, 8, 0], 8, 2, Some(vec![extent(0, 2)])),
            (&[], 8, 0, Some(vec![])),
            (&[0, 2, 1, 3], 8, 5, None),
            (&[0, 9], 8, 9, None),
            (&[0, 2], 8, 3, None),
            (&[0], 8, 0, None),
            (&[u64::MAX, 2], u64::MAX, 2, None),
        ] {
            assert_eq!(extents(numbers, size, stored), expected, "{numbers:?}");
        }
    }
}
