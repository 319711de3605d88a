//! Stages to vertices: which root each starts from, and its instructions one after the other.

use image::Platform;
use solver::op::{ContextOp, CopyOp, CopySource, ImageOp, Op, Unpack};
use solver::selector::{Purpose, Selector};
use solver::{Graph, Vertex, VertexId, VertexMeta};

use super::contexts::Found;
use super::error::PlanError;
use super::images::ResolvedImage;
use super::remote::{Checkout, remote_context};
use super::request::NamedContext;
use super::resolve::{Ground, Grounds};
use super::scope::Scope;
use super::stages::{Base, Node, Source, Table};
use super::state::{StageState, empty_image};
use super::work::{Counter, Work};
use crate::instruction::Command;

/// The build context's name.
pub const MAIN_CONTEXT: &str = "context";

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
        let mut counter = Counter {
            label: node.label.clone(),
            total: counted.count() + usize::from(matches!(node.base, Base::Image(_))),
            count: 0,
        };
        let replaced = matches!(node.base, Base::Replaced(_));
        let state = match node.base {
            Base::Stage(base) => match &mut self.done[base] {
                Some(state) => state.child(),
                None => {
                    let message = "a stage starts from one that was not lowered";
                    return Err(PlanError::new(message));
                }
            },
            _ => self.ground(number, &mut counter)?,
        };
        let mut work = Work::new(self, number, state, counter);
        if !replaced {
            work.state.begin();
            for step in &steps {
                work.step(step)
                    .map_err(|error| error.at(step.instruction.span))?;
            }
        }
        Ok(work.state)
    }

    /// The state of a stage that starts outside the file.
    fn ground(&mut self, number: usize, counter: &mut Counter) -> Result<StageState, PlanError> {
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
                Ok(StageState::new(self.scratch(), platform, image))
            }
            Ground::Unknown => {
                let image = empty_image(&platform);
                let mut state = StageState::new(self.scratch(), platform, image);
                state.base_unknown = true;
                Ok(state)
            }
            Ground::Image(image, context) => {
                let own = image.config.platform();
                let knows_own = !own.os.is_empty() && !own.architecture.is_empty();
                let platform = if !by_name && knows_own { own } else { platform };
                self.check_platform(number, &platform, &image);
                let root = match context {
                    Some(context) => self.context_image(&image, &platform, &context),
                    None => self.first_step(number, &image, &platform, counter),
                };
                Ok(StageState::new(root, platform, image.config.clone()))
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
                Ok(state)
            }
        }
    }

    /// The image that a stage starts from: its first step.
    fn first_step(
        &mut self,
        number: usize,
        image: &ResolvedImage,
        platform: &Platform,
        counter: &mut Counter,
    ) -> VertexId {
        counter.count += 1;
        let shown = self.scope.shows_platform().then(|| platform.to_string());
        let text = format!("FROM {}", image.reference);
        let node = self.node(number);
        let meta = VertexMeta {
            name: counter.name(shown.as_deref(), false, &text),
            span: Some(node.stage.span),
            stage: node.meta_stage(number),
            step: counter.count as u32,
            forced: false,
        };
        self.graph.add(Vertex {
            op: image_op(image, platform),
            inputs: Vec::new(),
            meta,
        })
    }

    /// The root of what a COPY or mount reads.
    pub(super) fn source(&mut self, source: Source) -> Result<Option<VertexId>, PlanError> {
        match source {
            Source::Default => Ok(Some(self.main_context())),
            Source::Stage(stage) => Ok(self.done[stage].as_ref().map(|state| state.root)),
            Source::External(external) => match self.grounds.externals[external].clone() {
                None | Some(Ground::Scratch | Ground::Unknown) => Ok(Some(self.scratch())),
                Some(Ground::Image(image, context)) => {
                    let platform = self.scope.target.clone();
                    Ok(Some(match context {
                        Some(context) => self.context_image(&image, &platform, &context),
                        None => {
                            let name = format!("FROM {}", image.reference);
                            self.plain(image_op(&image, &platform), name)
                        }
                    }))
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

    /// An image that a named context put in the place of something else.
    fn context_image(
        &mut self,
        image: &ResolvedImage,
        platform: &Platform,
        context: &str,
    ) -> VertexId {
        let name = format!("[context {context}] {}", image.reference);
        self.plain(image_op(image, platform), name)
    }

    /// The vertex of a directory or URL of the request.
    fn context(&mut self, found: &Found) -> Result<VertexId, PlanError> {
        let name = format!("[context {}] load from client", found.name);
        match &found.context {
            NamedContext::Url(url) => {
                let op = remote_context(url, Checkout::default())?.ok_or_else(|| {
                    PlanError::new(format!("the context {}: {url} is no URL", found.name))
                })?;
                let url = image::http::masked(url);
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

    fn check_platform(&self, number: usize, wanted: &Platform, image: &ResolvedImage) {
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

/// The op of an image; an image without layers is the empty file system.
fn image_op(image: &ResolvedImage, platform: &Platform) -> Op {
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
