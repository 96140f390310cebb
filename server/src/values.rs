//! How sizes, durations, names and paths are written in configuration, on the command line and in messages.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Seconds in a day.
const DAY: u64 = 86_400;

/// A path as people read it.
pub fn shown(path: &Path) -> String {
    chronos_snapshot::printable(path.as_os_str().as_bytes())
}

/// Bytes in a text such as `500`, `64k`, `10 MiB`, `1.5G`; units are powers of 1024.
///
/// # Errors
/// A sentence that says what is expected.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let lower = unit.to_ascii_lowercase();
    let shift = match lower.trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(format!("{text:?} is not a size such as 512k, 10M or 2GiB")),
    };
    number
        .parse::<f64>()
        .ok()
        .map(|n| n * (1_u64 << shift) as f64)
        .filter(|n| n.is_finite() && *n >= 0.0 && *n < 9e18)
        .map(whole)
        .ok_or_else(|| format!("{text:?} is not a size such as 512k, 10M or 2GiB"))
}

/// Seconds in a text such as `24h`, `30d`, `2w`, `90 days`, `1y` (365 days), `1d12h`.
///
/// # Errors
/// A sentence that says what is expected.
pub fn parse_duration(text: &str) -> Result<u64, String> {
    let bad = || format!("{text:?} is not a duration such as 30s, 10min, 24h, 30d, 8w or 1y");
    let mut rest = text.trim();
    let mut seconds = 0_u64;
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, next) = after.split_at(letters);
        let factor = match unit.to_ascii_lowercase().as_str() {
            "s" | "sec" | "second" | "seconds" => 1,
            "min" | "minute" | "minutes" => 60,
            "h" | "hour" | "hours" => 3600,
            "d" | "day" | "days" => DAY,
            "w" | "week" | "weeks" => 7 * DAY,
            "y" | "year" | "years" => 365 * DAY,
            _ => return Err(bad()),
        };
        let part = number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor));
        seconds = part.and_then(|p| seconds.checked_add(p)).ok_or_else(bad)?;
        rest = next.trim_start();
    }
    Ok(seconds)
}

/// The known word that looks most like `word`, if any looks like it at all.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 2).max(2);
    known
        .into_iter()
        .map(|k| (distance(word, k), k))
        .min_by_key(|(d, _)| *d)
        .filter(|(d, _)| *d <= limit)
        .map(|(_, k)| k)
}

#[expect(clippy::cast_sign_loss, reason = "checked to be in range by the caller")]
fn whole(number: f64) -> u64 {
    number as u64
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim())
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (cb, above) in b.iter().zip(row.iter().skip(1)) {
            let cost = diagonal + usize::from(ca != *cb);
            left = cost.min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(parse_size("512"), Ok(512));
        assert_eq!(parse_size("64k"), Ok(65_536));
        assert_eq!(parse_size("1.5 GiB"), Ok(3 << 29));
        assert_eq!(parse_size("10MB"), Ok(10 << 20));
        assert!(parse_size("ten").is_err());
        assert!(parse_size("-1").is_err());
        assert!(parse_size("").is_err());
    }

    #[test]
    fn durations_add_up_and_a_lone_m_is_refused() {
        assert_eq!(parse_duration("24h"), Ok(86_400));
        assert_eq!(parse_duration("1d12h"), Ok(129_600));
        assert_eq!(parse_duration("90 days"), Ok(90 * 86_400));
        assert_eq!(parse_duration("0"), Ok(0));
        assert!(parse_duration("3m").is_err(), "minutes or months: it does not say");
        assert!(parse_duration("5").is_err());
        assert!(parse_duration("").is_err());
        assert!(parse_duration("99999999999999y").is_err());
    }

    #[test]
    fn the_nearest_word_is_found_and_nonsense_has_none() {
        assert_eq!(nearest("exlude", ["exclude", "include", "paths"]), Some("exclude"));
        assert_eq!(nearest("qqqqqqqq", ["exclude", "paths"]), None);
    }
}
