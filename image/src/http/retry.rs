//! How long to go on trying: fewer and fewer times a second, never for ever, and not at all once
//! the build is cancelled.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::{HeaderMap, StatusCode, header};

/// Asks whether the work is still wanted; `true` ends it.
pub type Cancel = Arc<dyn Fn() -> bool + Send + Sync>;

/// The work is not wanted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// How often and how long to try.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// How many times at most, the first included.
    pub attempts: u32,
    /// The pause after the first failure; it doubles with each.
    pub first_pause: Duration,
    /// The longest pause, even when a server asks for a longer one.
    pub longest_pause: Duration,
    /// When to give up, from the first attempt.
    pub total: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 6,
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(30),
            total: Duration::from_mins(3),
        }
    }
}

/// The attempts at one thing.
pub(crate) struct Attempts<'a> {
    policy: RetryPolicy,
    cancel: &'a Cancel,
    started: Instant,
    failed: u32,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(policy: RetryPolicy, cancel: &'a Cancel) -> Self {
        Self {
            policy,
            cancel,
            started: Instant::now(),
            failed: 0,
        }
    }

    /// After a failure: pauses and says whether to try again. `asked` is the pause that the server
    /// wants.
    pub(crate) fn again(&mut self, asked: Option<Duration>) -> Result<bool, Cancelled> {
        self.failed += 1;
        if (self.cancel)() {
            return Err(Cancelled);
        }
        if self.failed >= self.policy.attempts {
            return Ok(false);
        }
        let doubled = self
            .policy
            .first_pause
            .saturating_mul(1 << (self.failed - 1).min(16));
        // Half of it is chance, so that many clients do not come back together.
        let pause = doubled.mul_f64(0.5 + chance() / 2.0);
        let pause = asked.unwrap_or(pause).min(self.policy.longest_pause);
        if self.started.elapsed() + pause > self.policy.total {
            return Ok(false);
        }
        self.pause(pause)?;
        Ok(true)
    }

    fn pause(&self, pause: Duration) -> Result<(), Cancelled> {
        const SLICE: Duration = Duration::from_millis(50);
        let end = Instant::now() + pause;
        loop {
            if (self.cancel)() {
                return Err(Cancelled);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(SLICE));
        }
    }
}

/// A number from 0 to 1, for pauses only.
fn chance() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

/// Whether a server that answers so may answer otherwise in a while.
pub(crate) fn is_passing(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
        || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
}

/// The pause that a server asks for, when it gives it in seconds.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: RetryPolicy = RetryPolicy {
        attempts: 3,
        first_pause: Duration::from_micros(1),
        longest_pause: Duration::from_millis(1),
        total: Duration::from_mins(1),
    };

    #[test]
    fn attempts_are_counted_and_cancelled() {
        let never: Cancel = Arc::new(|| false);
        let mut attempts = Attempts::new(QUICK, &never);
        assert_eq!(attempts.again(None), Ok(true));
        assert_eq!(attempts.again(Some(Duration::from_secs(9999))), Ok(true));
        assert_eq!(attempts.again(None), Ok(false));
        let late = RetryPolicy {
            total: Duration::ZERO,
            ..QUICK
        };
        assert_eq!(Attempts::new(late, &never).again(None), Ok(false));
        let cancelled: Cancel = Arc::new(|| true);
        assert_eq!(Attempts::new(QUICK, &cancelled).again(None), Err(Cancelled));
    }
}
