//! How a command ends: the one place where the errors of every layer become an exit code and a sentence.
//!
//! What always holds: a failure has a message that names the thing, and an exit code of the documented table.

use std::fmt;
use std::io;
use std::process::ExitCode;

use chronos_server::Kind;
use chronos_snapshot::ErrorKind;

/// The documented exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Usage or configuration.
    Usage = 2,
    /// Done in part.
    Partial = 3,
    /// Damage found.
    Damage = 4,
    /// No repository there.
    NoRepository = 10,
    /// Busy.
    Busy = 11,
    /// Wrong password or key.
    WrongKey = 12,
    /// Interrupted.
    Interrupted = 130,
}

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// The one that is told when both hold: 4 before 3 before 1.
    pub(crate) fn worst(self, other: Self) -> Self {
        let rank = |e: Self| match e {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Partial => 2,
            Self::Damage => 3,
            Self::Usage | Self::NoRepository | Self::Busy | Self::WrongKey => 4,
            Self::Interrupted => 5,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command failed, for people and machines.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// One sentence that names the thing and what happened to the data.
    pub(crate) message: String,
    /// What to do next, where the program knows.
    pub(crate) hint: Option<String>,
    /// Nothing more can or need be said: the reader of standard output went away.
    pub(crate) silent: bool,
}

impl Failure {
    /// A failure with this exit code and message.
    pub(crate) fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string(), hint: None, silent: false }
    }

    /// Wrong usage or configuration.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Adds what to do next.
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// A local file failed.
    pub(crate) fn file(path: impl AsRef<std::path::Path>, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
            io::ErrorKind::ReadOnlyFilesystem => ErrorKind::ReadOnly,
            _ => ErrorKind::Io,
        };
        Self::of_kind(kind, format!("{}: {error}", chronos_server::shown(path.as_ref())))
    }

    /// Standard output failed. A reader that went away wants no more, and no message either.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self {
                silent: true,
                ..Self::new(Exit::Failed, "the reader of standard output went away")
            };
        }
        Self::new(Exit::Failed, format!("standard output: {error}"))
            .hint("what the command did is done; only its answer could not be written")
    }

    /// A library error of this kind: its exit code and what to do about it.
    fn of_kind(kind: ErrorKind, message: String) -> Self {
        let (exit, hint) = match kind {
            ErrorKind::NoRepository => (
                Exit::NoRepository,
                "`chronos -r LOCATION init` makes one there; `chronos backup FOLDER` alone uses a repository of your own",
            ),
            ErrorKind::Exists => {
                (Exit::Failed, "it was not touched; choose another place, or use what is there")
            }
            ErrorKind::WrongKey => (
                Exit::WrongKey,
                "nothing was changed; give the right one with --password-file, --password-command, --key-file or CHRONOS_PASSWORD",
            ),
            ErrorKind::TooNew => {
                (Exit::Failed, "nothing was changed; use the newer chronos that wrote this repository")
            }
            ErrorKind::Damaged => (
                Exit::Damage,
                "nothing was deleted; `chronos check --read-data` names all that is damaged and the snapshots that need it",
            ),
            ErrorKind::Busy => (Exit::Busy, "nothing was changed; try again when the other run has ended"),
            ErrorKind::Interrupted => (
                Exit::Interrupted,
                "snapshots made before are whole; what was uploaded is used by the next run",
            ),
            ErrorKind::NoSpace => (
                Exit::Failed,
                "snapshots made before are whole; free some space (`chronos prune` gives back what no snapshot needs), then run the command again",
            ),
            ErrorKind::ReadOnly => (
                Exit::Failed,
                "nothing was changed; listing, restoring and checking work from read-only media",
            ),
            ErrorKind::Refused | ErrorKind::Io => (Exit::Failed, ""),
        };
        let failure = Self::new(exit, message);
        if hint.is_empty() { failure } else { failure.hint(hint) }
    }
}

impl From<chronos_store::Error> for Failure {
    fn from(error: chronos_store::Error) -> Self {
        chronos_server::Error::from(error).into()
    }
}

impl From<chronos_snapshot::Error> for Failure {
    fn from(error: chronos_snapshot::Error) -> Self {
        chronos_server::Error::from(error).into()
    }
}

