//! When something is due: five fields on a clock that hangs in a time zone.
//!
//! What always holds, whatever the zone does to its clock: due times strictly follow each other; a time that the clock skips is
//! due once, at the first moment after; a time that it shows twice is due the first time. Where every hour is meant the hours
//! that really go by count, so that a repeated hour has its own and a skipped one has none.

use std::fmt;
use std::iter::Peekable;

use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::{DateTime, date};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneFollowingTransitions};
use jiff::{SignedDuration, Timestamp};

/// Short words, and what they stand for.
const WORDS: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * SUN"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// The fields, and what each may hold.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of the month", "1-31, L for the last, 15W for the working day nearest to the 15th"),
    ("month", "1-12 or JAN-DEC"),
    ("day of the week", "0-7 or SUN-SAT, MON#1 for the first Monday, FRI#L for the last Friday"),
];

/// Longest text that is read; every minute of an hour fits.
const TEXT_BYTES_MAX: usize = 500;
/// Any day will do: what does not come in the calendar's 400 years after it never comes.
const SOME_DAY: DateTime = date(2000, 1, 1).at(0, 0, 0, 0);
/// How far back the last due time is looked for, in hours: step by step, so that what is due often is found at once, and what is due
/// in leap years alone is found too (on one weekday, 40 years may lie between).
const WINDOWS: [i64; 6] = [1, 25, 33 * 24, 367 * 24, 9 * 366 * 24, 41 * 366 * 24];

/// When something is due.
#[derive(Clone)]
pub struct Times {
    text: String,
    zone_name: String,
    cron: croner::Cron,
    zone: TimeZone,
    /// Due in every hour that goes by, rather than at hours that the clock shows.
    is_by_hours: bool,
}

impl Times {
    /// Reads five fields or a word such as `@daily`, and the name of a time zone (UTC if absent).
    ///
    /// # Errors
    /// A sentence that says what is wrong, and what is expected.
    pub fn parse(cron: &str, timezone: Option<&str>) -> Result<Self, String> {
        let text = cron.split_whitespace().collect::<Vec<_>>().join(" ");
        let cron = parse_fields(&text)?;
        let zone_name = timezone.unwrap_or("UTC").to_owned();
        let zone = parse_timezone(&zone_name)?;
        if cron.find_next_occurrence(&SOME_DAY, true).is_err() {
            return Err(format!("{text:?} never comes: no month of the year that it names has such a day"));
        }
        let is_by_hours = cron.pattern.hours.values().len() == 24;
        Ok(Self { text, zone_name, cron, zone, is_by_hours })
    }

    /// The fields, as they were given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The name of the time zone.
    pub fn zone_name(&self) -> &str {
        &self.zone_name
    }

    /// The first due time after a moment; `None` at the end of the calendar.
    pub fn after(&self, moment: Timestamp) -> Option<Timestamp> {
        let mut offset = self.zone.to_offset(moment);
        let mut changes: Peekable<TimeZoneFollowingTransitions<'_>> = self.zone.following(moment).peekable();
        let mut shown = self.shown(offset.to_datetime(moment), Bound::After)?;
        loop {
            let due = offset.to_timestamp(shown).ok()?;
            let Some(change) = changes.next_if(|change| change.timestamp() <= due) else {
                if !self.is_by_hours && self.is_second(shown, offset) {
                    shown = self.shown(shown, Bound::After)?;
                    continue;
                }
                return Some(due);
            };
            // The clock is put from `left` to `reached` before it shows the time that was found.
            let (left, reached) =
                (offset.to_datetime(change.timestamp()), change.offset().to_datetime(change.timestamp()));
            offset = change.offset();
            let is_skipped = shown < reached;
            let is_repeated = reached < left;
            match self.is_by_hours {
                false if is_skipped => return Some(change.timestamp()),
                true if is_skipped || is_repeated => shown = self.shown(reached, Bound::From)?,
                _ => {}
            }
        }
    }

    /// The last due time until a moment, itself included; `None` if there was none for decades.
    pub fn until(&self, moment: Timestamp) -> Option<Timestamp> {
        WINDOWS.into_iter().find_map(|hours| {
            let start = moment.checked_sub(SignedDuration::from_hours(hours)).ok()?;
            let mut last = None;
            let mut next = self.after(start);
            while let Some(due) = next.filter(|due| *due <= moment) {
                last = Some(due);
                next = self.after(due);
            }
            last
        })
    }

    /// The first time that fits on a clock that nobody puts forward or back.
    fn shown(&self, from: DateTime, bound: Bound) -> Option<DateTime> {
        // It fails at the end of its calendar alone: that something fits was checked when it was read.
        self.cron.find_next_occurrence(&from, bound == Bound::From).ok()
    }

    /// Whether a clock shows this time for the second time.
    fn is_second(&self, shown: DateTime, offset: jiff::tz::Offset) -> bool {
        match self.zone.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Fold { before, after } => offset == after && offset != before,
            AmbiguousOffset::Gap { .. } | AmbiguousOffset::Unambiguous { .. } => false,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    From,
    After,
}

impl fmt::Debug for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Times({} {})", self.text, self.zone_name)
    }
}

impl PartialEq for Times {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, &self.zone_name) == (&other.text, &other.zone_name)
    }
}

impl Eq for Times {}

/// Reads where a clock hangs.
///
/// # Errors
/// A sentence that says what is expected.
pub fn parse_timezone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| {
        let hint = if jiff::tz::db().available().next().is_none() {
            "; this machine has no list of time zones: install the package tzdata"
        } else {
            ""
        };
        format!("{name:?} is not the name of a time zone, such as Europe/Berlin or UTC{hint}")
    })
}

fn parse_fields(text: &str) -> Result<croner::Cron, String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!("{} bytes are too many for a cron expression", text.len()));
    }
    if text.starts_with('@') {
        let Some((_, fields)) = WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)) else {
            let words: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
            return Err(format!("{text:?} is not known; there are {}", words.join(", ")));
        };
        return parse_fields(fields);
    }
    let fields: Vec<&str> = text.split(' ').collect();
    if fields.len() != FIELDS.len() {
        return Err(format!(
            "{text:?}: five fields are expected: minute, hour, day of the month, month, day of the week, such as \"30 2 * * *\"; or a \
             word such as @daily"
        ));
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(text).map_err(|whole| {
        // The field that cannot be read even alone is the wrong one.
        let wrong = fields.iter().zip(FIELDS).enumerate().find(|(number, (field, _))| {
            let mut alone = ["*"; FIELDS.len()];
            alone.iter_mut().skip(*number).take(1).for_each(|slot| *slot = field);
            parser.parse(&alone.join(" ")).is_err()
        });
        match wrong {
            Some((_, (field, (name, allowed)))) => {
                format!("{text:?}: {field:?} is no {name}: {allowed}; also *, */5, 1-5 and 1,2")
            }
            None => format!("{text:?}: {whole}"),
        }
    })
}
