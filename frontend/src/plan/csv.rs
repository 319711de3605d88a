//! Options that are written as one line of comma-separated values (RFC 4180).

use std::borrow::Cow;

use super::error::PlanError;

/// The fields of one line of comma-separated values; a quoted field may hold commas.
pub(super) fn fields(value: &str) -> Result<Vec<Cow<'_, str>>, PlanError> {
    let fail = |what: &str| PlanError::new(format!("failed to parse csv mounts: {what}"));
    let mut rest = value.strip_suffix('\n').unwrap_or(value);
    if rest.is_empty() {
        return Err(fail("EOF"));
    }
    let mut fields = Vec::new();
    loop {
        let Some(mut quoted) = rest.strip_prefix('"') else {
            let (field, more) = match rest.split_once(',') {
                Some((field, more)) => (field, Some(more)),
                None => (rest, None),
            };
            if field.contains('"') {
                return Err(fail("bare \" in non-quoted field"));
            }
            fields.push(Cow::Borrowed(field));
            match more {
                Some(more) => rest = more,
                None => return Ok(fields),
            }
            continue;
        };
        let mut field = String::new();
        loop {
            let Some((part, after)) = quoted.split_once('"') else {
                return Err(fail("extraneous or missing \" in quoted-field"));
            };
            field.push_str(part);
            match after.strip_prefix('"') {
                Some(more) => {
                    field.push('"');
                    quoted = more;
                }
                None => {
                    quoted = after;
                    break;
                }
            }
        }
        fields.push(Cow::Owned(field));
        match quoted.strip_prefix(',') {
            Some(more) => rest = more,
            None if quoted.is_empty() => return Ok(fields),
            None => return Err(fail("extraneous or missing \" in quoted-field")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_be_quoted() {
        for (line, expected) in [
            ("a", &["a"][..]),
            ("a,,b,", &["a", "", "b", ""]),
            ("\"a,b\",c", &["a,b", "c"]),
            ("\"a\"\"b\"", &["a\"b"]),
            ("\"\"", &[""]),
        ] {
            assert_eq!(fields(line).unwrap(), expected, "{line}");
        }
        for line in ["", "a\"b", "\"a", "\"a\"b"] {
            assert!(fields(line).is_err(), "{line}");
        }
    }
}
