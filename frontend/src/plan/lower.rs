//! Stages to vertices: which root each starts from, and its instructions one after the other.

use solver::op::{ContextOp, CopyOp, CopySource, ImageOp, Op, Unpack};
use solver::selector::{Purpose, Selector};
use solver::{Graph, Vertex, VertexId, VertexMeta};

use super::contexts::Found;
use super::error::PlanError;
use super::images::ResolvedImage;
use super::remote::{self, Remote};
use super::request::NamedContext;
use super::resolve::{Ground, Grounds};
use super::scope::Scope;
use super::stages::{Base, Node, Source, Table};
use super::state::{StageState, empty_image};
use super::work::Work;
use crate::instruction::Command;

/// The build context's name.
const MAIN_CONTEXT: &str = "context";

/// A graph in the making.
pub(super) struct Lowering<'a> {
    pub(super) scope: &'a Scope<'a>,
    pub(super) graph: Graph,
    pub(super) table: Table<'a>,
    grounds: Grounds,
    /// What each lowered stage left.
    done: Vec<Option<StageState>>,
}

impl<'a> Lowering<'a> {
    pub(super) fn new(scope: &'a Scope<'a>, table: Table<'a>, grounds: Grounds) -> Self {
        let done = vec![None; table.stages.len()];
        Self {
            scope,
            graph: Graph::new(),
            table,
            grounds,
            done,
        }
    }

    /// Lowers every stage that is needed; what `target` left.
    pub(super) fn run(mut self, target: usize) -> Result<(Graph, StageState), PlanError> {
        for number in 0..self.table.stages.len() {
            if self.grounds.needed[number] {
                let span = self.table.stages[number].stage.span;
                let state = self.stage(number).map_err(|error| error.at(span))?;
                self.done[number] = Some(state);
            }
        }
        match self.done[target].take() {
            Some(state) => Ok((self.graph, state)),
            None => Err(PlanError::new("the target stage was not lowered")),
        }
    }

    fn stage(&mut self, number: usize) -> Result<StageState, PlanError> {
        let steps = std::mem::take(&mut self.table.stages[number].steps);
        let node = &self.table.stages[number];
        let counted = steps.iter().filter(|step| {
            matches!(
                step.instruction.command,
                Command::Run(_) | Command::Copy(_) | Command::Add(_) | Command::Workdir(_)
            )
        });
        let total = counted.count() + usize::from(matches!(node.base, Base::Image(_)));
        let replaced = matches!(node.base, Base::Replaced(_));
        let (state, from) = match node.base {
            Base::Stage(base) => match &mut self.done[base] {
                Some(state) => (state.child(), None),
                None => {
                    return Err(PlanError::new(
                        "a stage starts from one that was not lowered",
                    ));
                }
            },
            _ => self.ground(number)?,
        };
        let mut work = Work::new(self, number, state, total);
        if let Some(image) = from {
            work.begin_image(&image);
        }
        if !replaced {
            work.state.begin();
            for step in &steps {
                work.step(step)
                    .map_err(|error| error.at(step.instruction.span))?;
            }
        }
        Ok(work.state)
    }

    /// The state of a stage that starts outside the file, and its image when that is not yet a
    /// vertex.
    fn ground(&mut self, number: usize) -> Result<(StageState, Option<ResolvedImage>), PlanError> {
        let node = &self.table.stages[number];
        let platform = node.platform.clone();
        let platform = platform.unwrap_or_else(|| self.scope.target.clone());
        let is_scratch = node.base == Base::Scratch;
        let by_name = matches!(node.base, Base::Image(_));
        let ground = self.grounds.stages[number].clone();
        match ground.unwrap_or(Ground::Scratch) {
            Ground::Scratch => {
                // FROM scratch is for the target, whatever --platform says.
                let platform = if is_scratch {
                    self.scope.target.clone()
                } else {
                    platform
                };
                let image = empty_image(&platform);
                Ok((StageState::new(self.scratch(), platform, image), None))
            }
            Ground::Image(image, context) => {
                let config = image.config.clone();
                let platform = match context {
                    Some(_)
                        if !by_name && !config.os.is_empty() && !config.architecture.is_empty() =>
                    {
                        config.platform()
                    }
                    _ => platform,
                };
                self.check_platform(number, &platform, &image);
                let root = self.scratch();
                let mut state = StageState::new(root, platform.clone(), config);
                if let Some(context) = context {
                    let name = format!("[context {context}] {}", image.reference);
                    state.root = self.image(&image, &platform, name);
                    return Ok((state, None));
                }
                Ok((state, Some(ResolvedImage::clone(&image))))
            }
            Ground::Context(found) => {
                let source = self.context(&found)?;
                let root = self.everything_of(source, &found.name);
                let mut image = empty_image(&platform);
                if !by_name {
                    image.config.working_dir.clear();
                    image.config.env.clear();
                }
                let mut state = StageState::new(root, platform, image);
                state.unaccounted = Some(format!("FROM {}", found.name));
                Ok((state, None))
            }
        }
    }

