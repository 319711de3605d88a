//! What a thread of the pool does for one vertex. Nothing here decides anything that outlives it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{
    CacheKey, Cancel, Claim, DefinitionKey, Event, EventSink, Found, FoundAll, Job, KeyPreimage,
    NewRecord, ResultCache, Selection, StateDigest, TreeDigest, Vertex, VertexId, Worker,
};

/// Whom a build asks.
pub(super) struct Place<'e, W, C> {
    pub(super) worker: &'e W,
    pub(super) cache: &'e C,
    pub(super) events: &'e dyn EventSink,
    /// Set by the decision thread only.
    pub(super) cancel: &'e Cancel,
    pub(super) sandbox: &'e str,
}

impl<W, C> Clone for Place<'_, W, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W, C> Copy for Place<'_, W, C> {}

/// What came of a piece of work.
pub(super) enum Report<W: Worker, C: ResultCache> {
    /// A selection was made: of a context, for the vertices of a group, or at a position of one vertex.
    Selected(usize, Result<TreeDigest, W::Error>),
    /// A source was asked for its state.
    Sourced(Result<StateDigest, W::Error>),
    /// The whole graph was looked up.
    FoundAll(Result<FoundAll<W::Output>, C::Error>),
    /// The cache was asked for a key.
    Asked(Result<Option<Found<W::Output>>, C::Error>),
    /// A record was to be pinned.
    Pinned(Result<Option<C::Pin>, C::Error>),
    /// A vertex was to be run.
    Stepped(Stepped<W, C>),
    /// It was not begun: the build was stopped.
    Dropped,
}

/// What came of the attempt to run a vertex.
pub(super) enum Stepped<W: Worker, C: ResultCache> {
    /// Another process makes it.
    Busy(String),
    /// Another process made it.
    Hit(Found<W::Output>),
    /// It ran, and its result is stored and pinned.
    Ran {
        output: W::Output,
        pin: C::Pin,
        elapsed: Duration,
    },
    /// It failed or was stopped.
    Failed(W::Error),
    /// The cache failed.
    Broken(C::Error),
}

/// One vertex with its identity.
#[derive(Clone)]
pub(super) struct Keyed<'g> {
    pub(super) id: VertexId,
    pub(super) vertex: &'g Vertex,
    pub(super) key: CacheKey,
    pub(super) preimage: Arc<KeyPreimage>,
    pub(super) definition: DefinitionKey,
    pub(super) used: Arc<[Option<StateDigest>]>,
}

/// A vertex to be run.
pub(super) struct Step<'g, O> {
    pub(super) keyed: Keyed<'g>,
    pub(super) inputs: Vec<Option<O>>,
    pub(super) input_vertices: Vec<&'g Vertex>,
    pub(super) selections: Vec<TreeDigest>,
    pub(super) forced: bool,
    /// Why the cache is not to be asked; none where it is.
    pub(super) unasked: Option<&'static str>,
}

impl<'e, W, C> Place<'e, W, C>
where
    W: Worker,
    C: ResultCache<Output = W::Output, Lease = W::Lease>,
{
    pub(super) fn select(
        self,
        number: usize,
        selection: &Selection<'_, W::Output>,
    ) -> Report<W, C> {
        if self.cancel.is_cancelled() {
            return Report::Dropped;
        }
        Report::Selected(number, self.worker.select(selection))
    }

    pub(super) fn source(self, vertex: &Vertex) -> Report<W, C> {
        if self.cancel.is_cancelled() {
            return Report::Dropped;
        }
        Report::Sourced(self.worker.source(vertex, self.cancel))
    }

    pub(super) fn find_all(self, definitions: &[DefinitionKey]) -> Report<W, C> {
        Report::FoundAll(self.cache.find_definitions(definitions))
    }

    /// Asks for a key; what is found answers the definition from now on. Passes on what its owner
    /// wrote meanwhile.
    pub(super) fn ask(self, keyed: &Keyed<'_>) -> Report<W, C> {
        if self.cancel.is_cancelled() {
            return Report::Dropped;
        }
        let found = self.find(keyed);
        self.follow(keyed);
        Report::Asked(found)
    }

    pub(super) fn pin(self, key: &CacheKey, output: &W::Output) -> Report<W, C> {
        if self.cancel.is_cancelled() {
            return Report::Dropped;
        }
        Report::Pinned(self.cache.pin(key, output))
    }

    /// Takes the lease and runs a vertex, unless somebody else is at it or has done it meanwhile.
    pub(super) fn step(self, step: &Step<'e, W::Output>) -> Report<W, C> {
        if self.cancel.is_cancelled() {
            return Report::Dropped;
        }
        Report::Stepped(match self.try_step(step) {
            Ok(stepped) => stepped,
            Err(error) => Stepped::Broken(error),
        })
    }

    fn try_step(self, step: &Step<'e, W::Output>) -> Result<Stepped<W, C>, C::Error> {
        let keyed = &step.keyed;
        let name = &keyed.vertex.meta.name;
        let lease = match self.cache.claim(&keyed.key, keyed.id, name)? {
            Claim::Ours(lease) => lease,
            Claim::Theirs(owner) => return Ok(Stepped::Busy(owner)),
        };
        let reason = match step.unasked {
            None => {
                if let Some(found) = self.find(keyed)? {
                    self.follow(keyed);
                    return Ok(Stepped::Hit(found));
                }
                self.explain(keyed.vertex, &keyed.preimage)
            }
            Some(reason) => reason.to_owned(),
        };
        let vertex = keyed.id;
        self.events.event(Event::Missed { vertex, reason });
        self.events.event(Event::Started { vertex });
        let start = Instant::now();
        let job = Job {
            id: vertex,
            vertex: keyed.vertex,
            inputs: &step.inputs,
            input_vertices: &step.input_vertices,
            selections: &step.selections,
            forced: step.forced,
            cancel: self.cancel,
            events: self.events,
        };
        let run = self.worker.run(&job, &lease);
        let elapsed = start.elapsed();
        let output = match run {
            Ok(output) => output,
            Err(error) => return Ok(Stepped::Failed(error)),
        };
        let pin = self.cache.store(&NewRecord {
            key: keyed.key,
            preimage: &keyed.preimage,
            definition: keyed.definition,
            inputs: &keyed.used,
            vertex: keyed.vertex,
            output: &output,
            elapsed,
        })?;
        Ok(Stepped::Ran {
            output,
            pin,
            elapsed,
        })
    }

    /// Why there is no record. Nothing ever fails for want of a reason.
    pub(super) fn explain(self, vertex: &Vertex, preimage: &KeyPreimage) -> String {
        self.cache
            .explain(vertex, preimage)
            .unwrap_or_else(|error| format!("no record; none could be compared: {error}"))
    }

    /// Passes on what the one that was waited for has written. After a look for its record: if that
    /// was there, it has written all that it will.
    fn follow(self, keyed: &Keyed<'_>) {
        let vertex = keyed.id;
        for (stream, data) in self.cache.follow(&keyed.key) {
            self.events.event(Event::Log {
                vertex,
                stream,
                data,
            });
        }
    }

    fn find(self, keyed: &Keyed<'_>) -> Result<Option<Found<W::Output>>, C::Error> {
        let found = self.cache.find(&keyed.key)?;
        if found.is_some() {
            self.cache
                .alias(&keyed.definition, &keyed.key, &keyed.used)?;
        }
        Ok(found)
    }
}
