//! The rules of the command line; without any the configured ones decide.

use chronos_snapshot::retention::{Count, KeepPolicy, Policy, PolicySet, Within};
use clap::Args;

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
    /// The rules that were given, if any were.
    pub(crate) fn policies(&self) -> Option<PolicySet> {
        let classic = self.classic();
        (classic != KeepPolicy::default()).then(|| PolicySet::of(Policy::Keep(classic)))
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
