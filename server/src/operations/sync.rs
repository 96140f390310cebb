//! Keeping read-only copies of the whole repository at other places.
//!
//! What always holds: how a sync ended is noted in the state of this host together with what others are told of it. A copy that
//! cannot be reached is told of and tried again; nothing else waits for it.

use chronos_store::{ErrorKind, Finding, PromoteReport, Repository, SyncOptions, SyncReport};
use serde::Serialize;
use utoipa::ToSchema;

use crate::catalog::Catalog;
use crate::config::{NOWHERE, OffsiteConfig};
use crate::error::{Error, Kind, Result};
use crate::events::{Teller, synced};
use crate::operations::offsite::{mark, name_of};
use crate::state::{Alert, OffsiteRow, State, SyncEnding, Telling};
use crate::turn::Turn;
use crate::workplace::Workplace;
use crate::workplace::location::shown_place;

/// What a sync did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Synced {
    /// The place of the copy.
    pub destination: String,
    /// `completed`, `partial` (something is damaged in the repository itself), or `failed`.
    pub status: &'static str,
    /// Objects that were not there.
    pub objects_copied: u64,
    /// Their bytes.
    pub bytes_copied: u64,
    /// Objects that were damaged there, and are whole again.
    pub healed: Vec<String>,
    /// Objects that the repository deleted long enough ago.
    pub objects_removed: u64,
    /// What is damaged or missing in the repository, or at both places.
    #[schema(value_type = Vec<Object>)]
    pub damaged: Vec<Finding>,
    /// How long it took.
    pub duration_ms: u64,
    /// Why it failed, or what could not be copied.
    pub error: Option<String>,
}

/// What syncs to several places did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Syncs {
    /// The worst of them.
    pub status: &'static str,
    /// Each of them.
    pub syncs: Vec<Synced>,
}

/// Makes the place that `destination` names a mirror of the repository, or brings it up to date.
///
/// # Errors
/// [`Error::Location`]; those of the store: a destination that holds something else is refused.
pub fn sync(
    workplace: &Workplace,
    repository: &Repository,
    destination: &str,
    options: &SyncOptions,
) -> Result<SyncReport> {
    let place = workplace.at(destination)?.location.place;
    let name = shown_place(&place);
    if place == workplace.location.place {
        let why = format!("{name} is the repository itself: a copy belongs elsewhere");
        return Err(Error::Value { place: "to".to_owned(), why });
    }
    let copy = || Ok(repository.sync_to(workplace.backend_at(&place)?, options)?);
    if options.dry_run {
        return copy();
    }
    let turn = format!("sync-{}", mark(&name));
    let _turn = Turn::take(&workplace.places.state, &workplace.place_id(), &turn, &*workplace.monitor)?;
    let record = Record::begin(workplace, &name);
    // What is there now is what the copy will have; what comes meanwhile may be there too.
    let covered = Catalog::new(&workplace.config, repository.clone()).map(|catalog| covered(&catalog));
    let outcome = covered.and_then(|covered| copy().map(|report| (report, covered)));
    record.end(&outcome, options.check);
    outcome.map(|(report, _)| report)
}

/// Brings copies up to date: the one of this name, or every one that is configured. One that fails keeps no other from it.
///
/// # Errors
/// [`Error::Value`] if none is configured or none has this name; interrupted, if the monitor asks to stop.
pub fn sync_configured(
    workplace: &Workplace,
    repository: &Repository,
    destination: Option<&str>,
    check: bool,
) -> Result<Syncs> {
    let mut all = Syncs { status: "completed", syncs: Vec::new() };
    for offsite in meant(workplace, destination)? {
        let synced = match sync_one(workplace, repository, offsite, check) {
            Err(error) if error.kind() == Kind::Library(ErrorKind::Interrupted) => return Err(error),
            Err(error) => {
                let destination = name_of(offsite)?;
                Synced { destination, status: "failed", error: Some(error.to_string()), ..Synced::default() }
            }
            Ok(synced) => synced,
        };
        all.status = match (all.status, synced.status) {
            ("failed", _) | (_, "failed") => "failed",
            ("partial", _) | (_, "partial") => "partial",
            _ => "completed",
        };
        all.syncs.push(synced);
    }
    Ok(all)
}

/// Brings one configured copy up to date, as the configuration says.
pub(crate) fn sync_one(
    workplace: &Workplace,
    repository: &Repository,
    offsite: &OffsiteConfig,
    check: bool,
) -> Result<Synced> {
    let began = workplace.env.clock.now();
    let name = name_of(offsite)?;
    let row = State::open(&workplace.places.state)
        .and_then(|state| state.offsite(&workplace.key(), &name))
        // Without it everything is read once more at worst.
        .unwrap_or_default()
        .unwrap_or_default();
    let options = SyncOptions {
        check: check || is_check_due(offsite, &row, began),
        delete_after: i64::try_from(offsite.delete_after().as_nanos()).unwrap_or(i64::MAX),
        dry_run: false,
    };
    let report = sync(workplace, repository, &offsite.to, &options)?;
    let duration = workplace.env.clock.now().saturating_sub(began) / 1_000_000;
    let (status, error) = status_of(&report);
    Ok(Synced {
        destination: name,
        status,
        objects_copied: report.total().objects,
        bytes_copied: report.total().bytes,
        healed: report.healed,
        objects_removed: report.removed.objects,
        damaged: report.damaged,
        duration_ms: u64::try_from(duration).unwrap_or(0),
        error,
    })
}

