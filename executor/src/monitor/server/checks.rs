//! Checks of a container's health: when one is due, what it said, what follows from it. Knows no
//! process but by its number.

use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant, SystemTime};

use super::serve::Monitor;
use crate::container::ContainerError;
use crate::container::spec::Process;
use crate::monitor::life::Health;
use crate::monitor::status::{HealthLog, HealthState, HealthStatus, State};

/// Bytes of a check's output that are kept.
const OUTPUT: usize = 4096;
/// Checks that are kept.
const KEPT: usize = 5;
/// The code of a check that took too long.
const TOO_LONG: i32 = -1;

/// The checks of one container.
pub(super) struct Checks {
    health: Health,
    began: Instant,
    next: Option<Instant>,
    current: Option<Check>,
}

/// A check that runs.
struct Check {
    exec: u64,
    began: Instant,
    start: SystemTime,
    late: bool,
    output: Vec<u8>,
}

impl Checks {
    pub(super) fn new(health: Health) -> Self {
        Self {
            health,
            began: Instant::now(),
            next: None,
            current: None,
        }
    }

    /// The container was started.
    pub(super) fn begin(&mut self, now: Instant) {
        self.began = now;
        self.current = None;
        self.next = Some(now + self.interval(now, HealthState::Starting));
    }

    /// The container ended.
    pub(super) fn abandon(&mut self) {
        self.current = None;
        self.next = None;
    }

    fn interval(&self, now: Instant, state: HealthState) -> Duration {
        let starting = state == HealthState::Starting
            && now.saturating_duration_since(self.began) < self.health.start_period;
        if starting && !self.health.start_interval.is_zero() {
            self.health.start_interval
        } else {
            self.health.interval
        }
    }

    fn due(&self) -> Option<Instant> {
        match &self.current {
            Some(check) if check.late => None,
            Some(check) => Some(check.began + self.health.timeout),
            None => self.next,
        }
    }

    /// Reads what a check wrote; true at the end.
    pub(super) fn hear(&mut self, output: &mut File) -> bool {
        let mut buffer = [0; OUTPUT];
        loop {
            match output.read(&mut buffer) {
                Ok(0) => return true,
                Ok(count) => {
                    if let Some(check) = &mut self.current {
                        let room = OUTPUT - check.output.len();
                        check.output.extend_from_slice(&buffer[..count.min(room)]);
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
    }

    /// Notes how the current check ended.
    fn note(&mut self, status: &mut HealthStatus, code: i32, failed: Option<ContainerError>) {
        let Some(check) = self.current.take() else {
            return;
        };
        let now = Instant::now();
        let (code, output) = if check.late {
            let text = format!("Health check exceeded timeout ({:?})", self.health.timeout);
            (TOO_LONG, text)
        } else if let Some(error) = failed {
            (error.exit_status().unwrap_or(TOO_LONG), error.to_string())
        } else {
            (code, String::from_utf8_lossy(&check.output).into_owned())
        };
        let early = status.status == HealthState::Starting
            && check.began.saturating_duration_since(self.began) < self.health.start_period;
        judge(status, code == 0, early, self.health.retries);
        status.log.push(HealthLog {
            start: check.start,
            end: SystemTime::now(),
            exit_code: code,
            output,
        });
        let surplus = status.log.len().saturating_sub(KEPT);
        status.log.drain(..surplus);
        self.next = Some(now + self.interval(now, status.status));
    }
}

/// What one more check means.
fn judge(status: &mut HealthStatus, passed: bool, early: bool, retries: u32) {
    if passed {
        status.failing_streak = 0;
        status.status = HealthState::Healthy;
    } else if !early {
        status.failing_streak += 1;
        if status.failing_streak >= retries {
            status.status = HealthState::Unhealthy;
        }
    }
}

impl Monitor {
    /// When something is to be done about checks.
    pub(super) fn checks_due(&self) -> Option<Instant> {
        if self.status.state != State::Running {
            return None;
        }
        self.checks.as_ref()?.due()
    }

    /// Begins a check that is due, or ends one that takes too long.
    pub(super) fn check(&mut self, now: Instant) {
        if self.checks_due().is_none_or(|due| due > now) {
            return;
        }
        let Some(checks) = &mut self.checks else {
            return;
        };
        if let Some(check) = &mut checks.current {
            check.late = true;
            let exec = check.exec;
            return self.signal_exec(exec, libc::SIGKILL);
        }
        let process = Process {
            args: checks.health.args.clone(),
            terminal: false,
            init: false,
            ..self.life.spec.process.clone()
        };
        let start = SystemTime::now();
        let begun = self.exec_check(&process);
        let Some(checks) = &mut self.checks else {
            return;
        };
        checks.current = Some(Check {
            exec: begun.as_ref().copied().unwrap_or_default(),
            began: now,
            start,
            late: false,
            output: Vec::new(),
        });
        if let Err(error) = begun {
            let why = error.to_string();
            self.checked(TOO_LONG, Some(ContainerError::Invalid { why }));
        }
    }

    /// A check ended.
    pub(super) fn checked(&mut self, code: i32, failed: Option<ContainerError>) {
        if let (Some(checks), Some(status)) = (&mut self.checks, &mut self.status.health) {
            checks.note(status, code, failed);
            self.write_status();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_follows_from_checks() {
        use HealthState::{Healthy, Starting, Unhealthy};
        // passed, early, then what it is with two failures allowed
        let steps = [
            (false, true, Starting, 0),
            (false, false, Starting, 1),
            (true, false, Healthy, 0),
            (false, false, Healthy, 1),
            (false, false, Unhealthy, 2),
            (false, false, Unhealthy, 3),
            (true, false, Healthy, 0),
        ];
        let mut status = HealthStatus::default();
        for (at, (passed, early, wanted, streak)) in steps.into_iter().enumerate() {
            judge(&mut status, passed, early, 2);
            assert_eq!(
                (status.status, status.failing_streak),
                (wanted, streak),
                "step {at}"
            );
        }
    }
}
