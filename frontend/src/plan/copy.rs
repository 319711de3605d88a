//! COPY and ADD: files of the context, of stages, of images and of URLs, and those that stand in
//! the Dockerfile.

use image::http::masked;
use solver::op::{CopyOp, CopySource, HttpOp, InlineFile, ModeChange, Op, Unpack};
use solver::selector::{Purpose, Selector};
use solver::{Vertex, VertexId};

use super::checks::{rule, values::ignored_source};
use super::error::PlanError;
use super::gotext::quoted;
use super::mounting::position;
use super::remote::{self, Remote};
use super::stages::Source;
use super::work::Work;
use super::{mode, paths};
use crate::instruction::{Copy, CopySource as Written, Heredoc, Instruction};

/// A COPY or ADD whose words are expanded.
struct Expanded {
    owner: Option<String>,
    chmod: Option<String>,
    mode: Option<ModeChange>,
    checksum: Option<String>,
    paths: Vec<String>,
    files: Vec<InlineFile>,
    dest: String,
}

impl Work<'_, '_> {
    pub(super) fn copy(
        &mut self,
        copy: &Copy,
        instruction: &Instruction,
        sources: &[Source],
        is_add: bool,
    ) -> Result<(), PlanError> {
        let expanded = self.expand_copy(copy)?;
        check_checksum(&expanded, is_add)?;
        // The reference shows passwords in URLs to whoever has the image; we show them to nobody.
        let name = masked(&self.shown(instruction)).into_owned();
        let numbered = self.numbered(&name);
        let created_by = masked(&history_text(copy, &expanded, is_add)).into_owned();

        let link = copy.link && expanded.mode.is_none();
        let below = if link {
            self.lowering.scratch()
        } else {
            self.state.root
        };
        let mut inputs = vec![below];
        let from = sources.first().copied().unwrap_or(Source::Default);
        let mut made = Vec::with_capacity(expanded.paths.len() + expanded.files.len());
        for path in &expanded.paths {
            let source = self.copied(copy, &expanded, path, from, is_add, &numbered, &mut inputs);
            made.push(source?);
        }
        made.extend(expanded.files.into_iter().map(CopySource::Inline));
        let op = Op::Copy(CopyOp {
            sources: made,
            dest: self.destination(&expanded.dest),
            owner: expanded.owner,
            mode: expanded.mode,
            link,
            epoch: None,
        });
        let forced = self.forced;
        let copied = self.add(op, inputs, numbered, forced);
        self.state.root = if link {
            let name = self.prefixed(&format!("LINK {name}"));
            self.add(Op::Merge, vec![self.state.root, copied], name, forced)
        } else {
            copied
        };
        self.commit(created_by, false)
    }

    fn expand_copy(&mut self, copy: &Copy) -> Result<Expanded, PlanError> {
        let mut option = |word: &Option<crate::instruction::Word>| -> Result<_, PlanError> {
            let Some(word) = word else { return Ok(None) };
            Ok(Some(self.expand(&word.text)?).filter(|text| !text.is_empty()))
        };
        let owner = option(&copy.chown)?;
        let chmod = option(&copy.chmod)?;
        let checksum = option(&copy.checksum)?;
        let (mut paths, mut files) = (Vec::new(), Vec::new());
        for source in &copy.sources {
            match source {
                Written::Path(word) => paths.push(self.expand(&word.text)?),
                Written::Heredoc(heredoc) => files.push(self.inline(heredoc)?),
            }
        }
        let dest = self.expand(&copy.dest.text)?;
        let mode = chmod.as_deref().map(mode::parse).transpose()?;
        Ok(Expanded {
            owner,
            chmod,
            mode,
            checksum,
            paths,
            files,
            dest,
        })
    }

    fn inline(&mut self, heredoc: &Heredoc) -> Result<InlineFile, PlanError> {
        let content = heredoc.content();
        Ok(InlineFile {
            name: paths::inside(&heredoc.name),
            data: if heredoc.expand {
                self.expand_body(&content)?
            } else {
                content.into_owned()
            },
        })
    }

