//! Lists of digests as the rows hold them: one byte that says what follows, and its 32 bytes.

use image::{DiffId, Digest};
use solver::{ChangeDigest, LayerDigest, StateDigest};

const NOTHING: u8 = 0;
const STATE: u8 = 1;
const BASE: u8 = 2;
const CHANGE: u8 = 3;

pub(super) fn write_digests(digests: &[LayerDigest]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(digests.len() * 33);
    for digest in digests {
        match digest {
            LayerDigest::Base(diff_id) => {
                bytes.push(BASE);
                bytes.extend(diff_id.0.as_bytes());
            }
            LayerDigest::Change(change) => {
                bytes.push(CHANGE);
                bytes.extend(change.0);
            }
        }
    }
    bytes
}

pub(super) fn read_digests(mut bytes: &[u8]) -> Option<Vec<LayerDigest>> {
    let mut digests = Vec::with_capacity(bytes.len() / 33);
    while let Some((kind, rest)) = bytes.split_first() {
        let (digest, rest) = rest.split_first_chunk::<32>()?;
        digests.push(match *kind {
            BASE => LayerDigest::Base(DiffId(Digest::from_bytes(*digest))),
            CHANGE => LayerDigest::Change(ChangeDigest(*digest)),
            _ => return None,
        });
        bytes = rest;
    }
    Some(digests)
}

pub(super) fn write_inputs(inputs: &[Option<StateDigest>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(inputs.len() * 33);
    for input in inputs {
        match input {
            Some(state) => {
                bytes.push(STATE);
                bytes.extend(state.0);
            }
            None => bytes.push(NOTHING),
        }
    }
    bytes
}

pub(super) fn read_inputs(mut bytes: &[u8]) -> Option<Vec<Option<StateDigest>>> {
    let mut inputs = Vec::new();
    while let Some((kind, rest)) = bytes.split_first() {
        bytes = rest;
        inputs.push(match *kind {
            NOTHING => None,
            STATE => {
                let (state, rest) = rest.split_first_chunk::<32>()?;
                bytes = rest;
                Some(StateDigest(*state))
            }
            _ => return None,
        });
    }
    Some(inputs)
}
