//! How many steps of a build came to which end: the one count of its summary and of `why`.

use std::fmt;

use cache::builds::StepOutcome;

/// Counts of a build's steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Instructions that the cache had.
    pub cached: usize,
    /// Instructions that ran.
    pub ran: usize,
    /// Steps that failed.
    pub failed: usize,
}

impl Tally {
    /// Counts steps, of which is said whether they are an image to build on, and how they ended. An
    /// image is fetched or on hand: it neither ran nor is a result cached, though it can fail.
    pub fn of(steps: impl IntoIterator<Item = (bool, StepOutcome)>) -> Self {
        let mut tally = Self::default();
        for (is_image, outcome) in steps {
            match outcome {
                StepOutcome::Failed => tally.failed += 1,
                StepOutcome::Cached if !is_image => tally.cached += 1,
                StepOutcome::Done if !is_image => tally.ran += 1,
                _ => {}
            }
        }
        tally
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cached, {} ran", self.cached, self.ran)?;
        match self.failed {
            0 => Ok(()),
            failed => write!(f, ", {failed} failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_counted_only_when_it_fails() {
        use StepOutcome::{Cached, Cancelled, Done, Failed, Skipped};
        let steps = [
            (true, Cached),
            (true, Done),
            (false, Cached),
            (false, Done),
            (false, Done),
            (false, Skipped),
            (false, Cancelled),
        ];
        assert_eq!(Tally::of(steps).to_string(), "1 cached, 2 ran");
        let failed = Tally::of([(true, Failed), (false, Failed)]);
        assert_eq!(failed.to_string(), "0 cached, 0 ran, 2 failed");
    }
}
