//! Which snapshots stay: pure functions from rows and rules to a plan with a reason for everything.
//!
//! Nothing here touches a repository. Whatever the rules say, a plan never removes a held snapshot,
//! nor the last good one of a target on a host, nor the newest partial one if it is later.

mod defaults;
mod plan;
mod policy;
mod reason;
mod row;
mod rules;
#[cfg(test)]
mod tests;

pub use plan::{Choice, Plan, Timing, Trigger, plan};
pub use policy::{Count, KeepPolicy, Limits, Policy, PolicySet, Rule, TierPolicy, Within};
pub use reason::Reason;
pub use row::{Health, Row};
