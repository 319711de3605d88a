//! A SOURCE_DATE_EPOCH that is no number: the name of something remote whose time is meant.

use solver::op::{EnvOrigin, HttpOp, Op};

use super::args::BuildArgs;
use super::contexts::Contexts;
use super::environment::Environment;
use super::error::PlanError;
use super::remote::{self, Remote};
use super::request::NamedContext;
use super::stages::SCRATCH;
use crate::expansion::Lexer;
use crate::instruction::{Command, Copy, CopySource, Dockerfile, Stage, Word};

/// The value that means the main context's time.
pub(super) const CONTEXT: &str = "context";

/// The source whose time `value` means, which is not [`CONTEXT`]; none for what has no time: directories and images.
pub(super) fn source(
    value: &str,
    dockerfile: &Dockerfile,
    contexts: &Contexts,
    target: &image::Platform,
    build_args: &BuildArgs,
    global: &Environment,
    lexer: &Lexer<'_>,
) -> Result<Option<Op>, PlanError> {
    if let Some(found) = contexts.find(value, target) {
        return match found.context {
            NamedContext::Url(url) => remote_op(&url, None, None),
            _ => Ok(None),
        };
    }
    let named = |stage: &&Stage| {
        let name = stage.name.as_ref().map(|name| name.lower());
        name.is_some_and(|name| name == value.to_lowercase())
    };
    match dockerfile.stages.iter().find(named) {
        Some(stage) => of_stage(stage, build_args, global.clone(), lexer)
            .map(Some)
            .map_err(|error| error.at(stage.span)),
        None => Err(
            PlanError::new(format!("invalid SOURCE_DATE_EPOCH: {value}")).help(
                "give the seconds since 1970, or the name of a stage that adds one remote source",
            ),
        ),
    }
}

/// The only remote ADD of a stage that holds nothing else.
fn of_stage(
    stage: &Stage,
    build_args: &BuildArgs,
    mut values: Environment,
    lexer: &Lexer<'_>,
) -> Result<Op, PlanError> {
    if lexer.word(&stage.base.text, &values)?.text != SCRATCH {
        return Err(PlanError::new(
            "SOURCE_DATE_EPOCH stage must use FROM scratch",
        ));
    }
    let exactly_one =
        || PlanError::new("SOURCE_DATE_EPOCH stage must contain exactly one remote ADD");
    let mut found = None;
    for instruction in &stage.instructions {
        match &instruction.command {
            Command::Arg(args) => {
                for arg in args {
                    let name = arg.name.text.as_str();
                    let value = match (build_args.get(name), &arg.default) {
                        (Some(value), _) => value.to_owned(),
                        (None, Some(default)) => lexer.word(&default.text, &values)?.text,
                        (None, None) => continue,
                    };
                    values.set(name, &value, EnvOrigin::Arg);
                }
            }
            Command::Add(_) if found.is_some() => return Err(exactly_one()),
            Command::Add(add) => found = Some(of_add(add, &values, lexer)?),
            _ => {
                return Err(PlanError::new(format!(
                    "SOURCE_DATE_EPOCH stage does not meet source-only requirements: unsupported {} instruction",
                    instruction.keyword
                )));
            }
        }
    }
    found.ok_or_else(exactly_one)
}

fn of_add(add: &Copy, values: &Environment, lexer: &Lexer<'_>) -> Result<Op, PlanError> {
    let [CopySource::Path(path)] = add.sources.as_slice() else {
        return Err(PlanError::new(
            "SOURCE_DATE_EPOCH stage must contain exactly one remote ADD source",
        ));
    };
    let expand = |word: &Word| lexer.word(&word.text, values).map(|expanded| expanded.text);
    let checksum = add.checksum.as_ref().map(expand).transpose()?;
    remote_op(&expand(path)?, add.keep_git_dir, checksum.as_deref())?.ok_or_else(|| {
        PlanError::new("SOURCE_DATE_EPOCH stage source must be a single HTTP(S) or Git ADD")
    })
}

/// The op of a URL or repository; none for a local path.
fn remote_op(
    text: &str,
    keep_git_dir: Option<bool>,
    checksum: Option<&str>,
) -> Result<Option<Op>, PlanError> {
    Ok(match remote::kind(text)? {
        Remote::Local => None,
        Remote::Git(git) => Some(Op::Git(git.op(keep_git_dir, checksum)?)),
        Remote::Http => Some(Op::Http(HttpOp {
            url: text.to_owned(),
            checksum: remote::checksum(checksum)?,
            file_name: remote::file_name(text),
        })),
    })
}