    /// The root of what a COPY or mount reads.
    pub(super) fn source(&mut self, source: Source) -> Result<Option<VertexId>, PlanError> {
        match source {
            Source::Default => Ok(Some(self.main_context())),
            Source::Stage(stage) => Ok(self.done[stage].as_ref().map(|state| state.root)),
            Source::External(external) => match self.grounds.externals[external].clone() {
                None | Some(Ground::Scratch) => Ok(Some(self.scratch())),
                Some(Ground::Image(image, context)) => {
                    let name = match context {
                        Some(context) => format!("[context {context}] {}", image.reference),
                        None => format!("FROM {}", image.reference),
                    };
                    let platform = self.scope.target.clone();
                    Ok(Some(self.image(&image, &platform, name)))
                }
                Some(Ground::Context(found)) => Ok(Some(self.context(&found)?)),
            },
        }
    }

    /// The name of a source, for errors.
    pub(super) fn node(&self, number: usize) -> &Node<'a> {
        &self.table.stages[number]
    }

    pub(super) fn scratch(&mut self) -> VertexId {
        self.plain(Op::Scratch, "scratch".to_owned())
    }

    pub(super) fn main_context(&mut self) -> VertexId {
        let op = Op::Context(ContextOp {
            name: MAIN_CONTEXT.to_owned(),
        });
        self.plain(op, "[internal] load build context".to_owned())
    }

    /// A vertex that belongs to no stage and has no inputs.
    pub(super) fn plain(&mut self, op: Op, name: String) -> VertexId {
        self.graph.add(Vertex {
            op,
            inputs: Vec::new(),
            meta: VertexMeta {
                name,
                ..VertexMeta::default()
            },
        })
    }

    /// The op of an image; an image without layers is the empty file system.
    pub(super) fn image_op(image: &ResolvedImage, platform: &image::Platform) -> Op {
        if image.config.rootfs.diff_ids.is_empty() {
            return Op::Scratch;
        }
        Op::Image(ImageOp {
            reference: image.reference.clone(),
            origin: image.origin.clone(),
            manifest: image.manifest,
            diff_ids: image.config.rootfs.diff_ids.clone(),
            platform: platform.clone(),
        })
    }

    fn image(
        &mut self,
        image: &ResolvedImage,
        platform: &image::Platform,
        name: String,
    ) -> VertexId {
        self.plain(Self::image_op(image, platform), name)
    }

    /// The vertex of a directory or URL of the request.
    fn context(&mut self, found: &Found) -> Result<VertexId, PlanError> {
        let name = format!("[context {}] load from client", found.name);
        match &found.context {
            NamedContext::Url(url) => {
                let op = match remote::kind(url)? {
                    Remote::Git(git) => Op::Git(git.op(None, None)?),
                    _ => Op::Http(solver::op::HttpOp {
                        url: url.clone(),
                        checksum: None,
                        file_name: "context".to_owned(),
                    }),
                };
                Ok(self.plain(op, format!("[context {}] {url}", found.name)))
            }
            _ => {
                let name_of_context = found.name.clone();
                Ok(self.plain(
                    Op::Context(ContextOp {
                        name: name_of_context,
                    }),
                    name,
                ))
            }
        }
    }

    /// A root file system that is a copy of all that `source` holds.
    fn everything_of(&mut self, source: VertexId, name: &str) -> VertexId {
        let scratch = self.scratch();
        let op = Op::Copy(CopyOp {
            sources: vec![CopySource::Files {
                input: 1,
                selector: Selector {
                    path: ".".to_owned(),
                    pattern: false,
                    parents: false,
                    excludes: Vec::new(),
                    purpose: Purpose::Copy,
                },
                unpack: Unpack::Never,
            }],
            dest: "/".to_owned(),
            owner: None,
            mode: None,
            link: false,
            epoch: None,
        });
        self.graph.add(Vertex {
            op,
            inputs: vec![scratch, source],
            meta: VertexMeta {
                name: format!("[context {name}] FROM {name}"),
                ..VertexMeta::default()
            },
        })
    }

    fn check_platform(&self, number: usize, wanted: &image::Platform, image: &ResolvedImage) {
        let actual = image.config.platform();
        if actual.os == wanted.os && actual.architecture == wanted.architecture {
            return;
        }
        let node = self.node(number);
        self.scope.checks.report(
            super::checks::rule::BASE_PLATFORM,
            node.stage.span,
            &node.stage.comments,
            format!(
                "Base image {} was pulled with platform \"{actual}\", expected \"{wanted}\" for current build",
                match &node.base {
                    Base::Image(name) => name.as_str(),
                    _ => &image.reference,
                }
            ),
        );
    }
}