    /// One source; what it reads is added to `inputs`.
    #[expect(clippy::too_many_arguments, reason = "the parts of one instruction")]
    fn copied(
        &mut self,
        copy: &Copy,
        expanded: &Expanded,
        path: &str,
        from: Source,
        is_add: bool,
        name: &str,
        inputs: &mut Vec<VertexId>,
    ) -> Result<CopySource, PlanError> {
        let select = |path: String, pattern: bool| Selector {
            path,
            pattern,
            parents: false,
            excludes: copy.excludes.iter().map(|word| word.text.clone()).collect(),
            purpose: Purpose::Copy,
        };
        let unpack = |wanted: bool| {
            if wanted {
                Unpack::Archives
            } else {
                Unpack::Never
            }
        };
        match remote::kind(path)? {
            Remote::Git(_) if !is_add => {
                Err(PlanError::new("source can't be a git ref for COPY").help("use ADD"))
            }
            Remote::Http if !is_add => {
                Err(PlanError::new("source can't be a URL for COPY").help("use ADD"))
            }
            Remote::Git(git) => {
                let op = git.op(copy.keep_git_dir, expanded.checksum.as_deref())?;
                let id = self.remote(Op::Git(op), name);
                Ok(CopySource::Files {
                    input: position(inputs, id),
                    selector: select(".".to_owned(), false),
                    unpack: Unpack::Never,
                })
            }
            Remote::Http => {
                let checksum = remote::checksum(expanded.checksum.as_deref())?;
                let file_name = remote::file_name(path);
                let op = Op::Http(HttpOp {
                    url: path.to_owned(),
                    checksum,
                    file_name: file_name.clone(),
                });
                let id = self.remote(op, name);
                Ok(CopySource::Files {
                    input: position(inputs, id),
                    selector: select(file_name, false),
                    unpack: unpack(copy.unpack == Some(true)),
                })
            }
            Remote::Local => {
                let Some(id) = self.lowering.source(from)? else {
                    let from = copy.from.as_ref().map(|word| word.text.as_str());
                    return Err(PlanError::new(format!(
                        "cannot copy from stage {}, it needs to be defined before current stage {}",
                        quoted(from.unwrap_or_default()),
                        quoted(&self.counter.label)
                    )));
                };
                if from == Source::Default {
                    self.check_ignored(path, is_add);
                }
                let selector = if copy.parents {
                    Selector {
                        parents: true,
                        ..select(with_pivot(path), paths::is_pattern(path))
                    }
                } else {
                    select(paths::inside(path), paths::is_pattern(path))
                };
                Ok(CopySource::Files {
                    input: position(inputs, id),
                    selector,
                    unpack: unpack(copy.unpack.unwrap_or(is_add)),
                })
            }
        }
    }

    fn check_ignored(&self, path: &str, is_add: bool) {
        let rules = self.lowering.scope.request.ignored.as_ref();
        if let Some(path) = rules.and_then(|rules| ignored_source(rules, path)) {
            let verb = if is_add { "Add" } else { "Copy" };
            let message = format!(
                "Attempting to {verb} file {} that is excluded by .dockerignore",
                quoted(&path)
            );
            self.report(rule::IGNORED_FILE, message);
        }
    }

    /// A URL or repository: it belongs to the step, but is never forced.
    fn remote(&mut self, op: Op, name: &str) -> VertexId {
        let mut vertex = Vertex {
            op,
            inputs: Vec::new(),
            meta: solver::VertexMeta::default(),
        };
        name.clone_into(&mut vertex.meta.name);
        vertex.meta.span = Some(self.span);
        self.lowering.graph.add(vertex)
    }

    /// Where to: absolute; a slash at the end says that it is a directory.
    fn destination(&self, dest: &str) -> String {
        let mut path = paths::join(&self.state.cwd(), dest);
        let is_directory =
            dest.is_empty() || dest == "." || dest.ends_with('/') || dest.ends_with("/.");
        if is_directory && path != "/" {
            path.push('/');
        }
        path
    }
}

/// Refuses a checksum of what is not one remote source.
fn check_checksum(expanded: &Expanded, is_add: bool) -> Result<(), PlanError> {
    if expanded.checksum.is_none() {
        return Ok(());
    }
    if !is_add {
        return Err(PlanError::new("checksum can't be specified for COPY"));
    }
    match expanded.paths.as_slice() {
        [only] => match remote::kind(only)? {
            Remote::Local => Err(PlanError::new("checksum requires HTTP(S) or Git sources")),
            _ => Ok(()),
        },
        _ => Err(PlanError::new(
            "checksum can't be specified for multiple sources",
        )),
    }
}

/// A path of `--parents`: cleaned on both sides of its pivot.
fn with_pivot(path: &str) -> String {
    match path.split_once("/./") {
        Some((above, below)) => match (paths::inside(above), paths::inside(below)) {
            (above, below) if above == "." => below,
            (above, below) => format!("{above}/./{below}"),
        },
        None => paths::inside(path),
    }
}

/// `COPY --chown=1:2 a b /c/ # buildkit`
fn history_text(copy: &Copy, expanded: &Expanded, is_add: bool) -> String {
    let mut text = String::from(if is_add { "ADD" } else { "COPY" });
    if copy.parents {
        text.push_str(" --parents");
    }
    for (flag, value) in [("chown", &expanded.owner), ("chmod", &expanded.chmod)] {
        if let Some(value) = value {
            text.push_str(&format!(" --{flag}={value}"));
        }
    }
    for path in &expanded.paths {
        text.push(' ');
        text.push_str(path);
    }
    for source in &copy.sources {
        if let Written::Heredoc(heredoc) = source {
            text.push_str(" <<");
            text.push_str(&heredoc.name);
        }
    }
    text.push(' ');
    text.push_str(&expanded.dest);
    text.push_str(" # buildkit");
    text
}
