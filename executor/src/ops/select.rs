//! Selections: which files of a context or a snapshot a step uses, found once a build.
//!
//! What is selected is the cache's business; here it is kept between the question for its digest
//! and the step that copies it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cache::{LayerId, Selected, Snapshot, select};
use solver::traits::Selection;
use solver::{Job, Op, Selector, StateDigest, TreeDigest, Vertex};

use super::Executor;
use super::copy::Origin;
use super::error::OpError;

/// Where remembered digests of selections are among the store's memos; the version is that of the
/// rules by which files are selected and digested.
const MEMOS: &str = "selection v1";

/// From what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Source {
    Context(String),
    Stack(Vec<LayerId>),
}

/// Selections made so far.
#[derive(Default)]
pub(super) struct Selections(Mutex<HashMap<(Source, Selector), Known>>);

/// What is known of a selection: its digest, and all of it once somebody needs that.
struct Known {
    digest: TreeDigest,
    selected: Option<Arc<Selected>>,
}

impl Selections {
    fn lock(&self) -> MutexGuard<'_, HashMap<(Source, Selector), Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The digest of a selection: as made in this build, as remembered by the store, or made now.
pub(super) fn digest(
    executor: &Executor,
    selection: &Selection<'_, Snapshot>,
) -> Result<TreeDigest, OpError> {
    let tree = executor.tree(selection.source);
    let Some(snapshot) = selection.output.or(tree) else {
        return executor.digest_from(selection.source, None, selection.selector);
    };
    let question = question(&snapshot.state, selection.selector)?;
    if let Some(known) = executor.store().memo(MEMOS, &question)?
        && let Ok(digest) = <[u8; 32]>::try_from(known)
    {
        return Ok(TreeDigest(digest));
    }
    let digest = executor.digest_from(selection.source, Some(snapshot), selection.selector)?;
    executor.store().set_memo(MEMOS, &question, &digest.0)?;
    Ok(digest)
}

fn question(state: &StateDigest, selector: &Selector) -> Result<String, OpError> {
    let selector = serde_json::to_string(selector).map_err(|source| OpError::Encode { source })?;
    Ok(format!("{state} {selector}"))
}

impl Executor {
    /// The tree that the job's input `position` is.
    pub(super) fn origin(
        &self,
        job: &Job<'_, Snapshot>,
        position: usize,
    ) -> Result<Origin, OpError> {
        let vertex = job
            .input_vertices
            .get(position)
            .ok_or(OpError::MissingInput { position })?;
        self.origin_of(vertex, job.inputs.get(position).and_then(Option::as_ref))
    }

    /// What `selector` chooses of the job's input `position`.
    pub(super) fn selected(
        &self,
        job: &Job<'_, Snapshot>,
        position: usize,
        selector: &Selector,
    ) -> Result<Arc<Selected>, OpError> {
        let vertex = job
            .input_vertices
            .get(position)
            .ok_or(OpError::MissingInput { position })?;
        let output = job.inputs.get(position).and_then(Option::as_ref);
        self.select_from(vertex, output, selector)
    }

    /// Forgets what was selected from contexts: a file was not any more what it had been.
    pub(super) fn forget_selections(&self) {
        self.selections
            .lock()
            .retain(|(source, _), _| !matches!(source, Source::Context(_)));
        for context in self.options.contexts.values() {
            context.forget();
        }
    }

    /// The digest of what `selector` chooses. What stands behind it is kept if it is new, so that a
    /// later miss can name the file that changed; then it is at hand for who copies it, too.
    fn digest_from(
        &self,
        vertex: &Vertex,
        output: Option<&Snapshot>,
        selector: &Selector,
    ) -> Result<TreeDigest, OpError> {
        let key = self.selection_key(vertex, output, selector)?;
        if let Some(known) = self.selections.lock().get(&key) {
            return Ok(known.digest);
        }
        let is_new = |digest: &TreeDigest| !self.store().has_listing(digest);
        let (digest, selected) = match self.origin_of(vertex, output)? {
            Origin::Context(context) => select::digest_from_context(&context, selector, is_new)?,
            Origin::View(view) => select::digest_from_view(&view, selector, is_new)?,
        };
        if let Some(selected) = &selected {
            // Best effort: without it an explanation is less exact, and nothing else.
            let _ = self.store().keep_listing(selected);
        }
        let selected = selected.map(Arc::new);
        self.selections
            .lock()
            .insert(key, Known { digest, selected });
        Ok(digest)
    }

    fn selection_key(
        &self,
        vertex: &Vertex,
        output: Option<&Snapshot>,
        selector: &Selector,
    ) -> Result<(Source, Selector), OpError> {
        let output = output.or_else(|| self.tree(vertex));
        let source = match (output, &vertex.op) {
            (Some(snapshot), _) => Source::Stack(snapshot.layers.clone()),
            (None, Op::Context(context)) => Source::Context(context.name.clone()),
            (None, _) => return Err(OpError::NothingToRun),
        };
        Ok((source, selector.clone()))
    }

    fn select_from(
        &self,
        vertex: &Vertex,
        output: Option<&Snapshot>,
        selector: &Selector,
    ) -> Result<Arc<Selected>, OpError> {
        let key = self.selection_key(vertex, output, selector)?;
        let known = self.selections.lock();
        if let Some(selected) = known.get(&key).and_then(|known| known.selected.clone()) {
            return Ok(selected);
        }
        drop(known);
        // Not under the lock: two steps that ask for the same at once do the work twice at worst.
        let selected = Arc::new(match self.origin_of(vertex, output)? {
            Origin::Context(context) => select::from_context(&context, selector)?,
            Origin::View(view) => select::from_view(&view, selector)?,
        });
        let known = Known {
            digest: selected.digest,
            selected: Some(Arc::clone(&selected)),
        };
        self.selections.lock().insert(key, known);
        Ok(selected)
    }

    /// The tree that a context is, if it is one.
    fn tree(&self, vertex: &Vertex) -> Option<&Snapshot> {
        match &vertex.op {
            Op::Context(context) => self.options.trees.get(&context.name),
            _ => None,
        }
    }

    fn origin_of(&self, vertex: &Vertex, output: Option<&Snapshot>) -> Result<Origin, OpError> {
        if let Some(snapshot) = output.or_else(|| self.tree(vertex)) {
            return Ok(Origin::View(Arc::new(self.store().view(snapshot)?)));
        }
        let Op::Context(context) = &vertex.op else {
            return Err(OpError::NothingToRun);
        };
        let found = self.options.contexts.get(&context.name);
        let found = found.ok_or_else(|| OpError::NoContext {
            name: context.name.clone(),
        })?;
        Ok(Origin::Context(Arc::clone(found)))
    }
}