/// The configured copies that are meant.
pub(crate) fn meant<'w>(workplace: &'w Workplace, name: Option<&str>) -> Result<Vec<&'w OffsiteConfig>> {
    let all = &workplace.config.offsite;
    let wrong = |why: String| Error::Value { place: "to".to_owned(), why };
    if all.is_empty() {
        return Err(wrong(NOWHERE.to_owned()));
    }
    let Some(name) = name else { return Ok(all.iter().collect()) };
    let is_it = |offsite: &&OffsiteConfig| offsite.to == name || name_of(offsite).is_ok_and(|n| n == name);
    if let Some(offsite) = all.iter().find(is_it) {
        return Ok(vec![offsite]);
    }
    let known: Vec<&str> = all.iter().map(|offsite| &*offsite.to).collect();
    Err(wrong(format!("no copy is kept at {name:?}; there are {}", known.join(", "))))
}

/// Makes a mirror independent for good.
///
/// # Errors
/// Those of the store: a repository that is no mirror is refused; [`Error::Overwrites`], [`Error::Unfit`]: a mirror may lie where no
/// repository that takes backups can.
pub fn promote(workplace: &Workplace, mirror: &Repository) -> Result<PromoteReport> {
    workplace.check_place()?;
    Ok(mirror.promote()?)
}

/// How a report is told in a word, and what is wrong.
fn status_of(report: &SyncReport) -> (&'static str, Option<String>) {
    let first = report.damaged.first().map(|finding| format!("{}: {}", finding.object, finding.problem));
    match (report.published, first) {
        (true, None) => ("completed", None),
        (true, first) => ("partial", first),
        (false, first) => {
            let why =
                first.unwrap_or_else(|| "the newest state of the repository could not be copied".to_owned());
            ("failed", Some(format!("the copy stays as it was: {why}")))
        }
    }
}

fn is_check_due(offsite: &OffsiteConfig, row: &OffsiteRow, now: i128) -> bool {
    let Some(every) = offsite.check_every() else { return false };
    // The first sync writes everything that it could read.
    let last = row.checked.or(row.succeeded).map(i128::from);
    last.is_some_and(|last| now.saturating_sub(last) >= i128::try_from(every.as_nanos()).unwrap_or(i128::MAX))
}

/// What a copy of a repository of this moment has.
fn covered(catalog: &Catalog) -> String {
    catalog.snapshots.iter().map(|snapshot| mark(&snapshot.id.to_string())).collect()
}

/// A sync that goes on, as the state of this host has it.
struct Record<'w> {
    workplace: &'w Workplace,
    destination: &'w str,
    began: i128,
    before: Option<OffsiteRow>,
}

impl<'w> Record<'w> {
    /// What cannot be noted is told, and nothing waits for it.
    fn begin(workplace: &'w Workplace, destination: &'w str) -> Self {
        let began = workplace.env.clock.now();
        let noted = State::open(&workplace.places.state).and_then(|state| {
            let before = state.offsite(&workplace.key(), destination)?;
            state.begin_sync(&workplace.key(), destination, nanos(began))?;
            Ok(before)
        });
        if let Err(error) = &noted {
            workplace.monitor.problem(&format!("this sync is not noted on this host: {error}"));
        }
        Self { workplace, destination, began, before: noted.unwrap_or_default() }
    }

    fn end(&self, outcome: &Result<(SyncReport, String)>, is_check: bool) {
        let Self { workplace, destination, .. } = self;
        let (status, error) = match outcome {
            Ok((report, _)) => status_of(report),
            Err(e) if e.kind() == Kind::Library(ErrorKind::Interrupted) => {
                ("interrupted", Some("it was stopped, and goes on with the next one".to_owned()))
            }
            Err(e) => ("failed", Some(e.to_string())),
        };
        let report = outcome.as_ref().ok();
        let total = report.map(|(report, _)| report.total()).unwrap_or_default();
        let now = workplace.env.clock.now();
        let ending = SyncEnding {
            status,
            error: error.as_deref(),
            ended: nanos(now),
            objects: total.objects,
            bytes: total.bytes,
            covered: report.filter(|(report, _)| report.published).map(|(_, covered)| &**covered),
            is_checked: is_check && status != "interrupted" && report.is_some(),
        };
        let was_failed = self.before.as_ref().is_some_and(|row| row.status.as_deref() == Some("failed"));
        let lasted = u64::try_from(now.saturating_sub(self.began) / 1_000_000).unwrap_or(0);
        let event = (status != "interrupted").then(|| {
            let counts = report.map(|(report, _)| report);
            synced(&workplace.env, destination, (status, error.as_deref()), counts, (lasted, was_failed))
        });
        let teller = Teller::of(workplace);
        let letters = |_: &_| teller.letters(event.as_slice());
        let telling = Telling {
            repository: &teller.repository,
            now: nanos(now),
            alert: Alert::Untouched,
            letters: &letters,
        };
        let noted = State::open(&workplace.places.state)
            .and_then(|state| state.end_sync(&workplace.key(), destination, &ending, &telling));
        if let Err(error) = noted {
            workplace.monitor.problem(&format!("how this sync ended is not noted on this host: {error}"));
        }
    }
}

fn nanos(time: i128) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}
