//! `--chmod`: octal numbers and the symbolic modes of chmod(1).

use solver::op::ModeChange;

use super::error::PlanError;

/// Reads a mode.
pub(super) fn parse(text: &str) -> Result<ModeChange, PlanError> {
    let out_of_range = || {
        PlanError::new(format!(
            "invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"
        ))
    };
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return match u32::from_str_radix(text, 8) {
            Ok(mode) if mode <= 0o7777 => Ok(ModeChange::Octal(mode)),
            _ => Err(out_of_range()),
        };
    }
    if text.split(',').all(is_clause) {
        return Ok(ModeChange::Symbolic(text.to_owned()));
    }
    Err(PlanError::new(format!(
        "invalid chmod parameter: '{text}': invalid syntax"
    )))
}

/// `[ugoa]*([-+=][rwxXstugo]*)+`
fn is_clause(clause: &str) -> bool {
    let actions = clause.trim_start_matches(['u', 'g', 'o', 'a']);
    actions.starts_with(['+', '-', '='])
        && actions.chars().all(|c| {
            matches!(
                c,
                '+' | '-' | '=' | 'r' | 'w' | 'x' | 'X' | 's' | 't' | 'u' | 'g' | 'o'
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_and_symbolic() {
        assert_eq!(parse("0755").unwrap(), ModeChange::Octal(0o755));
        assert_eq!(parse("7777").unwrap(), ModeChange::Octal(0o7777));
        for text in ["+x", "u=rwX,go=rX", "o=", "g=u", "a+r-w", "u+s,+t", "="] {
            assert_eq!(parse(text).unwrap(), ModeChange::Symbolic(text.to_owned()));
        }
        for text in ["10000", "8", "0x1", "99999999999999999999"] {
            let message = parse(text).unwrap_err().message;
            assert!(message.contains("between 0 and 07777"), "{message}");
        }
        for text in ["", "u", "rwx", "u+q", "u+x,", ",u+x", "u+xu+x y", "a"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
