//! Which retention rules are in force: those of the configuration and the environment, else the built-in ones.

use std::collections::BTreeMap;

use chronos_snapshot::retention::{Limits, Policy, PolicySet, Rule, TierPolicy};

use crate::config::{Config, Retention, TargetConfig};
use crate::environment::Environment;
use crate::error::Result;

/// System E's limits where nobody gave any: days and number.
const PROJECT_LIMITS: (u32, u32) = (30, 100);

/// The configured rules, else the built-in ones.
pub fn configured(config: &Config, environment: &Environment) -> Result<PolicySet> {
    let days = environment.retention_days;
    let tiers = |rules: &Retention| -> Result<Policy> {
        Ok(Policy::Tiers(TierPolicy::from_rules(&translated(rules))?.with_other_days(days)))
    };
    let mut policies = PolicySet::of(tiers(&config.retention)?);
    for target in config.targets.iter().chain(config.own()) {
        let policy = if target.preset.is_some() {
            Policy::Limits(limits(environment, target))
        } else if target.retention.is_empty() {
            continue;
        } else {
            tiers(&target.retention)?
        };
        policies.targets.insert(target.name.clone(), policy);
    }
    Ok(policies)
}

fn limits(environment: &Environment, target: &TargetConfig) -> Limits {
    let (days, number) = PROJECT_LIMITS;
    Limits {
        retention_days: environment.project_retention_days.or(target.retention_days).or(Some(days)),
        max_backups: environment.project_max_backups.or(target.max_backups).or(Some(number)),
    }
}

fn translated(rules: &Retention) -> BTreeMap<String, Rule> {
    rules
        .iter()
        .map(|(tier, rule)| (tier.clone(), Rule { count: rule.count, age_seconds: rule.age_seconds() }))
        .collect()
}
