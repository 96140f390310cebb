//! Backups that failed, as the history of this host knows them: listed like snapshots, with what they have of their fields.

use chronos_store::Repository;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::catalog::{Filter, target_name};
use crate::error::Result;
use crate::state::{Run, RunFilter, RunStatus, State};
use crate::workplace::Workplace;

/// Most failures that are looked through: more than the history keeps.
const RUNS_MAX: u32 = 100_000;

/// A backup that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Failure {
    /// The name that its snapshot would have had.
    pub backup_id: String,
    /// There is none.
    pub snapshot: Option<String>,
    /// Target.
    pub target: String,
    /// The same, by the name that older callers know.
    pub component: String,
    /// Which components it was to take.
    pub backup_type: String,
    /// The tier, by the name that older callers know.
    #[serde(rename = "type")]
    pub kind: String,
    /// Why it was to be made.
    pub tier: String,
    /// `failed`.
    pub status: &'static str,
    /// When it began.
    pub created_at: String,
    /// How long it took.
    pub duration_ms: u64,
    /// Why it failed.
    pub error: String,
    /// The run over several targets that it was part of.
    pub run_id: Option<String>,
}

/// The backups of configured targets that failed on this host, newest first. What of the filter speaks of snapshots alone (tags,
/// paths) is not asked of them.
pub fn failures(workplace: &Workplace, repository: &Repository, filter: &Filter) -> Result<Vec<Failure>> {
    let state = State::open(&workplace.places.state)?;
    let repository = repository.id().to_string();
    let target = filter.target.as_deref().map(|t| target_name(&workplace.config, t));
    let runs = state.runs(
        &RunFilter {
            repository: Some(&repository),
            target: target.as_deref(),
            status: Some(RunStatus::Failed),
            ..RunFilter::default()
        },
        RUNS_MAX,
    )?;
    let fits = |run: &Run, at: Timestamp| {
        filter.tier.as_ref().is_none_or(|t| run.tier == *t)
            && filter.backup_type.as_ref().is_none_or(|t| run.backup_type == *t)
            && filter.since.is_none_or(|t| at >= t)
            && filter.until.is_none_or(|t| at <= t)
    };
    let rows = runs.into_iter().filter_map(|run| {
        let at = Timestamp::from_nanosecond(i128::from(run.began)).ok()?;
        fits(&run, at).then(|| row(run, at))
    });
    Ok(rows.collect())
}

fn row(run: Run, at: Timestamp) -> Failure {
    let lasted = run.ended.unwrap_or(run.began).saturating_sub(run.began) / 1_000_000;
    Failure {
        backup_id: run.backup_id.unwrap_or_default(),
        snapshot: None,
        component: run.target.clone(),
        target: run.target,
        backup_type: run.backup_type,
        kind: run.tier.clone(),
        tier: run.tier,
        status: RunStatus::Failed.word(),
        created_at: format!("{at:.9}"),
        duration_ms: u64::try_from(lasted).unwrap_or(0),
        error: run.error.unwrap_or_default(),
        run_id: run.run_id,
    }
}
