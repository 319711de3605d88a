//! From bytes to text: what no Dockerfile is.

use solver::Span;

use super::SyntaxError;

/// Bytes of the largest Dockerfile that is read. Whoever can should look at the size first.
pub const SOURCE_LIMIT: usize = 16 << 20;

/// The text of a Dockerfile.
///
/// # Errors
/// The bytes are none, too many, or no UTF-8 text. The place is in the bytes.
pub fn decode(bytes: &[u8]) -> Result<&str, SyntaxError> {
    let fail = |message: &str, at: usize, help: &str| {
        Err(SyntaxError::new(message, Span::from(at..at + 1)).with_help(help))
    };
    if bytes.is_empty() {
        return Err(empty());
    }
    if bytes.len() > SOURCE_LIMIT {
        let message = format!(
            "the Dockerfile is {} bytes long, more than the limit of {SOURCE_LIMIT}",
            bytes.len()
        );
        return fail(&message, 0, "is this the file that was meant?");
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        let message = "the Dockerfile is UTF-16 text";
        return fail(message, 0, "save it as UTF-8");
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        let message = "the Dockerfile is a binary file: it contains a NUL byte";
        return fail(message, at, "is this the file that was meant?");
    }
    std::str::from_utf8(bytes).or_else(|error| {
        let at = error.valid_up_to();
        let message = format!(
            "the Dockerfile is not UTF-8 text: byte 0x{:02x} on line {}",
            bytes[at],
            1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count()
        );
        fail(&message, at, "save it as UTF-8")
    })
}

pub(super) fn empty() -> SyntaxError {
    SyntaxError::new("the Dockerfile cannot be empty", Span::from(0..0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_dockerfile() {
        let table: &[(&[u8], &str)] = &[
            (b"", "the Dockerfile cannot be empty"),
            (b"\xff\xfeF\0", "the Dockerfile is UTF-16 text"),
            (
                b"\x7fELF\0",
                "the Dockerfile is a binary file: it contains a NUL byte",
            ),
            (
                b"FROM a\n# caf\xe9\n",
                "the Dockerfile is not UTF-8 text: byte 0xe9 on line 2",
            ),
        ];
        for (bytes, message) in table {
            assert_eq!(decode(bytes).unwrap_err().message, *message);
        }
        let error = decode(&vec![b' '; SOURCE_LIMIT + 1]).unwrap_err();
        assert!(error.message.contains("more than the limit"), "{error}");
        assert_eq!(decode("FROM é".as_bytes()), Ok("FROM é"));
    }
}
