//! A run over several targets: one snapshot of each, one after the other, and one id for all.

use chronos_snapshot::{ErrorKind, Outcome};
use chronos_store::{Repository, check_cancelled};
use jiff::Timestamp;

use crate::catalog::target_name;
use crate::error::{Error, Kind, Result};
use crate::operations::backup::{Backup, BackupRequest, plan};
use crate::workplace::Workplace;

/// The name that stands for every configured target.
pub const ALL: &str = "all";

/// Runs of one tier in one second; beyond it something is wrong with the clock.
const IDS_MAX: u32 = 10_000;

/// Which targets, and what is asked of each.
#[derive(Clone, Debug, Default)]
pub struct SeveralRequest {
    /// Names or aliases; empty, or with `all` among them: every configured target that has something of the type.
    pub targets: Vec<String>,
    /// What is asked of each; its target does not count.
    pub each: BackupRequest,
}

/// What became of one target.
#[derive(Debug)]
pub struct Part {
    /// The target.
    pub target: String,
    /// Its backup, or why there is none.
    pub outcome: Result<Backup>,
}

/// What became of all.
#[derive(Debug)]
pub struct Several {
    /// `all_{tier}_{YYYYMMDD_HHMMSS}`.
    pub run_id: String,
    /// When it began.
    pub began: Timestamp,
    /// Each target, in the order in which they were taken.
    pub parts: Vec<Part>,
}

impl SeveralRequest {
    /// Refuses what could not be done, before anything is made.
    pub fn check(&self, workplace: &Workplace) -> Result<()> {
        meant(workplace, self).map(drop)
    }
}

impl Several {
    /// The worst of all: `failed`, `partial`, `completed`, `unchanged`.
    pub fn status(&self) -> &'static str {
        let rank = |part: &Part| match &part.outcome {
            Err(_) => 3,
            Ok(made) if made.report.status == "partial" => 2,
            Ok(made) if made.report.unchanged => 0,
            Ok(_) => 1,
        };
        match self.parts.iter().map(rank).max() {
            Some(3) => "failed",
            Some(2) => "partial",
            Some(0) => "unchanged",
            _ => "completed",
        }
    }
}

/// Backs up several targets. One that fails keeps none of the others from being taken; an interruption ends the run.
///
/// # Errors
/// Targets that are not configured, and a type that none has: before anything is made.
pub fn several(workplace: &Workplace, repository: &Repository, request: &SeveralRequest) -> Result<Several> {
    let began =
        Timestamp::from_nanosecond(workplace.env.clock.now()).map_err(|e| Error::Clock(e.to_string()))?;
    let run_id = if request.each.outcome == Outcome::DryRun {
        base_id(&request.each.tier, began)
    } else {
        claim_run(repository, &request.each.tier, began)?
    };
    let mut parts = Vec::new();
    for target in meant(workplace, request)? {
        check_cancelled(&**repository.monitor())?;
        let each = BackupRequest {
            target: Some(target.clone()),
            run_id: Some(run_id.clone()),
            ..request.each.clone()
        };
        let outcome =
            plan(workplace, each, Vec::new()).and_then(|planned| planned.run(workplace, repository));
        match outcome {
            Err(error) if error.kind() == Kind::Library(ErrorKind::Interrupted) => return Err(error),
            outcome => parts.push(Part { target, outcome }),
        }
    }
    Ok(Several { run_id, began, parts })
}

/// The targets that are taken, each once.
fn meant(workplace: &Workplace, request: &SeveralRequest) -> Result<Vec<String>> {
    let config = &workplace.config;
    let selection = &request.each.selection;
    if request.targets.is_empty() || request.targets.iter().any(|t| t == ALL) {
        if config.targets.is_empty() {
            return Err(Error::NoTargets);
        }
        let takes = |t: &&crate::config::TargetConfig| crate::sources::has_any(t, selection);
        let found: Vec<String> = config.targets.iter().filter(takes).map(|t| t.name.clone()).collect();
        if found.is_empty() {
            return Err(Error::NothingOfType {
                target: ALL.to_owned(),
                wanted: selection.shown(),
                components: config.targets.iter().flat_map(crate::sources::components_of).collect(),
            });
        }
        return Ok(found);
    }
    let mut found: Vec<String> = Vec::new();
    for name in &request.targets {
        if config.target(name).is_none() {
            return Err(Error::UnknownTarget { target: name.clone() });
        }
        let target = target_name(config, name);
        if !found.contains(&target) {
            found.push(target);
        }
    }
    Ok(found)
}

/// Takes the first free run id of a second.
pub fn claim_run(repository: &Repository, tier: &str, began: Timestamp) -> Result<String> {
    let base = base_id(tier, began);
    let mut id = base.clone();
    for n in 2..=IDS_MAX {
        if repository.claim_name(&id)? {
            return Ok(id);
        }
        id = format!("{base}_{n}");
    }
    Err(chronos_store::Error::Refused(format!("all names {base}, {base}_2, … are taken")).into())
}

fn base_id(tier: &str, began: Timestamp) -> String {
    format!("{ALL}_{tier}_{}", began.strftime("%Y%m%d_%H%M%S"))
}
