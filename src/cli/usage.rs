//! Arguments that cannot be understood, and how a script sees that: docker's exit codes for
//! docker's commands, 2 for the others.

use std::ffi::OsString;

use clap::error::{ContextKind, ErrorKind};
use clap::{ArgAction, Command, CommandFactory, FromArgMatches};

use super::Cli;

/// Commands that are not docker's: wrong arguments are 2 there, as wrong Dockerfiles are.
const OWN: [&str; 9] = [
    "build",
    "check",
    "graph",
    "why",
    "du",
    "prune",
    "doctor",
    "completions",
    "man",
];
/// docker's code for a flag that it does not know, or whose value it cannot read.
const FLAGS: u8 = 125;
/// docker's code for too few words, or too many.
const WORDS: u8 = 1;

/// Reads the arguments; what is wrong with them is printed, and the exit code is the error.
pub fn parse(arguments: Vec<OsString>) -> Result<Cli, u8> {
    // Made once: it has some thousand parts.
    let mut all = Cli::command();
    let arguments = super::with_default_command(arguments, &all);
    let read = all
        .try_get_matches_from_mut(&arguments)
        .and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
    let error = match read {
        Ok(cli) => return Ok(cli),
        Err(error) => error.format(&mut all),
    };
    // `--rm=false` and `--name -x`: people write it, and clap's flags know no values, nor take what looks
    // like another flag for one.
    let is_other_way = matches!(
        error.kind(),
        ErrorKind::TooManyValues | ErrorKind::UnknownArgument | ErrorKind::InvalidValue
    );
    let error = if is_other_way {
        let lenient = with_values(Cli::command()).try_get_matches_from(&arguments);
        match lenient.and_then(|matches| Cli::from_arg_matches(&matches)) {
            Ok(cli) => return Ok(cli),
            Err(other) if matches!(error.kind(), ErrorKind::TooManyValues) => other,
            Err(_) => error,
        }
    } else {
        error
    };
    // Nobody is left to tell if it cannot be printed.
    let text = if is_group_alone(&error, command(&arguments)) {
        let (path, found) = innermost(&arguments);
        Some(found.bin_name(path).render_help().to_string())
    } else {
        in_dockers_words(&error, &arguments)
    };
    let _ = match text {
        Some(text) => {
            use std::io::Write;
            std::io::stderr().write_all(text.as_bytes())
        }
        None => error.print(),
    };
    Err(exit_code(&error, command(&arguments)))
}

