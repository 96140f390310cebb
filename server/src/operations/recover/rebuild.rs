//! A recovery from a repository that is named.

use crate::error::Result;
use crate::operations::Mode;
use crate::operations::recover::{RecoverRequest, Recovery, recover};
use crate::state::RollbackType;
use crate::workplace::Workplace;

/// Name of the newest snapshots.
const LATEST: &str = "latest";

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
/// Those of opening it, and of [`recover`].
pub fn rebuild(workplace: &Workplace, request: &RebuildRequest) -> Result<Recovery> {
    let there = workplace.at(&request.source)?;
    let repository = there.open()?.repository;
    let asked = RecoverRequest {
        backup: LATEST.to_owned(),
        components: request.components.clone(),
        resume: request.resume.clone(),
        mode: request.mode,
        kind: RollbackType::Rebuild,
        force: request.force,
    };
    recover(&there, &repository, &asked)
}