impl From<chronos_server::Error> for Failure {
    fn from(error: chronos_server::Error) -> Self {
        let message = error.to_string();
        let failure = match error.kind() {
            Kind::Library(kind) => Self::of_kind(kind, message),
            // A target is part of the command line; a snapshot is not.
            Kind::NotFound if matches!(error, chronos_server::Error::UnknownTarget { .. }) => {
                Self::usage(message)
            }
            Kind::NotFound | Kind::Refused => Self::new(Exit::Failed, message),
            _ => Self::usage(message),
        };
        let failure = match &error {
            chronos_server::Error::Unknown { is_damaged: true, .. } => {
                Self { exit: failure.exit.worst(Exit::Damage), ..failure }
            }
            _ => failure,
        };
        match advice(&error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// What to do about an error, in the words of the command line, where its kind alone does not say it.
fn advice(error: &chronos_server::Error) -> Option<String> {
    use chronos_server::Error;
    let words = match error {
        Error::NoLocation => "name a folder with -r",
        Error::Location(_) => "name a folder, or s3://BUCKET/PREFIX",
        Error::NoHome { .. } => "set HOME",
        Error::EmptyPassword { .. } => "without any password a new repository gets a key file",
        Error::TooManyKeys { .. } => "name the right one with --key-file",
        Error::NoSecret { .. } => {
            "give it with --password-file, --password-command, --key-file or CHRONOS_PASSWORD"
        }
        Error::NoRepository { is_own: true, .. } => "`chronos backup FOLDER` makes it; -r names another one",
        Error::NoRepository { .. } => {
            "check the name, and that what it is on is mounted; only `chronos init` makes a new one there"
        }
        Error::Local { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
            "is a `chronos serve` running already? --chronos-listen and --hades-listen name other addresses"
        }
        Error::KitNowhere { .. } => "give the place where it is now, or that of a copy, with -r",
        Error::KitDamaged { .. } => "use another copy of it, or the QR code of its page",
        Error::KitRevoked { .. } => {
            "name the right place with -r, or use a newer kit; a password or key file of it opens it without a kit"
        }
        Error::KitPassword => "give the right one with --kit-password-file or CHRONOS_KIT_PASSWORD",
        Error::NotEmpty { .. } => "nothing was changed; name a new or empty folder for the repository",
        Error::Unfit { location, .. } | Error::Overwrites { location, .. } => {
            return Some(format!(
                "no repository was made; use another store. `chronos probe '{location}'` shows all that this one does"
            ));
        }
        Error::Unknown { near: Some(near), .. } => {
            return Some(format!("did you mean {near}? `chronos snapshots` lists what there is"));
        }
        Error::Elsewhere { repository, .. } => return Some(format!("chronos -r {repository} …")),
        Error::Held { backup_id } => return Some(format!("`chronos release {backup_id}` first")),
        Error::NotInTrash(_) => "`chronos snapshots --deleted` lists what can be brought back",
        Error::UnknownTarget { .. } => {
            "`chronos targets` lists those that are, a [[target]] in the configuration adds one; `chronos backup` takes paths too"
        }
        Error::UnknownRollback { .. } => "`chronos history` lists what there is",
        Error::PlanMoved { .. } => "look at the plan of another dry run, and give its fingerprint",
        Error::RestoreRunning { .. } => "`chronos history` tells of it; try again when it has ended",
        Error::UnknownJob { .. } => "`chronos jobs list` lists what there is",
        Error::ScheduleExists { .. } => "name it otherwise, or `chronos schedule remove` it first",
        Error::UnknownSchedule { .. } => "`chronos schedule list` lists what there is",
        Error::ScheduleFixed { file: Some(_), .. } => "change it there; `chronos config check` reads it anew",
        Error::ScheduleFixed { file: None, .. } => {
            "`chronos schedule disable` switches it off, `chronos schedule add` adds another"
        }
        Error::NothingNamed => "name a file or folder, --stdin, --command, or a configured --target",
        Error::NothingOfType { .. } => {
            "give a source its `component` in the configuration, or take --type full"
        }
        Error::NoTargets => "add a [[target]] to the configuration; `chronos config init` begins one",
        Error::Failed { cause, .. } => return advice(cause),
        Error::NotRestored { rollback_id, .. } => {
            return Some(format!("`chronos history` has it as {rollback_id}"));
        }
        Error::UnknownWorkflow { .. } => "workflows are named by the ids that n8n shows in their addresses",
        Error::UnknownVersion { .. } => "`chronos versions --workflow ID` lists what there is",
        Error::Snapshot(error) | Error::Unknown { source: error, .. } => return snapshot_advice(error),
        _ => return None,
    };
    Some(words.to_owned())
}

fn snapshot_advice(error: &chronos_snapshot::Error) -> Option<String> {
    use chronos_snapshot::Error;
    let words = match error {
        Error::NotFound { what: "snapshot", .. } => "`chronos snapshots` lists what there is",
        Error::NotFound { what: "a good snapshot of target", name } => {
            return Some(format!(
                "`chronos snapshots --target {name}` lists all of it; a path at the top of a snapshot is written latest:/{name}"
            ));
        }
        Error::NotFound { what: "path", .. } => "`chronos find` looks in all snapshots",
        Error::Command { .. } => "no snapshot was made: half an output is no backup",
        _ => return None,
    };
    Some(words.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_comes_before_partial_before_failed() {
        assert_eq!(Exit::Failed.worst(Exit::Partial), Exit::Partial);
        assert_eq!(Exit::Damage.worst(Exit::Partial), Exit::Damage);
        assert_eq!(Exit::Damage.worst(Exit::Failed), Exit::Damage);
        assert_eq!(Exit::Done.worst(Exit::Failed), Exit::Failed);
    }

    #[test]
    fn every_kind_has_its_documented_code() {
        let code = |kind| Failure::of_kind(kind, String::new()).exit.code();
        assert_eq!(code(ErrorKind::NoRepository), 10);
        assert_eq!(code(ErrorKind::Busy), 11);
        assert_eq!(code(ErrorKind::WrongKey), 12);
        assert_eq!(code(ErrorKind::Damaged), 4);
        assert_eq!(code(ErrorKind::Interrupted), 130);
        assert_eq!(code(ErrorKind::NoSpace), 1);
        assert_eq!(Failure::from(chronos_snapshot::Error::Invalid("x".into())).exit.code(), 2);
        assert_eq!(Failure::from(chronos_store::Error::Invalid("x".into())).exit.code(), 2);
    }

    #[test]
    fn a_reader_that_goes_away_is_not_told_about_it() {
        assert!(Failure::stdout(&io::ErrorKind::BrokenPipe.into()).silent);
        assert!(!Failure::stdout(&io::ErrorKind::StorageFull.into()).silent);
    }
}
