//! A recovery from a repository that is named, onto a machine that may be empty: where no target is configured, the configuration comes back
//! first.

use crate::catalog::LATEST;
use crate::error::Result;
use crate::operations::Mode;
use crate::operations::recover::configuration::Configuration;
use crate::operations::recover::{RecoverRequest, Recovery, recover};
use crate::state::RollbackType;
use crate::values::shown;
use crate::workplace::Workplace;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct RebuildRequest {
    /// Where the repository is.
    pub source: String,
    /// Only these targets, components or sources; empty: everything.
    pub components: Vec<String>,
    /// A rebuild that broke off.
    pub resume: Option<String>,
    /// Whether anything is done.
    pub mode: Mode,
    /// Whether it is done also where no snapshot of what is there can be made first.
    pub force: bool,
}

/// Recovers everything from a repository, or says what that would do. What opens it is what opens the usual one here.
///
/// # Errors
/// Those of opening it, and of [`recover`]; [`crate::Error::NoneGood`] if no target is configured here and the repository has no configuration.
pub fn rebuild(workplace: &Workplace, request: &RebuildRequest) -> Result<Recovery> {
    let mut there = workplace.at(&request.source)?;
    let repository = there.open()?.repository;
    let mut first = None;
    if there.config.targets.is_empty() {
        let found = Configuration::newest(&there, &repository, None)?;
        first = Some(found.put_back(&repository, request.mode)?);
        there = there.with_config(found.file.clone(), found.config)?;
    }
    let asked = RecoverRequest {
        backup: LATEST.to_owned(),
        components: request.components.clone(),
        resume: request.resume.clone(),
        mode: request.mode,
        kind: RollbackType::Rebuild,
        force: request.force,
    };
    let mut recovery = recover(&there, &repository, &asked)?;
    if let Some(step) = first {
        let file = there.config_file.as_deref().map(shown).unwrap_or_default();
        recovery.warnings.push(format!(
            "the configuration comes from {} and belongs at {file}: whatever runs with another one has to be started again with it",
            step.backup_id
        ));
        recovery.steps.insert(0, step);
        recovery.sum_up();
    }
    Ok(recovery)
}
