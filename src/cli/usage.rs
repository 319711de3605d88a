//! Arguments that cannot be understood, and how a script sees that: docker's exit codes for
//! docker's commands, 2 for the others.

use std::ffi::OsString;

use clap::error::{ContextKind, ErrorKind};
use clap::{ArgAction, Command, CommandFactory, FromArgMatches};

use super::Cli;

/// Commands that are not docker's: wrong arguments are 2 there, as wrong Dockerfiles are.
const OWN: [&str; 8] = [
    "build",
    "check",
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
    use clap::Parser;
    let arguments = super::with_default_command(arguments);
    let error = match Cli::try_parse_from(&arguments) {
        Ok(cli) => return Ok(cli),
        Err(error) => error,
    };
    // `--rm=false`: people write it, and clap's flags know no values.
    let error = if matches!(error.kind(), ErrorKind::TooManyValues) {
        let lenient = with_values(Cli::command()).try_get_matches_from(&arguments);
        match lenient.and_then(|matches| Cli::from_arg_matches(&matches)) {
            Ok(cli) => return Ok(cli),
            Err(error) => error,
        }
    } else {
        error
    };
    // Nobody is left to tell if it cannot be printed.
    let _ = error.print();
    Err(exit_code(&error, command(&arguments)))
}

/// Lets every flag without a value take `=true` and `=false`.
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
            ("rbuild ps -f nonsense", 125),
            ("rbuild ps extra", 1),
            ("rbuild rm", 1),
            ("rbuild container ls --bogus", 125),
            ("rbuild images -f nonsense", 125),
            ("rbuild build --bogus .", 2),
            ("rbuild --root /x stop -t x box", 125),
            ("rbuild stop -t -1 box", 0),
        ] {
            assert_eq!(code(line), expected, "{line}");
        }
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