/// What docker answers to a group of its commands without one of them: how it is used, and no failure.
fn is_group_alone(error: &clap::Error, command: Option<&str>) -> bool {
    let missing = matches!(
        error.kind(),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    missing && command.is_some_and(|command| !OWN.contains(&command))
}

/// What is wrong with words and flags of docker's commands, as docker says it: scripts look for that.
/// None of any other error, and of other commands.
fn in_dockers_words(error: &clap::Error, arguments: &[OsString]) -> Option<String> {
    if command(arguments).is_none_or(|command| OWN.contains(&command)) {
        return None;
    }
    let argument = error.get(ContextKind::InvalidArg).map(ToString::to_string);
    if let (ErrorKind::ValueValidation, Some(flag)) = (error.kind(), argument.as_deref()) {
        return invalid(error, flag, arguments);
    }
    let title = match (error.kind(), argument.as_deref()) {
        (ErrorKind::UnknownArgument, Some(flag)) if flag.starts_with("--") => {
            format!("unknown flag: {flag}")
        }
        (ErrorKind::UnknownArgument, Some(flag)) if flag.starts_with('-') => {
            let letter = flag.chars().nth(1).unwrap_or('-');
            format!("unknown shorthand flag: '{letter}' in {flag}")
        }
        (
            ErrorKind::UnknownArgument
            | ErrorKind::MissingRequiredArgument
            | ErrorKind::TooFewValues,
            _,
        ) => counted(arguments)?,
        _ => return None,
    };
    let text = error.render().to_string();
    let rest = text.find("\n\n").map_or("\n", |at| &text[at..]);
    Some(format!("error: {title}{rest}"))
}

/// A flag's value that cannot be read: `invalid argument "x" for "-t, --time" flag: …`
fn invalid(error: &clap::Error, flag: &str, arguments: &[OsString]) -> Option<String> {
    let value = error.get(ContextKind::InvalidValue)?.to_string();
    let long = flag.split([' ', '=', '[']).next()?.strip_prefix("--")?;
    let (_, found) = innermost(arguments);
    let short = found
        .get_arguments()
        .find(|argument| argument.get_long() == Some(long))?
        .get_short()
        .map_or(String::new(), |letter| format!("-{letter}, "));
    let why = std::error::Error::source(error).map_or(String::new(), |why| format!(": {why}"));
    Some(format!(
        "error: invalid argument \"{value}\" for \"{short}--{long}\" flag{why}\n\nFor more information, try '--help'.\n"
    ))
}

/// The command that the arguments name, below as many others as there are, with its whole name.
fn innermost(arguments: &[OsString]) -> (String, Command) {
    let mut found = Cli::command();
    let mut path = found.get_name().to_owned();
    for word in arguments.iter().skip(1).filter_map(|word| word.to_str()) {
        if let Some(below) = found.find_subcommand(word) {
            path = format!("{path} {word}");
            found = below.clone();
        }
    }
    (path, found)
}

/// How many words a command takes: `"rbuild stop" requires at least 1 argument.`
fn counted(arguments: &[OsString]) -> Option<String> {
    let (path, found) = innermost(arguments);
    let (mut least, mut most) = (0, Some(0_usize));
    for argument in found.get_positionals() {
        let range = argument.get_num_args().unwrap_or_else(|| 1.into());
        let several = matches!(argument.get_action(), ArgAction::Append) || range.max_values() > 1;
        if argument.is_required_set() {
            least += range.min_values().max(1);
        }
        most = most.filter(|_| !several).map(|most| most + 1);
    }
    let words = |count: usize| format!("{count} argument{}", if count == 1 { "" } else { "s" });
    let said = match most {
        Some(0) => "accepts no arguments".to_owned(),
        Some(most) if most == least => format!("requires exactly {}", words(most)),
        Some(most) if least == 0 => format!("requires at most {}", words(most)),
        Some(most) => format!("requires at least {least} and at most {}", words(most)),
        None => format!("requires at least {}", words(least)),
    };
    Some(format!("\"{path}\" {said}."))
}

/// Lets every flag without a value take `=true` and `=false`, and every other take any word.
fn with_values(command: Command) -> Command {
    command
        .mut_args(|argument| {
            if matches!(argument.get_action(), ArgAction::SetTrue) {
                argument
                    .action(ArgAction::Set)
                    .num_args(0..=1)
                    .require_equals(true)
                    .default_value("false")
                    .default_missing_value("true")
                    .value_parser(clap::value_parser!(bool))
            } else if !argument.is_positional() && argument.get_action().takes_values() {
                argument.allow_hyphen_values(true)
            } else {
                argument
            }
        })
        .mut_subcommands(with_values)
}

/// The first word that is not a flag of the program itself.
fn command(arguments: &[OsString]) -> Option<&str> {
    let mut words = arguments.iter().skip(1).filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        match word {
            "--root" => drop(words.next()),
            word if word.starts_with('-') => {}
            word => return Some(word),
        }
    }
    None
}

