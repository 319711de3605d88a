//! The texts that people write: Dockerfiles, words with variables, ignore files.

use frontend::expansion::{Budget, Lexer, Variables};
use frontend::ignore::IgnoreRules;
use frontend::instruction::Command;
use frontend::parser::{parse_trigger, syntax_directive};

/// A Dockerfile: an answer for any bytes, places inside the text, triggers read again.
pub fn parse(data: &[u8]) {
    let Ok(source) = frontend::decode(data) else {
        return;
    };
    let source: &str = &source;
    syntax_directive(source);
    let inside = |span: solver::Span| {
        assert!(
            source.get(span.start..span.end).is_some(),
            "{span:?} in {source:?}"
        );
    };
    match frontend::parse(source) {
        Ok(dockerfile) => {
            assert!(!dockerfile.stages.is_empty());
            let stages = dockerfile
                .stages
                .iter()
                .flat_map(|stage| &stage.instructions);
            for instruction in stages.chain(&dockerfile.global_args) {
                inside(instruction.span);
                if let Command::OnBuild(trigger) = &instruction.command {
                    let _ = parse_trigger(&trigger.text, trigger.span);
                }
            }
            dockerfile
                .warnings
                .iter()
                .for_each(|warning| inside(warning.span));
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            errors.iter().for_each(|error| inside(error.span));
        }
    }
}

/// Variables of every kind that an expansion tells apart.
struct Known;

impl Variables for Known {
    fn get(&self, name: &str) -> Option<&str> {
        Some(match name {
            "A" => "a",
            "EMPTY" => "",
            "DIR" => "/usr/lib/a b/../c.tar.gz",
            "STAR" => "*?\\[x]'\"$A",
            "É" => "é\u{300}\n",
            _ => return None,
        })
    }
}

/// A word, read in every way that an instruction reads one.
pub fn expand(data: &[u8]) {
    let Ok(word) = std::str::from_utf8(data) else {
        return;
    };
    for escape in ['\\', '`'] {
        // Enough for any honest word, and an end to the others.
        let budget = Budget::new(1 << 16);
        for lexer in [
            Lexer::new(escape, &budget),
            Lexer::heredoc(&budget),
            Lexer::shown(escape, &budget),
        ] {
            let one = lexer.word(word, &Known);
            let many = lexer.words(word, &Known);
            if let (Ok(one), Ok(many)) = (&one, &many) {
                assert_eq!(one.undefined, many.undefined, "{word:?}");
            }
            if !word.contains(['$', '\'', '"', '\\', escape]) {
                assert_eq!(one.map(|one| one.text).as_deref(), Ok(word));
            }
        }
    }
}

/// A path, and an ignore file below it: a file that is not excluded can be reached.
pub fn ignore(data: &[u8]) {
    let Some((path, rules)) = super::first_line(data) else {
        return;
    };
    let Ok(rules) = IgnoreRules::parse(rules) else {
        return;
    };
    // Each directory above is asked too, so that the cost is the square of the depth; walks hand
    // down what they know of a directory instead.
    if path.len() > 256 {
        return;
    }
    let excluded = rules.excludes(path);
    assert_eq!(rules.deciding_rule(path).is_some(), excluded, "{path:?}");
    rules.identity();
    let clean = !path.is_empty() && path.split('/').all(|name| !matches!(name, "" | "." | ".."));
    // Asking for each of very many directories what all above it say is this test's own cost.
    if clean && !excluded && path.matches('/').count() < 16 {
        for (end, _) in path.match_indices('/') {
            let dir = &path[..end];
            assert!(
                !rules.excludes(dir) || rules.may_include_below(dir),
                "{path:?} is included, and its directory {dir:?} is never entered"
            );
        }
    }
}
