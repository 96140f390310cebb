//! The command that starts what belongs to a target anew.

use std::time::Duration;

use serde_json::json;

use crate::config::TargetConfig;
use crate::hooks::run_line;
use crate::workplace::Workplace;

/// How long a service may take to start.
const LIMIT: Duration = Duration::from_mins(5);

/// Runs the command of a target, unless somebody stops it; gives what it said.
pub(in crate::operations) fn run(
    workplace: &Workplace,
    target: &TargetConfig,
    line: &str,
    is_stopped: &dyn Fn() -> bool,
) -> std::result::Result<String, String> {
    let document = json!({ "operation": "restart", "target": target.name }).to_string();
    let without = workplace.config.secret_variables();
    run_line(line, &document, &without, LIMIT, is_stopped)
}
