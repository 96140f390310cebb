//! The rules that hold where nobody gave any.

use std::collections::BTreeMap;

use super::policy::{Limits, Rule, TierPolicy};
use crate::error::{Error, Result};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// Tiers with their counts and ages in seconds; neither means for ever.
const TIERS: [(&str, Option<u32>, Option<u64>); 10] = [
    ("hourly", Some(24), Some(24 * HOUR)),
    ("daily", Some(7), Some(30 * DAY)),
    ("weekly", Some(4), Some(90 * DAY)),
    ("monthly", Some(12), None),
    ("yearly", None, None),
    ("pre-deploy", None, Some(7 * DAY)),
    ("scheduled", None, Some(30 * DAY)),
    ("manual", None, Some(180 * DAY)),
    ("emergency", None, Some(180 * DAY)),
    ("restore-point", None, Some(180 * DAY)),
];

impl Rule {
    fn days(days: u64) -> Self {
        Self { count: None, age_seconds: Some(days * DAY) }
    }
}

impl TierPolicy {
    /// The built-in table.
    pub fn built_in() -> Self {
        let rule = |(tier, count, age_seconds): (&str, _, _)| (tier.to_owned(), Rule { count, age_seconds });
        Self {
            tiers: TIERS.into_iter().map(rule).collect(),
            database_only: Some(Rule::days(3)),
            workflows_only: Some(Rule::days(30)),
            auto: Some(Rule::days(30)),
            other: None,
        }
    }

    /// A policy of named rules: a tier, `database-only`, `workflows-only`, or `other` for what none of them
    /// names. With no rules it is the built-in table.
    pub fn from_rules(rules: &BTreeMap<String, Rule>) -> Result<Self> {
        if rules.is_empty() {
            return Ok(Self::built_in());
        }
        let mut policy = Self::default();
        for (name, rule) in rules {
            match name.replace('_', "-").as_str() {
                "database-only" => policy.database_only = Some(*rule),
                "workflows-only" => policy.workflows_only = Some(*rule),
                "other" => policy.other = Some(*rule),
                tier if tier == "auto" || TIERS.iter().any(|(known, _, _)| *known == tier) => {
                    policy.tiers.insert(tier.to_owned(), *rule);
                }
                _ => {
                    return Err(Error::Invalid(format!("{name:?} is neither a tier nor a kind of snapshot")));
                }
            }
        }
        Ok(policy)
    }

    /// The same with an age for snapshots that no rule of a tier or kind names, unless they have one.
    #[must_use]
    pub fn with_other_days(mut self, days: Option<u32>) -> Self {
        self.other = self.other.or(days.map(|days| Rule::days(days.into())));
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { retention_days: Some(30), max_backups: Some(100) }
    }
}
