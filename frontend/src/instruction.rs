//! The syntax tree of a Dockerfile: what was written, where, with nothing expanded.

use std::borrow::Cow;

use solver::Span;

/// A parsed Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// The comments at the top that change how the rest is read.
    pub directives: Directives,
    /// ARG instructions before the first FROM.
    pub global_args: Vec<Instruction>,
    /// One for each FROM; at least one.
    pub stages: Vec<Stage>,
    /// Blank lines inside continued instructions, each with its line end.
    pub gaps: Vec<Span>,
    /// What is legal and yet not right.
    pub warnings: Vec<Warning>,
}

/// The comments at the top that change how the rest is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// `# syntax=`, as written.
    pub syntax: Option<Word>,
    /// `# escape=`: `\` or a backtick.
    pub escape: char,
    /// `# check=`, as written.
    pub check: Option<Word>,
}

/// A FROM and what is under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The FROM instruction's span.
    pub span: Span,
    /// `FROM`, as its letters were written: a check compares them with those of AS.
    pub keyword: String,
    /// `--platform`.
    pub platform: Option<Word>,
    /// What it starts from: `scratch`, a stage, a named context or an image.
    pub base: Word,
    /// `AS name`, as written.
    pub name: Option<StageName>,
    /// Comment lines directly above FROM.
    pub comments: Vec<Word>,
    /// The instructions under it, without FROM.
    pub instructions: Vec<Instruction>,
}

/// The name of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageName {
    /// As written.
    pub word: Word,
    /// `AS`, as its letters were written.
    pub keyword: Word,
}

impl StageName {
    /// The name by which the stage is found.
    pub fn lower(&self) -> String {
        self.word.text.to_lowercase()
    }
}

/// A piece of text with its place; not expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The text, continuations joined.
    pub text: String,
    /// Its place.
    pub span: Span,
}

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// From the keyword to the end of its last line, heredocs included.
    pub span: Span,
    /// The keyword, as its letters were written.
    pub keyword: String,
    /// The logical line with continuations joined, as history and ONBUILD show it: without
    /// comments, with flags, without heredoc bodies.
    pub original: String,
    /// Comment lines directly above it.
    pub comments: Vec<Word>,
    /// What it says.
    pub command: Command,
}

/// What an instruction says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `ARG name[=default] …`
    Arg(Vec<ArgDeclaration>),
    /// `ENV name=value …`
    Env(Pairs),
    /// `LABEL name=value …`
    Label(Pairs),
    /// `RUN …`
    Run(Box<Run>),
    /// `CMD …`
    Cmd(CommandLine),
    /// `ENTRYPOINT …`
    Entrypoint(CommandLine),
    /// `SHELL [ … ]`
    Shell(Vec<String>),
    /// `USER name[:group]`
    User(Word),
    /// `WORKDIR path`
    Workdir(Word),
    /// `EXPOSE port …`
    Expose(Vec<Word>),
    /// `VOLUME path …`
    Volume(Vec<Word>),
    /// `STOPSIGNAL signal`
    StopSignal(Word),
    /// `MAINTAINER …`
    Maintainer(Word),
    /// `HEALTHCHECK …`
    Healthcheck(Box<Healthcheck>),
    /// `ONBUILD …`: the trigger, as it is stored, heredoc bodies included.
    OnBuild(Word),
    /// `COPY …`
    Copy(Box<Copy>),
    /// `ADD …`
    Add(Box<Copy>),
}

/// One name of an ARG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgDeclaration {
    /// Its name.
    pub name: Word,
    /// Its default, with quotes.
    pub default: Option<Word>,
}

/// Names and values of an ENV or LABEL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairs {
    /// In the order written; quotes are still there.
    pub pairs: Vec<(Word, Word)>,
    /// Whether it was `ENV name value`.
    pub legacy: bool,
}

/// A command in shell or exec form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// JSON array.
    Exec(Vec<String>),
    /// Text for the shell.
    Shell(String),
}

/// RUN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The command; the first line alone when there are heredocs.
    pub command: CommandLine,
    /// Its heredocs.
    pub heredocs: Vec<Heredoc>,
    /// `--mount` values as written, to be expanded and read by the plan.
    pub mounts: Vec<Word>,
    /// `--network`.
    pub network: Option<Word>,
    /// `--security`.
    pub security: Option<Word>,
    /// `--device`.
    pub devices: Vec<Word>,
}

/// A heredoc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The word after `<<`, without quotes.
    pub name: String,
    /// File descriptor in front of `<<`, 0 when none.
    pub descriptor: u32,
    /// Whether the word was unquoted, so that COPY and ADD expand the body.
    pub expand: bool,
    /// `<<-`: the reader of the body takes leading tabs off; see [`Heredoc::content`].
    pub chomp: bool,
    /// The lines up to the terminator as they stand, with their line ends: what a shell that reads
    /// the whole line is given, and what history shows.
    pub body: String,
    /// Place of the body.
    pub span: Span,
}

impl Heredoc {
    /// The body as a file or a script of its own holds it: after `<<-` without leading tabs.
    pub fn content(&self) -> Cow<'_, str> {
        if !self.chomp {
            return Cow::Borrowed(&self.body);
        }
        let lines = self.body.split_inclusive('\n');
        Cow::Owned(lines.map(|line| line.trim_start_matches('\t')).collect())
    }
}

/// HEALTHCHECK; durations in nanoseconds, 0 = not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healthcheck {
    /// None for `HEALTHCHECK NONE`.
    pub command: Option<CommandLine>,
    /// `--interval`.
    pub interval: i64,
    /// `--timeout`.
    pub timeout: i64,
    /// `--start-period`.
    pub start_period: i64,
    /// `--start-interval`.
    pub start_interval: i64,
    /// `--retries`.
    pub retries: i64,
}

/// COPY or ADD. What only one of them takes was refused by the parser for the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Paths, patterns, URLs, and heredocs as `<<NAME`, in the order written.
    pub sources: Vec<CopySource>,
    /// The destination.
    pub dest: Word,
    /// `--from`.
    pub from: Option<Word>,
    /// `--chown`.
    pub chown: Option<Word>,
    /// `--chmod`.
    pub chmod: Option<Word>,
    /// `--link`.
    pub link: bool,
    /// `--parents`.
    pub parents: bool,
    /// `--exclude`.
    pub excludes: Vec<Word>,
    /// `--checksum` (ADD).
    pub checksum: Option<Word>,
    /// `--keep-git-dir` (ADD).
    pub keep_git_dir: Option<bool>,
    /// `--unpack` (ADD).
    pub unpack: Option<bool>,
}

/// A source of COPY or ADD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopySource {
    /// A path, a pattern or a URL.
    Path(Word),
    /// A file that stands in the Dockerfile.
    Heredoc(Heredoc),
}

/// What is legal and yet not right: a rule of the reference's or of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Name of the rule, such as `NoEmptyContinuation`.
    pub rule: &'static str,
    /// What is wrong here.
    pub message: String,
    /// Where.
    pub span: Span,
    /// In which text.
    pub text: Text,
}

/// A text that rules speak about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Text {
    /// The Dockerfile.
    Dockerfile,
    /// The ignore file of the main context.
    IgnoreFile,
}
