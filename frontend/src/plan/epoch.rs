//! SOURCE_DATE_EPOCH, and times as texts.

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
        match rfc3339(seconds) {
            Some(text) => Ok(Self { seconds, text }),
            None => Err(PlanError::new(format!(
                "invalid SOURCE_DATE_EPOCH: {seconds}: not between the years 0 and 9999"
            ))),
        }
    }
}

/// `seconds` since 1970 as `YYYY-MM-DDThh:mm:ssZ`; none outside the years 0 to 9999.
fn rfc3339(seconds: i64) -> Option<String> {
    const DAY: i64 = 86_400;
    let (days, of_day) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    // Count from 1 March of the year 0, so that a leap day ends its year; 146,097 days are 400
    // years.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    if !(0..=9999).contains(&year) {
        return None;
    }
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds).as_deref(), Some(text));
        }
        for seconds in [253_402_300_800, i64::MAX, i64::MIN] {
            assert_eq!(rfc3339(seconds), None);
        }
    }

    #[test]
    fn only_years_of_four_digits_can_be_written() {
        assert_eq!(Epoch::new(0).unwrap().text, "1970-01-01T00:00:00Z");
        assert!(Epoch::new(i64::MAX).is_err());
    }
}
