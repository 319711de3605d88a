//! Any error, as people see it: what happened, where (a frame of the Dockerfile), why, what to do
//! next; and the exit code that a script sees.

use std::fmt;
use std::io::{ErrorKind, IsTerminal, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use image::http::{blotted, masked};

/// Whose fault it is; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A step of the build failed.
    Step,
    /// The Dockerfile, the context or the arguments are wrong.
    Yours,
    /// The machine lacks something: namespaces, space, a registry that answers.
    System,
    /// rbuild is wrong.
    Ours,
    /// The user asked to stop.
    Interrupted,
    /// `run` could not start the container: docker's 125, 126 and 127.
    Container(u8),
    /// A command about images or containers could not do all that it was asked: docker's 1.
    Refused,
    /// Nobody reads standard output any more; says nothing and ends as SIGPIPE would end it.
    Unread,
}

impl Class {
    /// The exit code, as documented in docs/exit-codes.md.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Step | Self::Refused => 1,
            Self::Yours => 2,
            Self::System => 3,
            Self::Ours => 70,
            Self::Interrupted => 130,
            Self::Unread => 141,
            Self::Container(code) => code,
        }
    }
}

/// A source text with its name, for frames.
#[derive(Debug, Clone)]
pub struct Source {
    /// As the user wrote it.
    pub path: String,
    /// All of it.
    pub text: Arc<str>,
}

/// One marked place.
#[derive(Debug, Clone)]
pub struct Frame {
    /// In which text.
    pub source: Source,
    /// Bytes.
    pub span: Range<usize>,
    /// Beside the mark.
    pub label: String,
}

/// An error with everything that people need.
#[derive(Debug)]
pub struct Failure {
    /// Whose fault it is.
    pub class: Class,
    /// What happened.
    pub title: String,
    /// Where.
    pub frame: Option<Frame>,
    /// Why, from the outside in.
    pub causes: Vec<String>,
    /// The last lines that a step wrote.
    pub log: Vec<String>,
    /// Where the whole log is.
    pub log_file: Option<PathBuf>,
    /// What to do next.
    pub help: Option<String>,
    /// More of the same kind: all syntax errors of a file come at once.
    pub further: Vec<Failure>,
}

impl Failure {
    /// An error with nothing but a title.
    pub fn new(class: Class, title: impl Into<String>) -> Self {
        Self {
            class,
            title: title.into(),
            frame: None,
            causes: Vec::new(),
            log: Vec::new(),
            log_file: None,
            help: None,
            further: Vec::new(),
        }
    }

    /// An error with its chain of causes.
    pub fn from_error(class: Class, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut failure = Self::new(class, error.to_string());
        failure.causes = causes(error.source());
        failure.help = full_disk(error);
        failure
    }

    /// Several errors as one; none of none.
    pub fn all(failures: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut failures = failures.into_iter();
        let mut first = failures.next()?;
        first.further.extend(failures);
        Some(first)
    }

    /// The same with docker's code for its commands, where the arguments or the system are to blame.
    #[must_use]
    pub fn refused(mut self) -> Self {
        if matches!(self.class, Class::Yours | Class::System) {
            self.class = Class::Refused;
        }
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Marks a place.
    #[must_use]
    pub fn at(
        mut self,
        source: &Source,
        span: impl Into<Range<usize>>,
        label: impl Into<String>,
    ) -> Self {
        self.frame = Some(Frame {
            source: source.clone(),
            span: span.into(),
            label: label.into(),
        });
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)
    }
}

impl std::error::Error for Failure {}

/// What to do if it is for want of room that something failed.
fn full_disk(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        let kind = error
            .downcast_ref::<std::io::Error>()
            .map(std::io::Error::kind);
        if matches!(
            kind,
            Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
        ) {
            return Some(
                "free some space where the store and the output are: `rbuild prune` works on a full disk too"
                    .to_owned(),
            );
        }
        next = error.source();
    }
    None
}

