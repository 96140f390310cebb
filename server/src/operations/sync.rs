//! Keeping a read-only copy of the whole repository at another place.

use chronos_store::{PromoteReport, Repository, SyncOptions, SyncReport};

use crate::error::Result;
use crate::workplace::Workplace;

/// Makes the place that `destination` names a mirror of the repository, or brings it up to date.
///
/// # Errors
/// [`crate::Error::Location`]; those of the store: a destination that holds something else is refused.
pub fn sync(
    workplace: &Workplace,
    repository: &Repository,
    destination: &str,
    options: &SyncOptions,
) -> Result<SyncReport> {
    let place = workplace.at(destination)?.location.place;
    Ok(repository.sync_to(workplace.backend_at(&place)?, options)?)
}

/// Makes a mirror independent for good.
///
/// # Errors
/// Those of the store: a repository that is no mirror is refused.
pub fn promote(mirror: &Repository) -> Result<PromoteReport> {
    Ok(mirror.promote()?)
}
