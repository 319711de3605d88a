//! Threads that do what blocks, so that the decision thread never does.
//!
//! They are made when there is work for them and live as long as the solve.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, Scope};

use crossbeam_channel::{Receiver, Sender, unbounded};

/// What came of a piece of work: its result, or the panic it ended in.
pub(super) type Letter<R> = std::thread::Result<R>;

type Task<'scope, R> = Box<dyn FnOnce() -> R + Send + 'scope>;

/// A bounded number of threads with one queue.
pub(super) struct Pool<'scope, 'env, R> {
    scope: &'scope Scope<'scope, 'env>,
    name: &'static str,
    limit: usize,
    threads: usize,
    queue: Sender<Task<'scope, R>>,
    tasks: Receiver<Task<'scope, R>>,
    inbox: Sender<Letter<R>>,
}

impl<'scope, 'env, R: Send + 'scope> Pool<'scope, 'env, R> {
    /// No threads yet, `limit` at most; results go to `inbox`.
    pub(super) fn new(
        scope: &'scope Scope<'scope, 'env>,
        name: &'static str,
        limit: usize,
        inbox: Sender<Letter<R>>,
    ) -> Self {
        let (queue, tasks) = unbounded();
        Self {
            scope,
            name,
            limit: limit.max(1),
            threads: 0,
            queue,
            tasks,
            inbox,
        }
    }

    /// Queues a piece of work, of which `under_way` others of this pool are not known to be done.
    ///
    /// # Errors
    /// When there is no thread and none can be made.
    pub(super) fn submit(
        &mut self,
        under_way: usize,
        task: impl FnOnce() -> R + Send + 'scope,
    ) -> std::io::Result<()> {
        if self.threads < self.limit && self.threads <= under_way {
            match self.spawn() {
                Ok(()) => self.threads += 1,
                // Those that exist will come to it.
                Err(_) if self.threads > 0 => {}
                Err(error) => return Err(error),
            }
        }
        self.queue
            .send(Box::new(task))
            .expect("the pool holds a receiver itself");
        Ok(())
    }

    fn spawn(&self) -> std::io::Result<()> {
        let (tasks, inbox) = (self.tasks.clone(), self.inbox.clone());
        let name = format!("{} {}", self.name, self.threads + 1);
        Builder::new()
            .name(name)
            .spawn_scoped(self.scope, move || {
                for task in tasks {
                    // Nobody listens once the solve is over.
                    let _ = inbox.send(catch_unwind(AssertUnwindSafe(task)));
                }
            })?;
        Ok(())
    }
}
