//! `[retention]` and `retention` of a target: which snapshots stay.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::problems::{Place, Problems};
use crate::values::parse_duration;

/// Rules by tier (`hourly` … `auto`), by kind (`database-only`, `workflows-only`), and `other` for the rest.
pub type Retention = BTreeMap<String, TierRule>;

/// How long snapshots of one tier stay: while any of the two keeps them. Neither: for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TierRule {
    /// The newest so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Those that are younger, such as `30d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<String>,
}

impl TierRule {
    /// The age in seconds.
    pub fn age_seconds(&self) -> Option<u64> {
        self.age.as_deref().and_then(|a| parse_duration(a).ok())
    }
}

pub(super) fn check(rules: &Retention, at: &Place, problems: &mut Problems<'_>) {
    for (tier, rule) in rules {
        if let Some(age) = &rule.age {
            problems.check(&at.key(tier).key("age"), parse_duration(age));
        }
    }
}
