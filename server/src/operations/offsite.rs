//! How copies at other places stand: what they lack, since when, and when one is due again.

use std::time::Duration;

use chronos_snapshot::counted;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::catalog::Catalog;
use crate::config::OffsiteConfig;
use crate::error::Result;
use crate::schedule::{Job, Schedule};
use crate::state::{JobFilter, JobStatus, OffsiteRow, State};
use crate::workplace::Workplace;
use crate::workplace::location::{parse, shown_place};

/// Digits that stand for a snapshot or a place.
const MARK_LEN: usize = 16;
/// How long after a failed sync the next one is tried if no backup asks for it before.
const RETRY: Duration = Duration::from_mins(15);
/// Jobs that are looked at for one that waits.
const LOOKED_MAX: u32 = 100;

/// How a copy stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Offsite)]
pub struct OffsiteState {
    /// Where it lies.
    pub destination: String,
    /// How the last sync stands: `running`, `completed`, `partial`, `failed` or `interrupted`; absent before the first.
    pub status: Option<String>,
    /// Why the last sync failed, or what it could not copy.
    pub error: Option<String>,
    /// When the last sync ended that brought everything.
    pub last_success: Option<String>,
    /// When everything there was last read.
    pub last_check: Option<String>,
    /// Snapshots of the repository that it does not have; absent while the repository cannot be read.
    pub snapshots_missing: Option<usize>,
    /// How long the oldest of them has been without it; 0 if it has all.
    pub lag_seconds: u64,
    /// How long that may be.
    pub lag_seconds_max: u64,
    /// Whether it is longer.
    pub late: bool,
    /// Objects that were ever copied from here.
    pub objects_copied: u64,
    /// Their bytes.
    pub bytes_copied: u64,
    /// Syncs that failed.
    pub failures: u64,
}

impl OffsiteState {
    /// What is wrong with it, in sentences.
    pub fn problems(&self) -> Vec<String> {
        let Self { destination, .. } = self;
        let mut all = Vec::new();
        let why = || self.error.as_deref().unwrap_or("it does not say why");
        match self.status.as_deref() {
            Some("failed") => all.push(format!("the last copy to {destination} failed: {}", why())),
            Some("partial") => all.push(format!("the last copy to {destination} is not whole: {}", why())),
            _ => {}
        }
        if self.late {
            let missing = counted(self.snapshots_missing.unwrap_or(0), "snapshot");
            all.push(format!(
                "{destination} lacks {missing}, the oldest for {} hours: `chronos sync` brings them, or says what is in the way",
                self.lag_seconds / 3600
            ));
        }
        all
    }
}

/// How every configured copy stands.
pub fn offsite(workplace: &Workplace, catalog: Option<&Catalog>) -> Result<Vec<OffsiteState>> {
    if workplace.config.offsite.is_empty() {
        return Ok(Vec::new());
    }
    let state = State::open(&workplace.places.state)?;
    let now = workplace.env.clock.now();
    let mut all = Vec::new();
    for offsite in &workplace.config.offsite {
        let destination = name_of(offsite)?;
        let row = state.offsite(&workplace.key(), &destination)?;
        all.push(standing(offsite, destination, row, catalog, now));
    }
    Ok(all)
}

fn standing(
    offsite: &OffsiteConfig,
    destination: String,
    row: Option<OffsiteRow>,
    catalog: Option<&Catalog>,
    now: i128,
) -> OffsiteState {
    // One that nobody has seen yet is late from now on, and not before.
    let since = row.as_ref().map_or(now, |row| i128::from(row.since));
    let row = row.unwrap_or_default();
    let has = |id: &str| row.covered.as_bytes().chunks(MARK_LEN).any(|mark| mark == id.as_bytes());
    let missing = catalog.map(|catalog| {
        let lacks = |s: &&chronos_snapshot::Snapshot| !has(&mark(&s.id.to_string()));
        catalog.snapshots.iter().filter(lacks).map(|s| s.taken_at().as_nanosecond()).collect::<Vec<_>>()
    });
    let oldest = missing.iter().flatten().min().map(|taken| since.max(*taken));
    let lag = oldest.map_or(0, |oldest| now.saturating_sub(oldest).max(0) / 1_000_000_000);
    let lag_seconds = u64::try_from(lag).unwrap_or(u64::MAX);
    let lag_seconds_max = offsite.max_lag().as_secs();
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    OffsiteState {
        destination,
        status: row.status,
        error: row.error,
        last_success: row.succeeded.map(time),
        last_check: row.checked.map(time),
        snapshots_missing: missing.map(|missing| missing.len()),
        lag_seconds,
        lag_seconds_max,
        late: lag_seconds > lag_seconds_max,
        objects_copied: count(row.objects),
        bytes_copied: count(row.bytes),
        failures: count(row.failures),
    }
}

