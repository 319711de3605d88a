//! `--chmod`: exact modes, and the symbolic ones of chmod(1) without a umask.
//!
//! Knows bits only, no files.

use solver::op::ModeChange;

use super::error::OpError;

const USER: u32 = 0o4700;
const GROUP: u32 = 0o2070;
const OTHER: u32 = 0o1007;
const SET_ID: u32 = 0o6000;
const EXECUTE: u32 = 0o111;

/// A parsed change of mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chmod {
    /// Exactly these bits.
    Exact(u32),
    /// One after the other.
    Clauses(Vec<Clause>),
}

/// One `who op what`, such as `go=rX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// Bits that may be touched.
    who: u32,
    operator: Operator,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Add,
    Remove,
    Set,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// Bits, and whether `X` was among them.
    Bits { bits: u32, search: bool },
    /// The permissions of a class, by its shift: 6, 3 or 0.
    Class(u32),
}

impl Chmod {
    /// Parses a change; the error names the text.
    pub fn parse(change: &ModeChange) -> Result<Self, OpError> {
        match change {
            ModeChange::Octal(bits) if *bits <= 0o7777 => Ok(Self::Exact(*bits)),
            ModeChange::Octal(bits) => Err(OpError::BadMode {
                mode: format!("{bits:o}"),
            }),
            ModeChange::Symbolic(text) => symbolic(text)
                .map(Self::Clauses)
                .ok_or_else(|| OpError::BadMode { mode: text.clone() }),
        }
    }

    /// The mode that `mode` becomes.
    pub fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        match self {
            Self::Exact(bits) => *bits,
            Self::Clauses(clauses) => clauses
                .iter()
                .fold(mode & 0o7777, |mode, clause| clause.apply(mode, is_dir)),
        }
    }

    /// Mode of a directory that is made on the way to the destination: an exact mode without its
    /// set-id and sticky bits; a symbolic one leaves such a directory as it would be.
    pub fn of_made_dir(&self) -> u32 {
        match self {
            Self::Exact(bits) => bits & 0o777,
            Self::Clauses(_) => 0o755,
        }
    }
}

impl Clause {
    fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        let (bits, mentioned) = match self.what {
            What::Bits { bits, search } => {
                let search = if search && (is_dir || mode & EXECUTE != 0) {
                    EXECUTE
                } else {
                    0
                };
                (bits | search, bits & SET_ID)
            }
            What::Class(shift) => ((mode >> shift & 7) * 0o111, 0),
        };
        let bits = bits & self.who;
        match self.operator {
            Operator::Add => mode | bits,
            Operator::Remove => mode & !bits,
            Operator::Set => {
                // A directory keeps set-id bits that were not spoken of, as chmod(1) says.
                let kept = if is_dir { SET_ID & !mentioned } else { 0 };
                mode & (!self.who | kept) | bits
            }
        }
    }
}

fn symbolic(text: &str) -> Option<Vec<Clause>> {
    let mut clauses = Vec::new();
    for part in text.split(',') {
        let operators = part.find(['+', '-', '='])?;
        let (who, mut rest) = part.split_at(operators);
        let who = match who {
            "" => 0o7777,
            named => named
                .chars()
                .try_fold(0, |bits, class| Some(bits | class_bits(class)?))?,
        };
        while let Some(operator) = rest.chars().next() {
            let operator = match operator {
                '+' => Operator::Add,
                '-' => Operator::Remove,
                '=' => Operator::Set,
                _ => return None,
            };
            let end = rest[1..]
                .find(['+', '-', '='])
                .map_or(rest.len(), |at| at + 1);
            let what = what(&rest[1..end])?;
            clauses.push(Clause {
                who,
                operator,
                what,
            });
            rest = &rest[end..];
        }
    }
    Some(clauses)
}

fn class_bits(class: char) -> Option<u32> {
    match class {
        'u' => Some(USER),
        'g' => Some(GROUP),
        'o' => Some(OTHER),
        'a' => Some(0o7777),
        _ => None,
    }
}

fn what(text: &str) -> Option<What> {
    match text {
        "u" => return Some(What::Class(6)),
        "g" => return Some(What::Class(3)),
        "o" => return Some(What::Class(0)),
        _ => {}
    }
    let (mut bits, mut search) = (0, false);
    for letter in text.chars() {
        match letter {
            'r' => bits |= 0o444,
            'w' => bits |= 0o222,
            'x' => bits |= EXECUTE,
            'X' => search = true,
            's' => bits |= SET_ID,
            't' => bits |= 0o1000,
            _ => return None,
        }
    }
    Some(What::Bits { bits, search })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(text: &str) -> Result<Chmod, OpError> {
        Chmod::parse(&ModeChange::Symbolic(text.to_owned()))
    }

    #[test]
    fn symbolic_modes_do_what_chmod_does() {
        for (text, is_dir, before, after) in [
            ("a+x", false, 0o644, 0o755),
            ("+x", false, 0o644, 0o755),
            ("u+x,g-r", false, 0o644, 0o704),
            ("o=", false, 0o644, 0o640),
            ("u=rwX,go=rX", false, 0o600, 0o644),
            ("u=rwX,go=rX", false, 0o700, 0o755),
            ("u=rwX,go=rX", true, 0o600, 0o755),
            ("g=u", false, 0o640, 0o660),
            ("go=u-w", false, 0o640, 0o644),
            ("o+t", true, 0o755, 0o1755),
            ("+t", true, 0o755, 0o1755),
            ("u+t", true, 0o755, 0o755),
            ("u+s", false, 0o755, 0o4755),
            ("g+s", true, 0o755, 0o2755),
            ("+s", false, 0o755, 0o6755),
            ("u-s", false, 0o4755, 0o755),
            ("u=rx", false, 0o4755, 0o555),
            ("g=rx", true, 0o2775, 0o2755),
            ("g=rxs", true, 0o775, 0o2755),
            ("a=", false, 0o7777, 0),
            ("a-w+x", false, 0o644, 0o555),
            ("ug+rw", false, 0o000, 0o660),
        ] {
            let mode = change(text).unwrap().apply(before, is_dir);
            assert_eq!(mode, after, "{text} on {before:o} gave {mode:o}");
        }
    }

    #[test]
    fn what_chmod_refuses_is_refused() {
        for text in ["", "u", "rwx", "u+q", "x+r", "u+r,", "u+gr", "7+x", "u r"] {
            assert!(change(text).is_err(), "{text}");
        }
        assert!(Chmod::parse(&ModeChange::Octal(0o10000)).is_err());
    }

    #[test]
    fn directories_made_on_the_way_take_exact_modes_only() {
        assert_eq!(Chmod::Exact(0o1777).of_made_dir(), 0o777);
        assert_eq!(change("a+x").unwrap().of_made_dir(), 0o755);
    }
}
