//! Extended headers (POSIX.1-2001, pax): records of `LENGTH KEY=VALUE\n`.

use std::collections::BTreeMap;

use super::{TarError, Time};

pub(super) const XATTR: &[u8] = b"SCHILY.xattr.";

/// The records of one header, in its order: GNU's sparse format 0.0 repeats keys.
pub(super) type Records = Vec<(Vec<u8>, Vec<u8>)>;

/// Splits a header's body into its records.
pub(super) fn parse(mut bytes: &[u8]) -> Result<Records, TarError> {
    let bad = |reason| TarError::Pax { reason };
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let blank = bytes
            .iter()
            .take(20)
            .position(|b| *b == b' ')
            .ok_or_else(|| bad("a record has no length"))?;
        let length = decimal(&bytes[..blank])
            .and_then(|n| usize::try_from(n).ok())
            .filter(|n| *n > blank + 2 && *n <= bytes.len())
            .ok_or_else(|| bad("the length of a record is wrong"))?;
        let (record, rest) = bytes.split_at(length);
        let record = record[blank + 1..]
            .strip_suffix(b"\n")
            .ok_or_else(|| bad("a record does not end with its line"))?;
        let equals = record
            .iter()
            .position(|b| *b == b'=')
            .filter(|n| *n > 0)
            .ok_or_else(|| bad("a record has no key"))?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        let text = matches!(key, b"path" | b"linkpath" | b"uname" | b"gname");
        if key.contains(&0) || (text && value.contains(&0)) {
            return Err(bad("a name holds a NUL"));
        }
        records.push((key.to_vec(), value.to_vec()));
        bytes = rest;
    }
    Ok(records)
}

/// Writes records in the order of their keys.
pub(super) fn write(records: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in records {
        // The length counts its own digits.
        let rest = key.len() + value.len() + 3;
        let mut length = rest + digits(rest);
        length = rest + digits(length);
        out.extend_from_slice(length.to_string().as_bytes());
        out.push(b' ');
        out.extend_from_slice(key);
        out.push(b'=');
        out.extend_from_slice(value);
        out.push(b'\n');
    }
    out
}

fn digits(number: usize) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

/// A whole, unsigned decimal number.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// `[-]SECONDS[.FRACTION]`; digits past the ninth are cut.
pub(super) fn time(text: &[u8]) -> Option<Time> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut parts = text.splitn(2, |b| *b == b'.');
    let seconds = i64::try_from(decimal(parts.next()?)?).ok()?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let nanos = (0..9).fold(0_u32, |nanos, n| {
        nanos * 10 + fraction.get(n).map_or(0, |digit| u32::from(digit - b'0'))
    });
    Some(match (negative, nanos) {
        (false, _) => Time { seconds, nanos },
        (true, 0) => Time {
            seconds: -seconds,
            nanos,
        },
        (true, _) => Time {
            seconds: -seconds - 1,
            nanos: 1_000_000_000 - nanos,
        },
    })
}

/// The text that [`time`] reads back, without zeros at its end.
pub(super) fn time_text(time: Time) -> String {
    let Time { seconds, nanos } = time;
    if nanos == 0 {
        return seconds.to_string();
    }
    let (sign, whole, nanos) = if seconds < 0 {
        ("-", (seconds + 1).unsigned_abs(), 1_000_000_000 - nanos)
    } else {
        ("", seconds.unsigned_abs(), nanos)
    };
    let text = format!("{sign}{whole}.{nanos:09}");
    text.trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn broken_records_are_refused() {
        for text in [
            &b"x"[..],
            b"6 a=\n",
            b"6 a=b\nx",
            b"99 a=b\n",
            b"6 a=bc",
            b"5 =b\n",
            b"-6 a=b\n",
            b"18446744073709551617 a=b\n",
            b"11 path=\0\0\n",
        ] {
            assert!(parse(text).is_err(), "{:?}", String::from_utf8_lossy(text));
        }
        assert_eq!(
            parse(b"6 a=b\n7 c==d\n").unwrap(),
            [
                (b"a".to_vec(), b"b".to_vec()),
                (b"c".to_vec(), b"=d".to_vec())
            ]
        );
    }

    #[test]
    fn lengths_count_themselves() {
        for size in [0, 3, 4, 5, 92, 93, 94, 95, 96, 990, 991, 992, 993] {
            let records = BTreeMap::from([(b"k".to_vec(), vec![b'v'; size])]);
            let read = parse(&write(&records)).unwrap();
            assert_eq!(read, records.into_iter().collect::<Vec<_>>(), "{size}");
        }
    }

    proptest! {
        #[test]
        fn times_read_what_they_write(seconds in -10_000_000_000_i64..10_000_000_000, nanos in 0_u32..1_000_000_000) {
            let at = Time { seconds, nanos };
            prop_assert_eq!(time(time_text(at).as_bytes()), Some(at));
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&bytes);
            let _ = time(&bytes);
        }
    }
}
