//! A call that stands in the history by itself: one that consists of several restores, or of something else than a restore.

use serde::Serialize;

use crate::error::{Error, Result};
use crate::events::{Event, Teller};
use crate::operations::restore::record::{base_id, short, turn_of};
use crate::state::{Alert, NewRollback, RollbackEnding, RollbackStatus, RollbackType, State, Telling};
use crate::turn::Turn;
use crate::workplace::Workplace;

/// The target of a call that is about several: none is named so.
pub(crate) const ALL: &str = "all";

/// What a call is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    /// Id of the repository; its place, where it need not be opened.
    pub(crate) repository: &'a str,
    /// What kind of call it is.
    pub(crate) kind: RollbackType,
    /// What is written to; [`ALL`], if the call consists of restores.
    pub(crate) target: &'a str,
    /// The snapshot or the moment that was named.
    pub(crate) source: Option<&'a str>,
    /// The rollback that it undoes.
    pub(crate) undoes: Option<&'a str>,
}

/// A call that goes on, and is in the history if that can be written.
#[derive(Debug)]
pub(crate) struct Call<'w> {
    workplace: &'w Workplace,
    noted: Option<(State, i64)>,
    /// Its id.
    pub(crate) id: String,
    _turn: Turn,
}

impl<'w> Call<'w> {
    /// Notes that it begins. A history that cannot be written keeps nobody from bringing things back: it is told of.
    ///
    /// # Errors
    /// [`Error::RestoreRunning`] if such a call goes on.
    pub(crate) fn begin(
        workplace: &'w Workplace,
        about: &About<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Self> {
        let folder = &workplace.places.state;
        let turn = Turn::try_take(folder, about.repository, &turn_of(about.target))?;
        let turn = turn.ok_or_else(|| Error::RestoreRunning { target: about.target.to_owned() })?;
        let now = workplace.env.clock.now();
        let base_id = base_id(now);
        let new = NewRollback {
            base_id: &base_id,
            repository: about.repository,
            target: about.target,
            rollback_type: about.kind,
            strategy: None,
            source_backup_id: about.source,
            source_version_id: None,
            workflow_id: None,
            part_of: None,
            undoes: about.undoes,
            created_at: short(now),
        };
        let noted = State::open(folder).and_then(|state| {
            let (number, id) = state.begin_rollback(&new)?;
            Ok((state, number, id))
        });
        Ok(match noted {
            Ok((state, number, id)) => Self { workplace, noted: Some((state, number)), id, _turn: turn },
            Err(error) => {
                warnings.push(format!("the history does not have this call: {error}"));
                Self { workplace, noted: None, id: base_id, _turn: turn }
            }
        })
    }

    /// Notes how far it has come; whoever comes after a process that died finds it.
    ///
    /// # Errors
    /// Those of the state of this host.
    pub(crate) fn note(&self, report: &impl Serialize) -> Result<()> {
        let Some((state, number)) = &self.noted else { return Ok(()) };
        state.note_report(*number, &text(report))
    }

    /// Notes how it ended, and tells of it.
    pub(crate) fn ended(
        &self,
        (status, why): (RollbackStatus, Option<&str>),
        report: &impl Serialize,
        event: &Event,
    ) {
        let Some((state, number)) = &self.noted else { return };
        let noted = end(self.workplace, (state, *number), (status, why), report, event);
        if let Err(error) = noted {
            self.workplace.monitor.problem(&format!("the history has no end of {}: {error}", self.id));
        }
    }
}

/// Notes in its row how one ended, and with it what others are told of that.
pub(super) fn end(
    workplace: &Workplace,
    (state, number): (&State, i64),
    (status, why): (RollbackStatus, Option<&str>),
    report: &impl Serialize,
    event: &Event,
) -> Result<()> {
    let now = short(workplace.env.clock.now());
    let report = text(report);
    let ending = RollbackEnding { status, completed_at: now, error_message: why, report: Some(&report) };
    let teller = Teller::of(workplace);
    let letters = |_: &_| teller.letters(std::slice::from_ref(event));
    let telling = Telling { repository: &teller.repository, now, alert: Alert::Untouched, letters: &letters };
    state.end_rollback(number, &ending, &telling)
}

/// Texts, numbers and lists can always be written.
fn text(report: &impl Serialize) -> String {
    serde_json::to_string(report).unwrap_or_default()
}
