//! Pages of a listing: a cursor names the last row that was given, so that what is made or deleted between two pages neither doubles
//! nor hides another row.

use serde::{Deserialize, Serialize};

use crate::http::problem::Problem;

/// Longest cursor: the key of a row and its name.
const CURSOR_LEN_MAX: usize = 4096;

/// By what rows are sorted: a value, then a name that no other row has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Key(pub(super) Value, pub(super) String);

/// A value to sort by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Value {
    /// Sizes, and times in nanoseconds since 1970.
    Number(i64),
    /// Names.
    Text(String),
}

/// In which direction rows are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// The smallest first.
    Up,
    /// The largest first.
    Down,
}

/// Some rows of a listing.
#[derive(Debug)]
pub(super) struct Page<T> {
    /// The rows.
    pub(super) rows: Vec<T>,
    /// How many there are in all.
    pub(super) total: usize,
    /// Where the next page begins, if there is one.
    pub(super) next: Option<String>,
}

/// Which page is wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Most rows.
    pub(super) limit: usize,
    /// Behind which row.
    pub(super) cursor: Option<String>,
    /// In which direction.
    pub(super) direction: Direction,
}

/// The page of some rows.
pub(super) fn page<T>(mut all: Vec<(Key, T)>, wanted: &Wanted) -> Result<Page<T>, Problem> {
    let order = |a: &Key, b: &Key| match wanted.direction {
        Direction::Up => a.cmp(b),
        Direction::Down => b.cmp(a),
    };
    all.sort_by(|(a, _), (b, _)| order(a, b));
    let total = all.len();
    let after = wanted.cursor.as_deref().map(decode).transpose()?;
    let begins = after.map_or(0, |after| all.partition_point(|(key, _)| order(key, &after).is_le()));
    let rest = total.saturating_sub(begins);
    let rows: Vec<(Key, T)> = all.into_iter().skip(begins).take(wanted.limit).collect();
    let next = rows.last().filter(|_| rest > rows.len()).map(|(key, _)| encode(key));
    Ok(Page { rows: rows.into_iter().map(|(_, row)| row).collect(), total, next })
}

fn encode(key: &Key) -> String {
    // Texts and numbers can always be written.
    hex::encode(serde_json::to_vec(key).unwrap_or_default())
}

fn decode(text: &str) -> Result<Key, Problem> {
    let bytes = (text.len() <= CURSOR_LEN_MAX).then(|| hex::decode(text).ok()).flatten();
    bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or_else(|| {
        Problem::invalid(
            "cursor",
            "cursor: this is not the next_cursor of an answer; leave it out for the first page",
        )
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn rows(numbers: impl IntoIterator<Item = i64>) -> Vec<(Key, i64)> {
        numbers.into_iter().map(|n| (Key(Value::Number(n / 2), format!("{n:04}")), n)).collect()
    }

    #[test]
    fn pages_hold_every_row_once_also_when_rows_come_and_go() {
        let wanted = |cursor| Wanted { limit: 3, cursor, direction: Direction::Down };
        let first = page(rows(0..10), &wanted(None)).unwrap();
        assert_eq!((first.rows, first.total), (vec![9, 8, 7], 10));
        // The last row is gone, and a new one has come.
        let second = page(rows((0..7).chain(8..11)), &wanted(first.next)).unwrap();
        assert_eq!(second.rows, [6, 5, 4]);
        let third = page(rows(0..10), &wanted(second.next)).unwrap();
        let last = page(rows(0..10), &wanted(third.next)).unwrap();
        assert_eq!((third.rows, last.rows, last.next), (vec![3, 2, 1], vec![0], None));
    }

    #[test]
    fn a_cursor_that_is_none_is_refused() {
        for bad in ["x", "00", &"00".repeat(5000)] {
            let wanted = Wanted { limit: 1, cursor: Some(bad.into()), direction: Direction::Up };
            assert!(page(rows(0..2), &wanted).is_err());
        }
    }
}
