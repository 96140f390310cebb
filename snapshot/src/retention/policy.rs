//! The rules that a user can give, as values.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// How many newest snapshots a rule keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// So many.
    Newest(u32),
    /// All that the rule looks at.
    All,
}

impl FromStr for Count {
    type Err = Error;
    /// Understands a number, and `unlimited` or `-1` for all.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "unlimited" | "-1" => Ok(Self::All),
            _ => {
                let number = text.parse().map_err(|_| Error::Invalid(format!("{text:?} is not a number")))?;
                Ok(Self::Newest(number))
            }
        }
    }
}

/// A span back from the newest snapshot, in the calendar: `1y5m7d2h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Within {
    /// Years.
    pub years: i16,
    /// Months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Hours.
    pub hours: i32,
}

/// Largest number in a [`Within`]; keeps its arithmetic far from the ends of the calendar.
const WITHIN_MAX: u32 = 9999;

impl FromStr for Within {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::Invalid(format!("{text:?} is not a span such as 1y5m7d2h"));
        let mut within = Self::default();
        let mut rest = text;
        if rest.is_empty() {
            return Err(bad());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = rest.split_at(digits);
            let number: u32 = number.parse().ok().filter(|n| *n <= WITHIN_MAX).ok_or_else(bad)?;
            let signed = number.cast_signed();
            match after.chars().next() {
                Some('y') => within.years = i16::try_from(signed).map_err(|_| bad())?,
                Some('m') => within.months = signed,
                Some('d') => within.days = signed,
                Some('h') => within.hours = signed,
                _ => return Err(bad()),
            }
            rest = after.get(1..).ok_or_else(bad)?;
        }
        Ok(within)
    }
}

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [(i32::from(self.years), 'y'), (self.months, 'm'), (self.days, 'd'), (self.hours, 'h')];
        for (number, unit) in parts.into_iter().filter(|(n, _)| *n != 0) {
            write!(f, "{number}{unit}")?;
        }
        if *self == Self::default() { f.write_str("0h") } else { Ok(()) }
    }
}

/// The classic policy over all snapshots of a target. Without any rule it keeps everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeepPolicy {
    /// The newest.
    pub last: Option<Count>,
    /// The newest of each of the newest hours that have any; the same for the others below.
    pub hourly: Option<Count>,
    /// By day.
    pub daily: Option<Count>,
    /// By ISO week.
    pub weekly: Option<Count>,
    /// By month.
    pub monthly: Option<Count>,
    /// By year.
    pub yearly: Option<Count>,
    /// Everything within a span before the newest.
    pub within: Option<Within>,
    /// The newest of each hour within a span; the same for the others below.
    pub within_hourly: Option<Within>,
    /// By day.
    pub within_daily: Option<Within>,
    /// By ISO week.
    pub within_weekly: Option<Within>,
    /// By month.
    pub within_monthly: Option<Within>,
    /// By year.
    pub within_yearly: Option<Within>,
    /// Those that have all tags of any of these lists; an empty text stands for having no tag.
    pub tags: Vec<Vec<String>>,
}

impl KeepPolicy {
    /// Whether it has no rule.
    pub fn is_empty(&self) -> bool {
        let count = |c: Option<Count>| c.is_none_or(|c| c == Count::Newest(0));
        let within = |w: Option<Within>| w.is_none_or(|w| w == Within::default());
        [self.last, self.hourly, self.daily, self.weekly, self.monthly, self.yearly].into_iter().all(count)
            && [self.within, self.within_hourly, self.within_daily].into_iter().all(within)
            && [self.within_weekly, self.within_monthly, self.within_yearly].into_iter().all(within)
            && self.tags.is_empty()
    }
}

/// How long snapshots of one tier or kind stay: while any of the two keeps them. Neither: for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The newest so many.
    pub count: Option<u32>,
    /// Those not older than so many seconds.
    pub age_seconds: Option<u64>,
}

/// Rules by tier and kind. A snapshot stays if any rule that names it keeps it, or if none names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TierPolicy {
    /// Rules of tiers.
    pub tiers: BTreeMap<String, Rule>,
    /// For snapshots that hold a database alone.
    pub database_only: Option<Rule>,
    /// For snapshots that hold workflows alone.
    pub workflows_only: Option<Rule>,
    /// For snapshots of tier `auto` that no other rule names.
    pub auto: Option<Rule>,
    /// For snapshots that no rule of a tier or kind names.
    pub other: Option<Rule>,
}

/// Limits: whatever is past either goes, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Oldest that stays, in days.
    pub retention_days: Option<u32>,
    /// Most that stay.
    pub max_backups: Option<u32>,
}

/// What decides over the snapshots of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// By tier and kind.
    Tiers(TierPolicy),
    /// The classic policy.
    Keep(KeepPolicy),
    /// Limits.
    Limits(Limits),
}

/// Policies by target, and one for all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySet {
    /// For targets that have none of their own.
    pub general: Policy,
    /// By name of the target.
    pub targets: BTreeMap<String, Policy>,
}

impl PolicySet {
    /// One policy for every target.
    pub fn of(general: Policy) -> Self {
        Self { general, targets: BTreeMap::new() }
    }

    pub(super) fn policy(&self, target: &str) -> &Policy {
        self.targets.get(target).unwrap_or(&self.general)
    }
}
