//! Why a snapshot stays or goes, for people.

use std::fmt;

use super::policy::Within;

/// Why a snapshot stays or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Stays: no rule was given.
    NoRules,
    /// Stays: no rule names its tier or kind.
    NotNamed,
    /// Stays: its time cannot be read, so no rule can judge it.
    UnknownTime,
    /// Stays: it is held.
    Held,
    /// Stays: last good snapshot of its target on its host, for what it holds.
    LastGood,
    /// Stays: newest partial one, later than the last good.
    NewestPartial,
    /// Stays: newest of its time by a rule (`last`, `hourly`, …).
    Newest(&'static str),
    /// Stays: oldest there is, while a rule is not filled.
    Oldest(&'static str),
    /// Stays: within a span before the newest.
    Within(Within),
    /// Stays: newest of its time (`hourly`, …) within a span.
    NewestWithin(&'static str, Within),
    /// Stays: has the tags.
    Tags(Vec<String>),
    /// Stays: among the newest of its tier or kind.
    AmongNewest {
        /// The tier or kind.
        rule: String,
        /// How many stay.
        count: u32,
    },
    /// Stays: not older than its tier or kind may be.
    Young {
        /// The tier or kind.
        rule: String,
        /// Seconds.
        age: u64,
    },
    /// Stays: its tier or kind is kept for ever.
    Forever {
        /// The tier or kind.
        rule: String,
    },
    /// Stays: within the limits.
    InLimits,
    /// Goes: no rule keeps it.
    NoRuleKeeps,
    /// Goes: its tier or kind keeps it no longer.
    Outlived {
        /// The tier or kind.
        rule: String,
    },
    /// Goes: older than the limit.
    TooOld {
        /// Days.
        days: u32,
    },
    /// Goes: more than the limit are newer.
    TooMany {
        /// How many stay.
        count: u32,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRules => f.write_str("no rule given"),
            Self::NotNamed => f.write_str("no rule names it"),
            Self::UnknownTime => f.write_str("its time cannot be read"),
            Self::Held => f.write_str("held"),
            Self::LastGood => f.write_str("last good snapshot"),
            Self::NewestPartial => f.write_str("newest partial snapshot, later than the last good"),
            Self::Newest(rule) => write!(f, "{rule} snapshot"),
            Self::Oldest(rule) => write!(f, "oldest {rule} snapshot"),
            Self::Within(span) => write!(f, "within {span}"),
            Self::NewestWithin(rule, span) => write!(f, "{rule} within {span}"),
            Self::Tags(tags) => write!(f, "has tags {}", tags.join(",")),
            Self::AmongNewest { rule, count } => write!(f, "{rule}: among the newest {count}"),
            Self::Young { rule, age } => write!(f, "{rule}: not older than {}", span(*age)),
            Self::Forever { rule } => write!(f, "{rule}: kept for ever"),
            Self::InLimits => f.write_str("within the limits"),
            Self::NoRuleKeeps => f.write_str("no rule keeps it"),
            Self::Outlived { rule } => write!(f, "{rule}: past count and age"),
            Self::TooOld { days } => write!(f, "older than {days} days"),
            Self::TooMany { count } => write!(f, "more than {count} are newer"),
        }
    }
}

fn span(seconds: u64) -> String {
    match (seconds / 3600, seconds % 3600) {
        (hours, 0) if hours % 24 == 0 && hours > 24 => format!("{} days", hours / 24),
        (hours, 0) => format!("{hours} hours"),
        _ => format!("{seconds} seconds"),
    }
}
