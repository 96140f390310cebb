//! What kind of failure an error is: exit codes and statuses follow from it.

use std::io;

use chronos_connect::ErrorKind as Connected;
use chronos_snapshot::ErrorKind;
use rusqlite::ErrorCode;

use crate::error::{Error, Kind};

impl Error {
    /// The kind of this error.
    pub fn kind(&self) -> Kind {
        use chronos_snapshot::Error as Snapshot;
        use chronos_store::Error as Store;
        match self {
            Self::Store(Store::Invalid(_))
            | Self::Snapshot(Snapshot::Invalid(_) | Snapshot::Store(Store::Invalid(_))) => Kind::Invalid,
            Self::Snapshot(Snapshot::NotFound { .. })
            | Self::NotInTrash(Snapshot::NotFound { .. })
            | Self::Unknown { .. }
            | Self::UnknownJob { .. }
            | Self::UnknownSchedule { .. }
            | Self::UnknownTarget { .. }
            | Self::NoneGood { .. }
            | Self::Absent { .. }
            | Self::NotStored { .. }
            | Self::UnknownVersion { .. }
            | Self::UnknownRollback { .. }
            | Self::UnknownWorkflow { .. } => Kind::NotFound,
            Self::ScheduleExists { .. }
            | Self::ScheduleFixed { .. }
            | Self::Held { .. }
            | Self::Vetoed { .. }
            | Self::NothingToRestore { .. }
            | Self::NoSafety { cause: None, .. }
            | Self::NotDeleted { .. }
            | Self::NotUndoable { .. }
            | Self::PlanMoved { .. } => Kind::Refused,
            Self::RestoreRunning { .. } => Kind::Library(ErrorKind::Busy),
            Self::Failed { cause: error, .. }
            | Self::NothingMade { first: error, .. }
            | Self::NotRestored { cause: error, .. }
            | Self::NoSafety { cause: Some(error), .. } => error.kind(),
            Self::Connect(error) => Kind::Library(connected(error.kind())),
            Self::TooLong { .. } => Kind::Library(ErrorKind::Interrupted),
            Self::StateDamaged { .. } | Self::KitDamaged { .. } | Self::VersionsUnread { .. } => {
                Kind::Library(ErrorKind::Damaged)
            }
            Self::StateTooNew { .. } => Kind::Library(ErrorKind::TooNew),
            Self::State { source, .. } => Kind::Library(match source.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Busy,
                Some(ErrorCode::DiskFull) => ErrorKind::NoSpace,
                Some(ErrorCode::ReadOnly) => ErrorKind::ReadOnly,
                _ => ErrorKind::Io,
            }),
            Self::Clock(_) | Self::StepFailed(_) | Self::Fault => Kind::Library(ErrorKind::Io),
            Self::Store(error) => Kind::Library(error.kind()),
            Self::Snapshot(error) | Self::NotInTrash(error) => Kind::Library(error.kind()),
            Self::NoRepository { .. } | Self::KitNowhere { .. } => Kind::Library(ErrorKind::NoRepository),
            Self::NoSecret { .. }
            | Self::NoOtherSecret { .. }
            | Self::KitPassword
            | Self::KitRevoked { .. } => Kind::Library(ErrorKind::WrongKey),
            Self::NotEmpty { .. }
            | Self::Unfit { .. }
            | Self::Overwrites { .. }
            | Self::TooManyKeys { .. }
            | Self::WorkflowsMoved => Kind::Library(ErrorKind::Refused),
            Self::Local { source, .. } => Kind::Library(match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
                io::ErrorKind::ReadOnlyFilesystem => ErrorKind::ReadOnly,
                _ => ErrorKind::Io,
            }),
            _ => Kind::Invalid,
        }
    }
}

/// The kind of what an outside system did.
fn connected(kind: Connected) -> ErrorKind {
    match kind {
        Connected::Busy => ErrorKind::Busy,
        Connected::Damaged => ErrorKind::Damaged,
        Connected::NoSpace => ErrorKind::NoSpace,
        Connected::Refused => ErrorKind::Refused,
        Connected::Interrupted => ErrorKind::Interrupted,
        _ => ErrorKind::Io,
    }
}
