//! When something is due, what is planned, who is overdue, and a year of it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod cron;
mod cron_properties;
mod defaults;
mod overdue;
mod plan;
mod simulation;

use std::time::Duration;

use jiff::Timestamp;

use super::*;

/// A moment, as RFC 3339 with or without seconds; UTC where nothing else is said.
fn at(text: &str) -> Timestamp {
    let full = if text.len() == 16 { format!("{text}:00Z") } else { text.to_owned() };
    full.parse().unwrap_or_else(|e| panic!("{full}: {e}"))
}

/// A snapshot of `shop` at these times, in UTC.
fn schedule(id: &str, cron: &str) -> Schedule {
    Schedule {
        id: id.to_owned(),
        origin: Origin::Added,
        job: Job::Backup,
        targets: vec!["shop".to_owned()],
        tier: "scheduled".to_owned(),
        backup_type: "full".to_owned(),
        on_change: false,
        times: Times::parse(cron, None).unwrap(),
        jitter: Duration::ZERO,
        enabled: true,
    }
}

/// What is known of one schedule.
fn remembered(id: &str, memory: Memory) -> Memories {
    Memories::from([(id.to_owned(), memory)])
}
