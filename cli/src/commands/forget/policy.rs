//! Which rules decide: those of the command line, else those of the configuration, else the built-in ones.

use std::collections::BTreeMap;

use chronos_server::{Retention, TargetConfig, Workplace};
use chronos_snapshot::retention::{Count, KeepPolicy, Limits, Policy, PolicySet, Rule, TierPolicy, Within};
use clap::Args;

use crate::context::App;
use crate::error::Failure;

/// System E's limits where nobody gave any: days and number.
const PROJECT_LIMITS: (u32, u32) = (30, 100);

/// The classic rules; any of them replaces the configured policy.
#[derive(Clone, Debug, Default, Args)]
#[expect(clippy::struct_field_names, reason = "named as the options are")]
#[command(next_help_heading = "What stays (any of these replaces the configured rules)")]
pub(crate) struct Keep {
    /// The newest N ("unlimited": all)
    #[arg(long, value_name = "N", value_parser = parse_count)]
    keep_last: Option<Count>,

    /// The newest of each of the last N hours that have any
    #[arg(long, value_name = "N", value_parser = parse_count)]
    keep_hourly: Option<Count>,

    /// The same by day
    #[arg(long, value_name = "N", value_parser = parse_count)]
    keep_daily: Option<Count>,

    /// By ISO week
    #[arg(long, value_name = "N", value_parser = parse_count)]
    keep_weekly: Option<Count>,

    /// By month
    #[arg(long, value_name = "N", value_parser = parse_count)]
    keep_monthly: Option<Count>,

    /// By year
    #[arg(long, value_name = "N", value_parser = parse_count)]
    keep_yearly: Option<Count>,

    /// Everything within this span before the newest, such as 1y6m7d2h
    #[arg(long, value_name = "SPAN", value_parser = parse_within)]
    keep_within: Option<Within>,

    /// The newest of each hour within a span
    #[arg(long, value_name = "SPAN", value_parser = parse_within)]
    keep_within_hourly: Option<Within>,

    /// The same by day
    #[arg(long, value_name = "SPAN", value_parser = parse_within)]
    keep_within_daily: Option<Within>,

    /// By ISO week
    #[arg(long, value_name = "SPAN", value_parser = parse_within)]
    keep_within_weekly: Option<Within>,

    /// By month
    #[arg(long, value_name = "SPAN", value_parser = parse_within)]
    keep_within_monthly: Option<Within>,

    /// By year
    #[arg(long, value_name = "SPAN", value_parser = parse_within)]
    keep_within_yearly: Option<Within>,

    /// Those with all of these tags (TAG,TAG); may be given several times
    #[arg(long, value_name = "TAGS")]
    keep_tag: Vec<String>,
}

fn parse_count(text: &str) -> Result<Count, String> {
    text.parse().map_err(|e: chronos_snapshot::Error| e.to_string())
}

fn parse_within(text: &str) -> Result<Within, String> {
    text.parse().map_err(|e: chronos_snapshot::Error| e.to_string())
}

impl Keep {
    /// The rules in force.
    pub(crate) fn policies(&self, app: &App) -> Result<PolicySet, Failure> {
        let classic = self.classic();
        if classic != KeepPolicy::default() {
            return Ok(PolicySet::of(Policy::Keep(classic)));
        }
        configured(app.workplace()?)
    }

    fn classic(&self) -> KeepPolicy {
        KeepPolicy {
            last: self.keep_last,
            hourly: self.keep_hourly,
            daily: self.keep_daily,
            weekly: self.keep_weekly,
            monthly: self.keep_monthly,
            yearly: self.keep_yearly,
            within: self.keep_within,
            within_hourly: self.keep_within_hourly,
            within_daily: self.keep_within_daily,
            within_weekly: self.keep_within_weekly,
            within_monthly: self.keep_within_monthly,
            within_yearly: self.keep_within_yearly,
            tags: self.keep_tag.iter().map(|t| t.split(',').map(str::to_owned).collect()).collect(),
        }
    }
}

fn configured(settings: &Workplace) -> Result<PolicySet, Failure> {
    let days = settings.environment.retention_days;
    let tiers = |rules: &Retention| -> Result<Policy, Failure> {
        Ok(Policy::Tiers(TierPolicy::from_rules(&translated(rules))?.with_other_days(days)))
    };
    let mut policies = PolicySet::of(tiers(&settings.config.retention)?);
    for target in &settings.config.targets {
        let policy = if target.preset.is_some() {
            Policy::Limits(limits(settings, target))
        } else if target.retention.is_empty() {
            continue;
        } else {
            tiers(&target.retention)?
        };
        policies.targets.insert(target.name.clone(), policy);
    }
    Ok(policies)
}

fn limits(settings: &Workplace, target: &TargetConfig) -> Limits {
    let environment = &settings.environment;
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
