//! What holds for any text: an answer, places inside the text, and that a printed tree is read back.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "syntax/print.rs"]
mod print;
#[path = "syntax/trees.rs"]
mod trees;

use frontend::instruction::{Command, Instruction};
use frontend::parse;
use frontend::parser::{parse_trigger, syntax_directive};
use proptest::prelude::*;
use proptest::sample::Index;
use solver::Span;

const NOWHERE: Span = Span { start: 0, end: 0 };

/// All places that a value holds, by its debug form, in which no text looks like one.
fn spans(value: &impl std::fmt::Debug) -> Vec<Span> {
    let text = format!("{value:?}");
    let number = |text: &str| -> usize {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap();
        text[..end].parse().unwrap()
    };
    let places = text.split("Span { start: ").skip(1);
    places
        .map(|rest| {
            let (_, end) = rest.split_once("end: ").unwrap();
            Span::from(number(rest)..number(end))
        })
        .collect()
}

/// The debug form of a value without its places.
fn without_spans(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    let mut parts = text.split("Span { start: ");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| {
        text + "_" + part.split_once('}').unwrap().1
    })
}

fn check(source: &str) -> Result<(), TestCaseError> {
    syntax_directive(source);
    let places = match parse(source) {
        Ok(dockerfile) => {
            prop_assert!(!dockerfile.stages.is_empty());
            let instructions = dockerfile.stages.iter().flat_map(|s| &s.instructions);
            for instruction in instructions.chain(&dockerfile.global_args) {
                for span in spans(&instruction.command) {
                    prop_assert!(instruction.span.start <= span.start);
                    prop_assert!(span.end <= instruction.span.end);
                }
                if let Command::OnBuild(trigger) = &instruction.command {
                    // Whatever comes of it, it has no place but its own.
                    let places = match parse_trigger(&trigger.text, trigger.span) {
                        Ok(inner) => spans(&inner),
                        Err(error) => spans(&error),
                    };
                    prop_assert!(places.iter().all(|span| *span == trigger.span));
                }
            }
            spans(&dockerfile)
        }
        Err(errors) => {
            prop_assert!(!errors.is_empty());
            prop_assert!(errors.is_sorted_by_key(|error| error.span));
            spans(&errors)
        }
    };
    for span in places {
        prop_assert!(span.start <= span.end);
        prop_assert!(source.get(span.start..span.end).is_some(), "{:?}", span);
    }
    Ok(())
}

/// Pieces of which Dockerfiles are made, and some of which they should not be.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    "FROM a\n", "RUN", "run", "COPY", "ADD", "ENV", "LABEL", "ARG", "CMD", "SHELL", "ONBUILD",
    "HEALTHCHECK", "EXPOSE", "VOLUME", "USER", "WORKDIR", "STOPSIGNAL", "MAINTAINER", "\n", "\r\n",
    "\n\n", " ", "\t", "\u{a0}", "\\\n", "\\ \n", "\\", "`", "`\n", "# c\n", "#", "# escape=`\n",
    "#!/x\n", "# syntax=x\n", "<<EOF", "<<-EOF", "<<'E F'", "EOF\n", "\tEOF\n", "<<", "<", "[", "]",
    "\"", "'", "\"a\"", ",", "[\"a\"]", "--", "--x", "--link", "--chown=", "--mount=", "=", "a", "b",
    "é", "$", "${", "}", ":", "-", "/", "CMD ", "NONE", "--interval=1s ", "AS", "\u{feff}", "\0",
];

/// Cuts a line into continuation lines, with a comment in between.
fn continued(line: &str, cuts: &[Index]) -> String {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(line.len())).collect();
    places.sort_unstable();
    let mut text = String::new();
    let mut from = 0;
    for at in places {
        let allowed = line.is_char_boundary(at)
            && !line[from..at].trim().is_empty()
            && !line[..at].ends_with('\\')
            && !line[at..].trim_start().starts_with('#');
        if allowed {
            text.push_str(&line[from..at]);
            text.push_str("\\\n  # a comment\n");
            from = at;
        }
    }
    text + &line[from..]
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(1000)
    })]

    #[test]
    fn any_text_is_answered(source in any::<String>()) {
        check(&source)?;
    }

    #[test]
    fn any_heap_of_pieces_is_answered(
        pieces in proptest::collection::vec(prop::sample::select(PIECES), 0..40),
    ) {
        let source = pieces.concat();
        check(&source)?;
        check(&format!("FROM a\n{source}"))?;
    }

    #[test]
    fn a_printed_tree_is_read_back(
        commands in proptest::collection::vec(trees::command(), 0..8),
        cuts in proptest::collection::vec(any::<Index>(), 0..6),
    ) {
        let mut source = String::from("FROM base AS name\n");
        let mut expected = Vec::new();
        for command in commands {
            let (keyword, line, bodies) = print::command(&command);
            source.push_str(&continued(&line, &cuts));
            source.push('\n');
            source.push_str(&bodies);
            expected.push(Instruction {
                span: NOWHERE,
                keyword: keyword.to_owned(),
                original: line,
                comments: Vec::new(),
                command,
            });
        }
        let dockerfile = parse(&source)
            .map_err(|errors| TestCaseError::fail(format!("{source}\n{errors:?}")))?;
        let found = &dockerfile.stages[0].instructions;
        prop_assert_eq!(without_spans(found), without_spans(&expected), "{}", source);
        check(&source)?;
        for instruction in found {
            let place = &source[instruction.span.start..instruction.span.end];
            let start = if cuts.is_empty() { &instruction.original } else { &instruction.keyword };
            prop_assert!(place.starts_with(&start[..1]), "{} at {}", start, place);
        }
    }
}

#[test]
fn cost_grows_with_length_alone() {
    // Each of these is quadratic, or overflows the stack, in a careless parser.
    let many = |text: &str| text.repeat((1 << 18) / text.len());
    for (before, repeated, after) in [
        ("", "\n", ""),
        ("", "a\n", ""),
        ("FROM a\nRUN ", "a \\\n", "b"),
        ("FROM a\nRUN ", "--mount=a \\\n", "b"),
        ("FROM a\nENV ", "a=b \\\n", "c=d"),
        ("FROM a\nRUN ", "[\\\n", ""),
        ("FROM a\nRUN <<A ", "${a-\\\n", ""),
        ("FROM a\n", "RUN <<A\n", ""),
        ("FROM a\nCOPY ", "<<A \\\n", "/x\nA\n"),
        ("FROM a\n", "ONBUILD ", "RUN"),
        ("", "# a\n", "FROM a\n"),
        ("FROM a\nRUN a \\\n", "# a\n", "b"),
    ] {
        let source = format!("{before}{}{after}", many(repeated));
        let start = std::time::Instant::now();
        let _ = parse(&source);
        // Some hundred times what an optimised build takes, and far below what a square would.
        let took = start.elapsed();
        assert!(took.as_secs() < 5, "{before:?} {repeated:?}: {took:?}");
    }
}