/// The texts of an error and its sources; a source that only repeats the one above is left out.
fn causes(error: Option<&(dyn std::error::Error + 'static)>) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let mut next = error;
    while let Some(error) = next {
        let text = error.to_string();
        if !texts.last().is_some_and(|last| last.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts
}

/// Shows an error on standard error and returns the exit code.
pub fn report(error: &anyhow::Error) -> u8 {
    let output = error
        .downcast_ref::<std::io::Error>()
        .map(crate::output::failure);
    let failure = match error.downcast_ref::<Failure>().or(output.as_ref()) {
        Some(failure) => failure,
        None => &Failure {
            causes: causes(error.chain().nth(1)),
            ..Failure::new(Class::System, error.to_string())
        },
    };
    if failure.class == Class::Unread {
        return failure.class.exit_code();
    }
    // An error that cannot be written has nobody to read it.
    let _ = std::io::stderr().write_all(render(failure, colour()).as_bytes());
    failure.class.exit_code()
}

/// Says something on standard error that is no error.
pub fn note(text: &str) {
    // A note that cannot be written has nobody to read it.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A check's warning with its frame, with a line end, for standard error.
pub fn warning(warning: &frontend::instruction::Warning, source: &Source) -> String {
    render_warning(warning, source, colour())
}

/// A check's warning with its frame, with a line end.
pub fn render_warning(
    warning: &frontend::instruction::Warning,
    source: &Source,
    colour: bool,
) -> String {
    let length = source.text.len();
    let start = warning.span.start.min(length);
    let annotation = AnnotationKind::Primary.span(start..warning.span.end.clamp(start, length));
    let title = Level::WARNING
        .with_name(Some("warning"))
        .primary_title(format!("{}: {}", warning.rule, warning.message));
    let group = title.element(
        Snippet::source(blotted(&source.text))
            .path(&*source.path)
            .annotation(annotation),
    );
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    format!("{}\n", renderer.render(&[group]))
}

/// Whether standard error takes colours.
fn colour() -> bool {
    takes_colour(&std::io::stderr())
}

/// Whether `stream` takes colours.
pub fn takes_colour(stream: &impl IsTerminal) -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && stream.is_terminal()
}

/// The text of an error, with a line end.
pub fn render(failure: &Failure, colour: bool) -> String {
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut text = String::new();
    for failure in std::iter::once(failure).chain(&failure.further) {
        if !failure.log.is_empty() {
            text.push_str("its last lines:\n");
        }
        for line in &failure.log {
            text.push_str("  | ");
            text.push_str(line);
            text.push('\n');
        }
        text.push_str(&render_one(failure, &renderer));
        text.push('\n');
    }
    text
}

fn render_one(failure: &Failure, renderer: &Renderer) -> String {
    let title = Level::ERROR.primary_title(masked(&failure.title));
    let mut group = match &failure.frame {
        Some(frame) => {
            let (start, length) = (
                frame.span.start.min(frame.source.text.len()),
                frame.source.text.len(),
            );
            let span = start..frame.span.end.clamp(start, length);
            let annotation = AnnotationKind::Primary.span(span).label(&*frame.label);
            title.element(
                Snippet::source(blotted(&frame.source.text))
                    .path(&*frame.source.path)
                    .annotation(annotation),
            )
        }
        None => Group::with_title(title),
    };
    for cause in &failure.causes {
        group = group.element(Level::NOTE.with_name("because").message(masked(cause)));
    }
    if let Some(file) = &failure.log_file {
        group = group.element(
            Level::NOTE
                .with_name("whole log")
                .message(file.display().to_string()),
        );
    }
    if let Some(help) = &failure.help {
        group = group.element(Level::HELP.message(&**help));
    }
    renderer.render(&[group])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_marks_the_place_and_says_what_to_do() {
        let source = Source {
            path: "Dockerfile".to_owned(),
            text: "FROM a\nRUNN b\n".into(),
        };
        let failure = Failure::new(Class::Yours, "unknown instruction: RUNN")
            .at(&source, 7..11, "")
            .help("did you mean RUN?");
        let text = render(&failure, false);
        assert!(
            text.starts_with("error: unknown instruction: RUNN"),
            "{text}"
        );
        assert!(
            text.contains("Dockerfile:2:1") && text.contains("help: did you mean RUN?"),
            "{text}"
        );
    }

    #[test]
    fn a_place_beyond_the_text_is_no_panic() {
        let source = Source {
            path: "Dockerfile".to_owned(),
            text: "é".into(),
        };
        for (start, end) in [(0, 9), (9, 12), (2, 2), (5, 1)] {
            render(
                &Failure::new(Class::Yours, "x").at(&source, start..end, "y"),
                false,
            );
        }
    }
}
