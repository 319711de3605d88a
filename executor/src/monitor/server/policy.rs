//! Whether, and when, a container that ended is started again. Knows no process.

use std::time::Duration;

use crate::monitor::life::Restart;

/// The shortest wait.
const FIRST: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST: Duration = Duration::from_mins(1);
/// Who ran this long did not fail at starting.
const STEADY: Duration = Duration::from_secs(10);

/// The count and the wait of one container.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Policy {
    wait: Duration,
    in_a_row: u32,
}

impl Policy {
    /// How long to wait before it is started again; none when it is not. `ran` is how long it did.
    pub(super) fn after(
        &mut self,
        restart: Restart,
        code: i32,
        stopped: bool,
        ran: Duration,
    ) -> Option<Duration> {
        if stopped {
            return None;
        }
        let again = match restart {
            Restart::No => false,
            Restart::OnFailure(0) => code != 0,
            Restart::OnFailure(most) => code != 0 && self.in_a_row < most,
            Restart::Always | Restart::UnlessStopped => true,
        };
        if !again {
            return None;
        }
        self.wait = if ran >= STEADY || self.wait.is_zero() {
            FIRST
        } else {
            (self.wait * 2).min(LONGEST)
        };
        self.in_a_row += 1;
        Some(self.wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(1);

    #[test]
    fn waits_grow_and_start_over() {
        let mut policy = Policy::default();
        let waits: Vec<u128> = (0..12)
            .filter_map(|_| policy.after(Restart::Always, 0, false, SHORT))
            .map(|wait| wait.as_millis())
            .collect();
        assert_eq!(waits[..4], [100, 200, 400, 800]);
        assert_eq!(waits[11], 60_000);
        let wait = policy.after(Restart::Always, 0, false, STEADY);
        assert_eq!(wait, Some(FIRST));
    }

    #[test]
    fn who_is_started_again() {
        let cases = [
            (Restart::No, 1, false, 0),
            (Restart::OnFailure(0), 0, false, 0),
            (Restart::OnFailure(0), 1, false, 5),
            (Restart::OnFailure(2), 1, false, 2),
            (Restart::Always, 0, false, 5),
            (Restart::UnlessStopped, 0, false, 5),
            (Restart::Always, 0, true, 0),
        ];
        for (restart, code, stopped, times) in cases {
            let mut policy = Policy::default();
            let again = (0..5)
                .take_while(|_| policy.after(restart, code, stopped, SHORT).is_some())
                .count();
            assert_eq!(again, times, "{restart:?} {code} {stopped}");
        }
    }
}
