//! Words of requests: times, tiers, numbers of rows, and what counts as not given.

use chronos_snapshot::{BACKUP_TYPES, TIERS};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::http::fields::shortened;
use crate::http::problem::Problem;

/// The strategies of a restore by their words.
pub(in crate::http) const STRATEGIES: [&str; 4] = ["new-location", "overwrite", "replace", "merge"];

/// Rows of a page where nobody says it, and at most.
pub(in crate::http) const LIMIT: u32 = 50;
pub(in crate::http) const LIMIT_MAX: u32 = 1000;

/// How many rows are wanted.
pub(in crate::http) fn rows(limit: Option<u32>) -> Result<u32, Problem> {
    let limit = limit.unwrap_or(LIMIT);
    if (1..=LIMIT_MAX).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::invalid("limit", format!("limit: {limit} is not between 1 and {LIMIT_MAX}")))
}

/// A text that is not empty.
pub(in crate::http) fn given(text: Option<String>) -> Option<String> {
    text.filter(|t| !t.trim().is_empty())
}

/// A text that must be there.
pub(in crate::http) fn required(field: &str, text: Option<String>) -> Result<String, Problem> {
    given(text).ok_or_else(|| Problem::invalid(field, format!("{field} is missing")))
}

/// A word with `-` for `_`.
pub(in crate::http) fn dashed(text: &str) -> String {
    text.trim().replace('_', "-")
}

/// Whether it is a tier.
pub(in crate::http) fn is_tier(word: &str) -> bool {
    TIERS.contains(&word)
}

/// Whether it is a backup type.
pub(in crate::http) fn is_type(word: &str) -> bool {
    BACKUP_TYPES.contains(&word)
}

/// One of some words.
pub(in crate::http) fn one_of(field: &str, text: &str, known: &[&str]) -> Result<String, Problem> {
    let word = dashed(text);
    if let Some(known) = known.iter().find(|known| dashed(known) == word) {
        return Ok((*known).to_owned());
    }
    let shown = shortened(text);
    Err(Problem::invalid(field, format!("{field}: {shown:?} is not known; there are {}", known.join(", "))))
}

/// A moment: RFC 3339, or a date with or without a time, in UTC.
pub(in crate::http) fn time(field: &str, text: &str) -> Result<Timestamp, Problem> {
    // In a query, `+` of a zone reads as a space.
    let zoned = text.replace(' ', "+");
    let parsed = text.parse::<Timestamp>().ok().or_else(|| zoned.parse::<Timestamp>().ok()).or_else(|| {
        let civil = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|d| d.at(0, 0, 0, 0)));
        civil.ok()?.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp())
    });
    parsed.ok_or_else(|| {
        let shown = shortened(text);
        Problem::invalid(
            field,
            format!("{field}: {shown:?} is not a time such as 2026-01-31 or 2026-01-31T13:00:00Z"),
        )
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn rows_have_a_usual_number_and_a_limit() {
        assert_eq!((rows(None).unwrap(), rows(Some(1000)).unwrap()), (LIMIT, LIMIT_MAX));
        assert_eq!(rows(Some(0)).unwrap_err().detail(), "limit: 0 is not between 1 and 1000");
        assert!(rows(Some(1001)).is_err());
    }

    #[test]
    fn a_word_is_known_with_either_mark() {
        for known in ["requires_backup", "requires-backup"] {
            for text in ["requires_backup", " requires-backup "] {
                assert_eq!(one_of("status", text, &["completed", known]).unwrap(), known);
            }
        }
        one_of("status", "requires backup", &["requires_backup"]).unwrap_err();
    }

    #[test]
    fn times_are_read_in_all_their_writings() {
        let wanted: Timestamp = "2026-01-31T13:00:00Z".parse().unwrap();
        for text in
            ["2026-01-31T13:00:00Z", "2026-01-31T15:00:00 02:00", "2026-01-31T13:00:00", "2026-01-31 13:00"]
        {
            assert_eq!(time("since", text).unwrap(), wanted, "{text}");
        }
        assert!(time("since", "yesterday").unwrap_err().detail().contains("since: \"yesterday\""));
    }
}