fn exit_code(error: &clap::Error, command: Option<&str>) -> u8 {
    if is_group_alone(error, command) {
        return 0;
    }
    let usual = u8::try_from(error.exit_code()).unwrap_or(2);
    if usual == 0 || command.is_none_or(|command| OWN.contains(&command)) {
        return usual;
    }
    let is_flag = error
        .get(ContextKind::InvalidArg)
        .is_some_and(|argument| argument.to_string().starts_with('-'));
    match error.kind() {
        ErrorKind::UnknownArgument | ErrorKind::InvalidValue | ErrorKind::ValueValidation
            if is_flag =>
        {
            FLAGS
        }
        ErrorKind::TooManyValues | ErrorKind::NoEquals | ErrorKind::ArgumentConflict => FLAGS,
        ErrorKind::MissingRequiredArgument if is_flag => FLAGS,
        _ => WORDS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(line: &str) -> u8 {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        match Cli::try_parse_from(&words) {
            Ok(_) => 0,
            Err(error) => exit_code(&error, command(&words)),
        }
    }
    use clap::Parser;

    #[test]
    fn exit_codes_of_wrong_arguments_are_dockers() {
        for (line, expected) in [
            ("rbuild run --bogus base true", 125),
            ("rbuild run --memory x base", 125),
            ("rbuild run", 1),
            ("rbuild run base", 0),
            ("rbuild run base --bogus -x", 0),
            ("rbuild exec box", 1),
            ("rbuild exec --bogus box true", 125),
            ("rbuild exec box sh -c true", 0),
            ("rbuild volume", 0),
            ("rbuild volume bogus", 1),
            ("rbuild ps -f nonsense", 125),
            ("rbuild ps extra", 1),
            ("rbuild rm", 1),
            ("rbuild container ls --bogus", 125),
            ("rbuild images -f nonsense", 125),
            ("rbuild build --bogus .", 2),
            ("rbuild graph --bogus", 2),
            ("rbuild graph --no-cache --no-cache .", 0),
            ("rbuild build -f a -f b .", 0),
            ("rbuild --root /x stop -t x box", 125),
            ("rbuild stop -t -1 box", 0),
        ] {
            assert_eq!(code(line), expected, "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_as_docker_says_it() {
        for (line, expected) in [
            (
                "rbuild stop",
                "error: \"rbuild stop\" requires at least 1 argument.",
            ),
            (
                "rbuild exec box",
                "error: \"rbuild exec\" requires at least 2 arguments.",
            ),
            (
                "rbuild ps extra",
                "error: \"rbuild ps\" accepts no arguments.",
            ),
            (
                "rbuild rename a",
                "error: \"rbuild rename\" requires exactly 2 arguments.",
            ),
            (
                "rbuild images a b",
                "error: \"rbuild images\" requires at most 1 argument.",
            ),
            (
                "rbuild port a 1 2",
                "error: \"rbuild port\" requires at least 1 and at most 2 arguments.",
            ),
            (
                "rbuild container prune x",
                "error: \"rbuild container prune\" accepts no arguments.",
            ),
            ("rbuild run --bogus base", "error: unknown flag: --bogus"),
            ("rbuild rm -x", "error: unknown shorthand flag: 'x' in -x"),
            (
                "rbuild stop -t x box",
                "error: invalid argument \"x\" for \"-t, --time\" flag: invalid digit found in string",
            ),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let Err(error) = Cli::try_parse_from(&words) else {
                panic!("{line} is understood")
            };
            let said = in_dockers_words(&error, &words).unwrap_or_default();
            assert_eq!(said.lines().next(), Some(expected), "{line}");
        }
    }

    #[test]
    fn the_last_of_a_flag_that_is_given_twice_stands() {
        let words = "rbuild run --name a -e A=1 --rm --name b --rm=false -e B=2 -w / -w /x base";
        let cli = parse(words.split(' ').map(OsString::from).collect());
        let Ok(super::super::Command::Verb(super::super::container::ContainerVerb::Run(run))) =
            cli.map(|cli| cli.command)
        else {
            panic!("not understood")
        };
        assert_eq!(run.flags.whole.name.as_deref(), Some("b"));
        assert_eq!(run.flags.process.workdir.as_deref(), Some("/x"));
        assert_eq!(run.flags.process.env, ["A=1", "B=2"]);
        assert!(!run.flags.whole.rm);
    }

    #[test]
    fn a_flag_takes_the_next_word_whatever_it_is() {
        let words = ["rbuild", "kill", "-s", "-1", "box"];
        assert!(parse(words.map(OsString::from).to_vec()).is_ok());
        let words = ["rbuild", "kill", "--bogus", "box"];
        assert!(parse(words.map(OsString::from).to_vec()).is_err());
    }

    #[test]
    fn flags_may_be_said_not_to_be() {
        let words = ["rbuild", "run", "--rm=false", "-it=true", "base", "--rm=x"];
        let Ok(cli) = parse(words.map(OsString::from).to_vec()) else {
            panic!("not understood")
        };
        let super::super::Command::Verb(super::super::container::ContainerVerb::Run(run)) =
            cli.command
        else {
            panic!("another command")
        };
        assert!(!run.flags.whole.rm && run.flags.process.tty && run.flags.process.interactive);
        assert_eq!(run.flags.words, ["base", "--rm=x"]);
    }
}
