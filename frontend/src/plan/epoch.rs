//! SOURCE_DATE_EPOCH.

use super::error::PlanError;

/// The time that configuration and history get instead of now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Epoch {
    /// Seconds since 1970.
    pub(super) seconds: i64,
    /// RFC 3339.
    pub(super) text: String,
}

impl Epoch {
    /// The epoch at `seconds` since 1970.
    pub(super) fn new(seconds: i64) -> Result<Self, PlanError> {
        match image::time::rfc3339(seconds, 0) {
            Some(text) => Ok(Self { seconds, text }),
            None => Err(PlanError::new(format!(
                "invalid SOURCE_DATE_EPOCH: {seconds}: not between the years 0 and 9999"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_years_of_four_digits_can_be_written() {
        assert_eq!(Epoch::new(0).unwrap().text, "1970-01-01T00:00:00Z");
        assert!(Epoch::new(i64::MAX).is_err());
    }
}