/// The copies that are due because of what was backed up, and notes from when on each is to be kept. `repository` is its id.
pub(crate) fn due(
    workplace: &Workplace,
    state: &State,
    schedules: &[Schedule],
    repository: &str,
) -> Result<Vec<String>> {
    let key = workplace.key();
    let now = workplace.env.clock.now();
    let is_scheduled = schedules.iter().any(|s| s.job == Job::Sync && s.enabled);
    let stored = state.last_stored(repository)?;
    let mut all = Vec::new();
    for offsite in &workplace.config.offsite {
        let destination = name_of(offsite)?;
        state.see_offsite(&key, &destination, i64::try_from(now).unwrap_or(i64::MAX))?;
        if !offsite.after_backup.unwrap_or(!is_scheduled) {
            continue;
        }
        let of_this = JobFilter { kind: Some("sync"), target: Some(&destination), ..JobFilter::default() };
        let jobs = state.jobs(&key, &of_this, LOOKED_MAX)?;
        if jobs.iter().any(|job| job.status == JobStatus::Queued) {
            continue;
        }
        let running = jobs.iter().find(|job| job.status == JobStatus::Running).and_then(|job| job.began);
        let row = state.offsite(&key, &destination)?.unwrap_or_default();
        if is_due(&row, running, stored, now) {
            all.push(destination);
        }
    }
    Ok(all)
}

/// What came since the last attempt asks for another, and what failed is tried again after a while.
fn is_due(row: &OffsiteRow, running: Option<i64>, stored: Option<i64>, now: i128) -> bool {
    let Some(attempted) = row.began.max(running) else { return true };
    let retry = i128::try_from(RETRY.as_nanos()).unwrap_or(i128::MAX);
    let is_new = stored.is_some_and(|stored| stored > attempted);
    let has_failed = running.is_none() && row.status.as_deref() == Some("failed");
    let has_waited = row.ended.is_some_and(|ended| now.saturating_sub(ended.into()) >= retry);
    is_new || (has_failed && has_waited)
}

/// By what a copy is told apart, without secrets: locations have none.
pub(crate) fn name_of(offsite: &OffsiteConfig) -> Result<String> {
    Ok(shown_place(&parse(&offsite.to)?))
}

/// Digits that stand for something.
pub(crate) fn mark(text: &str) -> String {
    let digits = blake3::hash(text.as_bytes()).to_hex();
    digits.chars().take(MARK_LEN).collect()
}

fn time(nanos: i64) -> String {
    Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_due_when_something_new_is_stored_or_it_failed_a_while_ago() {
        let minute = 60 * 1_000_000_000_i64;
        let row = |status: &str| OffsiteRow {
            status: Some(status.to_owned()),
            began: Some(minute),
            ended: Some(2 * minute),
            ..OffsiteRow::default()
        };
        let due = |row: &OffsiteRow, running, stored, now: i64| is_due(row, running, stored, i128::from(now));
        assert!(due(&OffsiteRow::default(), None, None, 0), "there was none yet");
        assert!(!due(&OffsiteRow::default(), Some(1), None, 2), "the first goes on");
        assert!(!due(&row("completed"), None, Some(minute - 1), 99 * minute));
        assert!(due(&row("completed"), None, Some(minute + 1), 2 * minute));
        assert!(!due(&row("completed"), Some(3 * minute), Some(2 * minute), 4 * minute), "what runs has it");
        assert!(due(&row("running"), Some(3 * minute), Some(4 * minute), 5 * minute));
        assert!(!due(&row("failed"), None, Some(0), 16 * minute));
        assert!(due(&row("failed"), None, Some(0), 17 * minute));
        assert!(!due(&row("interrupted"), None, Some(0), 99 * minute), "somebody wanted it no more");
    }
}
