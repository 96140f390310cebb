//! A job, as it is shown to callers.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::state::{JobRow, JobStatus};

const NANOS: i128 = 1_000_000_000;

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobView {
    /// Later ones have greater numbers.
    #[serde(skip)]
    pub number: i64,
    /// Its id.
    pub id: String,
    /// `backup`, `verify`, `cleanup`, `restore`, `drill` or `sync`.
    pub kind: String,
    /// Whose, if of one target alone; of a sync, to where.
    pub target: Option<String>,
    /// How it stands.
    pub status: JobStatus,
    /// What is done.
    #[schema(value_type = Object)]
    pub request: Value,
    /// The schedule that asked for it.
    pub schedule: Option<String>,
    /// The due time that it stands for.
    pub due: Option<String>,
    /// How often it was begun.
    pub attempts: u32,
    /// Whether it is asked to stop.
    pub cancel_requested: bool,
    /// When it was queued.
    pub created_at: String,
    /// When it last began.
    pub started_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// Of one that waits for another try: when that begins.
    pub next_attempt_at: Option<String>,
    /// How long it has been going on, or went on.
    pub duration_ms: Option<u64>,
    /// What it is doing.
    pub phase: Option<String>,
    /// Files that are done.
    pub files_done: u64,
    /// Files that are known of.
    pub files_total: u64,
    /// Their bytes.
    pub bytes_done: u64,
    /// Bytes that are known of.
    pub bytes_total: u64,
    /// Bytes per second.
    pub rate: Option<u64>,
    /// Seconds until all that is known of is done.
    pub eta_seconds: Option<u64>,
    /// What it made: what the same request answers that waits for it.
    #[schema(value_type = Option<Object>)]
    pub result: Option<Value>,
    /// Why it is not done, or not all of it.
    pub error: Option<String>,
    /// Grows with every change.
    pub revision: u64,
}

impl JobView {
    /// What a row shows at a moment.
    pub fn new(row: &JobRow, now: i128) -> Self {
        let until = row.ended.map_or(now, i128::from);
        let lasted = row.began.map(|began| until.saturating_sub(began.into()).max(0));
        let progress = &row.progress;
        let is_running = row.status == JobStatus::Running;
        let rate = lasted
            .filter(|nanos| *nanos > 0 && progress.bytes > 0)
            .and_then(|nanos| u64::try_from(i128::from(progress.bytes).saturating_mul(NANOS) / nanos).ok());
        let left = progress.bytes_total.checked_sub(progress.bytes).filter(|_| progress.bytes_total > 0);
        let waits = row.status == JobStatus::Queued && row.ready > row.created;
        let json = |text: &String| serde_json::from_str(text).unwrap_or_default();
        Self {
            number: row.number,
            id: row.id.clone(),
            kind: row.kind.clone(),
            target: row.target.clone(),
            status: row.status,
            request: json(&row.task),
            schedule: row.schedule.clone(),
            due: row.due.map(moment),
            attempts: row.attempts,
            cancel_requested: row.cancel,
            created_at: moment(row.created),
            started_at: row.began.map(moment),
            ended_at: row.ended.map(moment),
            next_attempt_at: waits.then(|| moment(row.ready)),
            duration_ms: lasted.and_then(|nanos| u64::try_from(nanos / 1_000_000).ok()),
            phase: Some(progress.phase.clone()).filter(|phase| is_running && !phase.is_empty()),
            files_done: progress.items,
            files_total: progress.items_total,
            bytes_done: progress.bytes,
            bytes_total: progress.bytes_total,
            rate,
            eta_seconds: left
                .zip(rate)
                .filter(|(_, rate)| is_running && *rate > 0)
                .map(|(left, rate)| left / rate),
            result: row.result.as_ref().map(json),
            error: row.error.clone(),
            revision: row.revision,
        }
    }
}

/// Every number of nanoseconds of the table is in the calendar.
fn moment(nanos: i64) -> String {
    Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or_default().to_string()
}
