//! Values as people write them: what options take.

use std::os::unix::ffi::OsStrExt;

use chronos_server::{parse_duration, parse_size};
use chronos_snapshot::{BACKUP_TYPES, TIERS};
use clap::builder::{OsStringValueParser, TypedValueParser};
use jiff::Timestamp;

/// Text that may hold bytes that are none: taken as it is shown everywhere, `\xff`.
pub(crate) fn parse_shown() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().map(|text| chronos_snapshot::printable(text.as_bytes()))
}

/// A tier; `_` counts as `-`.
pub(crate) fn parse_tier(text: &str) -> Result<String, String> {
    one_of(text, TIERS)
}

/// A backup type; `_` counts as `-`.
pub(crate) fn parse_type(text: &str) -> Result<String, String> {
    one_of(text, BACKUP_TYPES)
}

/// A target's name.
pub(crate) fn parse_target(text: &str) -> Result<String, String> {
    chronos_server::check_target_name(text).map(|()| text.to_owned())
}

/// A name or tag of a snapshot.
pub(crate) fn parse_label(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(|c| c.is_control() || matches!(c, '/' | ',')) {
        return Err("a name or tag is text without control characters, '/' and ','".into());
    }
    Ok(text.to_owned())
}

/// `KEY=VALUE`.
pub(crate) fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".into()),
    }
}

/// A moment: RFC 3339, or a date with or without a time in the time zone of the process.
pub(crate) fn parse_time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let civil = text
        .parse::<jiff::civil::DateTime>()
        .or_else(|_| text.parse::<jiff::civil::Date>().map(|d| d.at(0, 0, 0, 0)))
        .map_err(|_| {
            format!("{text:?} is not a time such as 2026-01-31, '2026-01-31 13:00' or 2026-01-31T13:00:00Z")
        })?;
    civil.to_zoned(jiff::tz::TimeZone::system()).map(|z| z.timestamp()).map_err(|e| format!("{text:?}: {e}"))
}

/// A duration, in nanoseconds.
pub(crate) fn parse_nanos(text: &str) -> Result<i64, String> {
    let seconds = parse_duration(text)?;
    i64::try_from(seconds)
        .ok()
        .and_then(|s| s.checked_mul(1_000_000_000))
        .ok_or_else(|| format!("{text:?} is longer than this program can count"))
}

/// A size in bytes.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    parse_size(text)
}

/// Bytes per second.
pub(crate) fn parse_rate(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        0 => Err("0 would stop everything; leave the option out for no limit".into()),
        rate => Ok(rate),
    }
}

fn one_of(text: &str, known: &[&str]) -> Result<String, String> {
    let wanted = text.replace('_', "-");
    if known.contains(&wanted.as_str()) {
        return Ok(wanted);
    }
    Err(format!("there is {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underscores_and_dashes_mean_the_same() {
        assert_eq!(parse_tier("pre_deploy").as_deref(), Ok("pre-deploy"));
        assert!(parse_tier("never").is_err());
        assert!(parse_label("a/b").is_err() && parse_label("").is_err() && parse_label("a b").is_ok());
    }
}
