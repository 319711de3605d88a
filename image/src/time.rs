//! Times as images write them: RFC 3339, section 5.6.

/// A time in UTC, without a fraction when it has none; none outside the years 0 to 9999.
pub fn rfc3339(seconds: i64, nanos: u32) -> Option<String> {
    let (year, month, day) = date(seconds.div_euclid(86_400));
    if !(0..=9999).contains(&year) {
        return None;
    }
    let rest = seconds.rem_euclid(86_400);
    let mut fraction = if nanos == 0 {
        String::new()
    } else {
        format!(".{nanos:09}")
    };
    fraction.truncate(fraction.trim_end_matches('0').len());
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}{fraction}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    ))
}

/// Seconds since 1970 of an RFC 3339 time.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let mut days = days_from(number(0..4)?, number(5..7)?, number(8..10)?);
    let clock = number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    let zone = text
        .get(19..)?
        .trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match zone.as_bytes().first()? {
        b'Z' | b'z' => 0,
        sign @ (b'+' | b'-') => {
            let part = |range: std::ops::Range<usize>| zone.get(range)?.parse::<i64>().ok();
            let away = part(1..3)? * 3600 + part(4..6)? * 60;
            if *sign == b'+' { -away } else { away }
        }
        _ => return None,
    };
    days = days.checked_mul(86_400)?;
    Some(days + clock + offset)
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
fn date(days: i64) -> (i64, i64, i64) {
    // Years that begin in March put the leap day last; 400 of them have 146,097 days.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
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
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// The inverse of [`date`].
fn days_from(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_what_they_write() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_600_000_000, "2020-09-13T12:26:40Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds, 0).as_deref(), Some(text));
            assert_eq!(parse_rfc3339(text), Some(seconds));
        }
        assert_eq!(
            rfc3339(0, 120_000_000).as_deref(),
            Some("1970-01-01T00:00:00.12Z")
        );
        assert_eq!(
            parse_rfc3339("2020-09-13T14:26:40.5+02:00"),
            Some(1_600_000_000)
        );
        assert_eq!(parse_rfc3339("yesterday"), None);
        for seconds in [253_402_300_800, i64::MAX, i64::MIN] {
            assert_eq!(rfc3339(seconds, 0), None);
        }
    }
}
