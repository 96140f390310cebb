//! Text tables, and how sizes, times and names are written for people.

use std::borrow::Cow;
use std::fmt;

use bytesize::ByteSize;
use chronos_snapshot::harmless;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Widest ambiguity-free short form of a content id, in hex digits.
pub(crate) const SHORT_ID_LEN: usize = 10;

/// Rows of text in columns.
#[derive(Debug, Default)]
pub(crate) struct Table {
    head: Vec<&'static str>,
    right: Vec<usize>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column heads.
    pub(crate) fn new(head: &[&'static str]) -> Self {
        Self { head: head.to_vec(), ..Self::default() }
    }

    /// Sets these columns flush right.
    pub(crate) fn right(mut self, columns: &[usize]) -> Self {
        self.right = columns.to_vec();
        self
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let shown = |cell: String| match harmless(&cell) {
            Cow::Borrowed(_) => cell,
            Cow::Owned(changed) => changed,
        };
        self.rows.push(cells.into_iter().map(shown).collect());
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |s: &str| s.chars().count();
        let mut widths: Vec<usize> = self.head.iter().map(|h| width(h)).collect();
        for row in &self.rows {
            for (w, cell) in widths.iter_mut().zip(row) {
                *w = (*w).max(width(cell));
            }
        }
        let mut line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut text = String::new();
            for (i, (cell, w)) in cells.zip(&widths).enumerate() {
                let pad = " ".repeat(w.saturating_sub(width(cell)));
                if i > 0 {
                    text.push_str("  ");
                }
                if self.right.contains(&i) {
                    text.push_str(&pad);
                    text.push_str(cell);
                } else {
                    text.push_str(cell);
                    text.push_str(&pad);
                }
            }
            writeln!(f, "{}", text.trim_end())
        };
        if self.head.iter().any(|h| !h.is_empty()) {
            line(&mut self.head.iter().copied())?;
        }
        for row in &self.rows {
            line(&mut row.iter().map(String::as_str))?;
        }
        Ok(())
    }
}

/// A number of bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

/// A share for people.
pub(crate) fn ratio(whole: u64, part: u64) -> String {
    if part == 0 { "-".into() } else { format!("{:.2}", whole as f64 / part as f64) }
}

/// An RFC 3339 time in the time zone of the process; as it is when it cannot be read.
pub(crate) fn local_time(text: &str) -> String {
    text.parse::<Timestamp>().map_or_else(|_| chronos_snapshot::printable(text.as_bytes()), zoned)
}

/// A number of seconds that went by, for people.
pub(crate) fn age(seconds: u64) -> String {
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3_599 => format!("{} min", seconds / 60),
        3_600..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A number of milliseconds for people.
pub(crate) fn duration(ms: u64) -> String {
    match ms {
        0..=59_999 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        60_000..=3_599_999 => format!("{} min {} s", ms / 60_000, ms / 1000 % 60),
        _ => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

fn zoned(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_stand_right() {
        let mut table = Table::new(&["NAME", "SIZE"]).right(&[1]);
        table.row(["ä".into(), "1".into()]);
        table.row(["longer".into(), "22222".into()]);
        assert_eq!(table.to_string(), "NAME     SIZE\nä           1\nlonger  22222\n");
    }

    #[test]
    fn times_that_cannot_be_read_are_shown_harmlessly() {
        assert_eq!(local_time("\u{1b}[2J"), "\\u{1b}[2J");
    }
}
