//! Makes instructions as a parser could have read them.

use frontend::instruction::*;
use proptest::collection::vec;
use proptest::prelude::*;

use super::NOWHERE;

const PLAIN: &str = "[a-z/$.*:]{1,6}";
/// All blanks are in quotes or escaped.
const VALUE: &str = "([a-z$/]{0,3}|\"[a-z $]{0,4}\"|'[a-z \\\\]{0,4}'|[a-z]\\\\ [a-z]){0,3}";
/// The rest of a line.
const REST: &str = "[a-z$\"']([a-z $\"'#&|]{0,8}[a-z$\"'])?";
const NAME: &str = "[a-z_]{1,4}";

fn word(text: impl Into<String>) -> Word {
    Word {
        text: text.into(),
        span: NOWHERE,
    }
}

fn words(pattern: &'static str, least: usize) -> impl Strategy<Value = Vec<Word>> {
    vec(pattern.prop_map(word), least..4)
}

fn option(pattern: &'static str) -> impl Strategy<Value = Option<Word>> {
    proptest::option::of(pattern.prop_map(word))
}

fn command_line() -> impl Strategy<Value = CommandLine> {
    prop_oneof![
        REST.prop_map(CommandLine::Shell),
        vec("[a-z \"'\\\\/\n\t#é😀\u{1}]{0,5}", 0..4).prop_map(CommandLine::Exec),
    ]
}

fn pairs() -> impl Strategy<Value = Pairs> {
    let pair = (NAME, VALUE).prop_map(|(name, value)| (word(name), word(value)));
    let list = vec(pair, 1..4).prop_map(|pairs| (pairs, false));
    let legacy = (NAME, REST).prop_map(|(name, rest)| (vec![(word(name), word(rest))], true));
    prop_oneof![list, legacy].prop_map(|(pairs, legacy)| Pairs { pairs, legacy })
}

fn heredoc() -> impl Strategy<Value = Heredoc> {
    let body = vec("\t?[a-z $<\\\\#]{0,6}\r?\n", 0..3);
    ("[A-Z]{1,3}", 0..3_u32, any::<bool>(), any::<bool>(), body).prop_map(
        |(name, descriptor, expand, chomp, body)| Heredoc {
            name,
            descriptor,
            expand,
            chomp,
            body: body.concat(),
            span: NOWHERE,
        },
    )
}

fn copy(add: bool) -> impl Strategy<Value = Copy> {
    let sources = prop_oneof![
        words(PLAIN, 1).prop_map(|words| words.into_iter().map(CopySource::Path).collect()),
        heredoc().prop_map(|heredoc| vec![CopySource::Heredoc(heredoc)]),
    ];
    let both = (
        option(PLAIN),
        option("[0-7]{3}"),
        any::<bool>(),
        words(PLAIN, 0),
    );
    let own = (
        option(PLAIN),
        any::<bool>(),
        any::<Option<bool>>(),
        any::<Option<bool>>(),
    );
    (sources, PLAIN, both, own).prop_map(move |(sources, dest, both, own)| {
        let (chown, chmod, link, excludes) = both;
        let (value, parents, keep_git_dir, unpack) = own;
        Copy {
            sources,
            dest: word(dest),
            from: value.clone().filter(|_| !add),
            chown,
            chmod,
            link,
            parents: parents && !add,
            excludes,
            checksum: value.filter(|_| add),
            keep_git_dir: keep_git_dir.filter(|_| add),
            unpack: unpack.filter(|_| add),
        }
    })
}

fn run() -> impl Strategy<Value = Run> {
    let mounts = words("[a-z=,/]{1,6}", 0);
    (
        command_line(),
        vec(heredoc(), 0..3),
        mounts,
        option("none|host"),
    )
        .prop_map(|(command, heredocs, mounts, network)| Run {
            command: if heredocs.is_empty() {
                command
            } else {
                let heads: Vec<String> = heredocs.iter().map(super::print::head).collect();
                CommandLine::Shell(format!("cat {}", heads.join(" ")))
            },
            heredocs,
            mounts,
            network,
            security: None,
            devices: Vec::new(),
        })
}

fn healthcheck() -> impl Strategy<Value = Healthcheck> {
    let command = command_line().prop_filter(
        "no command",
        |command| !matches!(command, CommandLine::Exec(words) if words.is_empty()),
    );
    let time = || prop_oneof![Just(0), 1_000_000..i64::MAX];
    (command, time(), time(), 0..100_i64).prop_map(|(command, interval, timeout, retries)| {
        Healthcheck {
            command: Some(command),
            interval,
            timeout,
            start_period: 0,
            start_interval: 0,
            retries,
        }
    })
}

/// Any instruction but FROM.
pub fn command() -> impl Strategy<Value = Command> {
    let declaration = (NAME, option(VALUE)).prop_map(|(name, default)| ArgDeclaration {
        name: word(name),
        default,
    });
    prop_oneof![
        vec(declaration, 1..3).prop_map(Command::Arg),
        pairs().prop_map(Command::Env),
        pairs().prop_map(Command::Label),
        run().prop_map(|run| Command::Run(Box::new(run))),
        command_line().prop_map(Command::Cmd),
        command_line().prop_map(Command::Entrypoint),
        vec("[a-z/ ]{1,4}", 1..3).prop_map(Command::Shell),
        REST.prop_map(|rest| Command::User(word(rest))),
        REST.prop_map(|rest| Command::Workdir(word(rest))),
        REST.prop_map(|rest| Command::StopSignal(word(rest))),
        REST.prop_map(|rest| Command::Maintainer(word(rest))),
        REST.prop_map(|rest| Command::OnBuild(word(format!("RUN {rest}")))),
        words(PLAIN, 1).prop_map(Command::Expose),
        words(PLAIN, 1).prop_map(Command::Volume),
        healthcheck().prop_map(|check| Command::Healthcheck(Box::new(check))),
        copy(false).prop_map(|copy| Command::Copy(Box::new(copy))),
        copy(true).prop_map(|copy| Command::Add(Box::new(copy))),
    ]
}
