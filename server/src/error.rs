//! The one error type of this crate: what a person wrote, what is not there, and what the layers below could not do.

mod kind;

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use chronos_connect::ErrorKind as Connected;
use chronos_snapshot::{ErrorKind, printable};

/// Result of reading a configuration, or of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Answers of an outside system that mean: not now.
const NOT_NOW: [u16; 3] = [408, 425, 429];

/// Why an operation was refused or failed. Names the file, the key, the target or the snapshot.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    #[error("configuration {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not TOML, or a value has the wrong type.
    #[error("configuration {path}: {why}")]
    Syntax {
        /// The file.
        path: String,
        /// Where and what.
        why: String,
    },
    /// A key that is not known.
    #[error("configuration {path}: unknown key {key}{}", .nearest.as_ref().map(|n| format!(": did you mean {n}?")).unwrap_or_default())]
    UnknownKey {
        /// The file.
        path: String,
        /// The key with its section.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// A value that is not allowed.
    #[error("{place}: {why}")]
    Value {
        /// File and key, or the environment variable.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// Several things are wrong with the file.
    #[error("configuration {path}: {} things are wrong:{}", problems.len(), problems.iter().map(|p| format!("\n  {p}")).collect::<String>())]
    Several {
        /// The file.
        path: String,
        /// Each of them.
        problems: Vec<Error>,
    },
    /// A location that is empty.
    #[error("the repository's location is empty")]
    NoLocation,
    /// A location that cannot be understood; the text says why.
    #[error("{0}")]
    Location(String),
    /// Nothing says where this user's files are.
    #[error("neither {variable} nor HOME says where this user's files are")]
    NoHome {
        /// The variable that could say it.
        variable: &'static str,
    },
    /// A file that holds a secret, or a command that prints one, cannot be used.
    #[error("{place}: {why}")]
    Secret {
        /// The file, the command or the variable.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// The first line of what was to be a password is empty.
    #[error("{place}: its first line is empty")]
    EmptyPassword {
        /// The file, the command or the variable.
        place: String,
    },
    /// A file that was to be a key file holds something else.
    #[error("{path} is not a key file: it holds neither 64 hex digits nor 32 bytes")]
    NoKeyFile {
        /// The file.
        path: String,
    },
    /// More key files than are tried.
    #[error("{folder} holds too many key files to try")]
    TooManyKeys {
        /// Their folder.
        folder: String,
    },
    /// Nobody said what opens a repository, and no key file of this user does.
    #[error("no password was given for {repository}, and no key file in {keys} opens it")]
    NoSecret {
        /// The repository.
        repository: String,
        /// The folder of key files.
        keys: String,
    },
    /// The same of a repository beside the one that is meant.
    #[error(
        "nothing was named that opens {repository}, and no key file in {keys} does: give its password with --to-password-file, or a \
         key file with --to-key-file"
    )]
    NoOtherSecret {
        /// The repository.
        repository: String,
        /// The folder of key files.
        keys: String,
    },
    /// A file that was to be a recovery kit holds something else.
    #[error("{path} is no recovery kit: {why}")]
    NotAKit {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A recovery kit that is not whole.
    #[error("the recovery kit {path} is damaged: {why}")]
    KitDamaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// Another password than that of the recovery kit.
    #[error("this is not the password of the recovery kit; nothing was touched")]
    KitPassword,
    /// The key of a recovery kit was removed from the repository.
    #[error(
        "the key {slot} of this kit does not open the repository at {location}: it was removed there, or that is another repository; nothing was touched"
    )]
    KitRevoked {
        /// The repository.
        location: String,
        /// The key.
        slot: String,
    },
    /// None of the places that a recovery kit names has a repository.
    #[error("there is no repository at {}", locations.join(", nor at "))]
    KitNowhere {
        /// The places.
        locations: Vec<String>,
    },
    /// There is no repository where one was expected.
    #[error("there is no repository at {location}")]
    NoRepository {
        /// The location.
        location: String,
        /// Whether it is the one that is made by the first backup.
        is_own: bool,
    },
    /// A new repository would lie among other things.
    #[error("{folder} is not empty: there is {entry}")]
    NotEmpty {
        /// The folder.
        folder: String,
        /// What is in it.
        entry: String,
    },
    /// A place where no repository can be kept.
    #[error("{location} is not fit for a repository: {why}")]
    Unfit {
        /// The place.
        location: String,
        /// What it does otherwise than repositories need it.
        why: String,
    },
    /// A place where whoever writes second replaces what was there.
    #[error(
        "{location} overwrites silently: a repository that more than one program writes to cannot be kept safe there ({why})"
    )]
    Overwrites {
        /// The place.
        location: String,
        /// What was seen.
        why: String,
    },
    /// No snapshot, path or item of that name.
    #[error("{source}")]
    Unknown {
        /// What is not there.
        source: chronos_snapshot::Error,
        /// The name that was perhaps meant.
        near: Option<String>,
        /// Something of the listing cannot be read: it may be what was meant.
        is_damaged: bool,
    },
    /// A snapshot was named with the location of another repository.
    #[error("{name} lies in the repository {repository}, not in this one")]
    Elsewhere {
        /// The snapshot.
        name: String,
        /// The other repository.
        repository: String,
    },
    /// A held snapshot was to be deleted.
    #[error("{backup_id} is held; nothing was deleted")]
    Held {
        /// The snapshot.
        backup_id: String,
    },
    /// A snapshot was to be brought back that is there.
    #[error("{name} is not deleted")]
    NotDeleted {
        /// The name that was given.
        name: String,
    },
    /// No snapshot of that name was deleted, or it is gone for good.
    #[error("{0}")]
    NotInTrash(chronos_snapshot::Error),
    /// A target that nobody configured.
    #[error("target {target} is not configured")]
    UnknownTarget {
        /// The target.
        target: String,
    },
    /// Neither a target nor anything else to back up was named.
    #[error("there is nothing to back up")]
    NothingNamed,
    /// A target has no source of what was asked for.
    #[error("target {target} has nothing of type {wanted}: its sources are of {}", components.join(", "))]
    NothingOfType {
        /// The target.
        target: String,
        /// The backup type or the components that were asked for.
        wanted: String,
        /// What its sources are of.
        components: Vec<String>,
    },
    /// Every target was meant, and none is configured.
    #[error("no target is configured")]
    NoTargets,
    /// A backup of a configured target failed; the history has it under the name that its snapshot would have had.
    #[error("{cause}")]
    Failed {
        /// The name.
        backup_id: String,
        /// What an outside system answered that made it fail.
        upstream: Option<Upstream>,
        /// Why.
        #[source]
        cause: Box<Error>,
    },
    /// A run over several targets made nothing at all.
    #[error("no target could be backed up: {why}")]
    NothingMade {
        /// Its id.
        run_id: String,
        /// What each target said.
        why: String,
        /// The answer of each target.
        backups: serde_json::Value,
        /// Why the first failed.
        first: Box<Error>,
    },
    /// A hook did not let it happen.
    #[error("{hook} does not allow it: {why}; nothing was touched")]
    Vetoed {
        /// The hook.
        hook: String,
        /// What it said.
        why: String,
    },
    /// A place for a restore that its caller may not name.
    #[error(
        "{path} does not lie below {}: that needs a token",
        .root.as_deref().unwrap_or("a folder for restores, as none is configured (service.restore_root)")
    )]
    OutsideRoot {
        /// The place.
        path: String,
        /// The configured folder.
        root: Option<String>,
    },
    /// The live state, or what is to be done, is not what somebody has seen in a plan.
    #[error("target {target} is not as it was when that was planned; nothing was touched")]
    PlanMoved {
        /// The target.
        target: String,
        /// The fingerprint of the plan now.
        now: String,
    },
    /// Workflows were changed by others between a look at them and the first call that changes them.
    #[error("workflows were changed since the restore was planned; nothing was touched")]
    WorkflowsMoved,
    /// Something of a rollback keeps it from being undone.
    #[error("{rollback_id} cannot be undone: {why}")]
    NotUndoable {
        /// The rollback.
        rollback_id: String,
        /// Why.
        why: String,
    },
    /// The history has no such rollback.
    #[error("the history has no rollback {rollback_id:?}")]
    UnknownRollback {
        /// What was named.
        rollback_id: String,
    },
    /// Something of this target is being put back already.
    #[error("another restore of target {target} goes on")]
    RestoreRunning {
        /// The target.
        target: String,
    },
    /// There is no snapshot of what is there, so nothing is put back over it.
    #[error("no snapshot of what is there could be made of target {target}: {why}; nothing was touched")]
    NoSafety {
        /// The target.
        target: String,
        /// Why.
        why: String,
        /// What failed.
        #[source]
        cause: Option<Box<Error>>,
    },
    /// Nothing of what was chosen can be put back.
    #[error("nothing can be put back: {why}")]
    NothingToRestore {
        /// Each source, and why.
        why: String,
    },
    /// A part of a restore failed, which says in which state it is.
    #[error("{0}")]
    StepFailed(String),
    /// A restore put nothing back; the history has it.
    #[error("{cause}")]
    NotRestored {
        /// Its id there.
        rollback_id: String,
        /// What became of each part, as it is answered.
        report: serde_json::Value,
        /// Why.
        #[source]
        cause: Box<Error>,
    },
    /// The file of this host's state holds something else.
    #[error(
        "the state file {path} is damaged: {why}; snapshots do not depend on it: move it away, and a new one is begun"
    )]
    StateDamaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The file of this host's state was written by a later version.
    #[error("the state file {path} is of version {version}, which a newer chronos wrote")]
    StateTooNew {
        /// The file.
        path: String,
        /// Its version.
        version: u32,
    },
    /// The file of this host's state failed.
    #[error("the state file {path}: {source}")]
    State {
        /// The file.
        path: String,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A schedule of this name is there already.
    #[error("there is a schedule {id:?} already")]
    ScheduleExists {
        /// Its name.
        id: String,
    },
    /// No schedule of this name.
    #[error("there is no schedule {id:?}{}", .near.as_ref().map(|n| format!(": did you mean {n:?}?")).unwrap_or_default())]
    UnknownSchedule {
        /// The name.
        id: String,
        /// The one that was perhaps meant.
        near: Option<String>,
    },
    /// A schedule that cannot be changed so by command.
    #[error(
        "schedule {id:?} {}",
        .file.as_ref().map_or_else(
            || "belongs to the usual ones: it can be switched off and on, and nothing else".to_owned(),
            |file| format!("stands in the configuration file {file}, and is changed there alone"),
        )
    )]
    ScheduleFixed {
        /// Its name.
        id: String,
        /// The file that it stands in.
        file: Option<String>,
    },
    /// A job took longer than it may.
    #[error("it took longer than the {minutes} minutes that limits.job_timeout allows")]
    TooLong {
        /// How long it may take.
        minutes: u64,
    },
    /// A fault of this program.
    #[error("a fault of this program ended it; the log says more, and no snapshot was harmed")]
    Fault,
    /// No snapshot and no server has the workflow.
    #[error("no snapshot of {target} has workflow {workflow}")]
    UnknownWorkflow {
        /// Its id, or the name that was asked for.
        workflow: String,
        /// The target.
        target: String,
    },
    /// No good snapshot has what is asked for.
    #[error("no good snapshot{} has {}", of_target(target.as_deref()), asked_for(components))]
    NoneGood {
        /// The target that was named.
        target: Option<String>,
        /// What was asked for.
        components: Vec<String>,
    },
    /// Stored versions of a workflow cannot be read.
    #[error(
        "no version of workflow {workflow} that can be read is another one than what is there; some cannot be read: {why}"
    )]
    VersionsUnread {
        /// The workflow.
        workflow: String,
        /// What is wrong with the first.
        why: String,
    },
    /// No snapshot has a path.
    #[error("{path} is in none of {count} snapshots")]
    Absent {
        /// The path.
        path: String,
        /// How many were looked at.
        count: usize,
    },
    /// A snapshot does not have a workflow.
    #[error("the snapshot has no workflow whose id or name is {workflow:?}")]
    NotStored {
        /// What was asked for.
        workflow: String,
    },
    /// No stored version of a workflow is meant.
    #[error("workflow {workflow} has no stored version {version:?}")]
    UnknownVersion {
        /// What was asked for.
        version: String,
        /// The workflow.
        workflow: String,
    },
    /// No job of this id.
    #[error("there is no job {id}")]
    UnknownJob {
        /// The id.
        id: String,
    },
    /// The clock tells no time that can be written.
    #[error("the clock: {0}")]
    Clock(String),
    /// A local file failed.
    #[error("{path}: {source}")]
    Local {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] chronos_store::Error),
    /// A snapshot operation failed.
    #[error(transparent)]
    Snapshot(#[from] chronos_snapshot::Error),
    /// An outside system failed, or what it holds could not be changed.
    #[error(transparent)]
    Connect(#[from] chronos_connect::Error),
}

/// How an outside system failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Its own status, if it answered at all.
    pub status: Option<u16>,
    /// It did not answer in time.
    pub timed_out: bool,
}

/// What callers decide by; mapped to exit codes and HTTP statuses in one place each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A value, an option or the configuration is wrong; nothing was tried.
    Invalid,
    /// No snapshot, target or path of that name.
    NotFound,
    /// Not allowed as things stand; nothing was changed.
    Refused,
    /// What the layers below tell by their own kinds.
    Library(ErrorKind),
}

impl Upstream {
    /// Whether it may answer in a while. One that did not answer at all may be starting.
    fn is_not_now(self) -> bool {
        self.timed_out || self.status.is_none_or(|status| status >= 500 || NOT_NOW.contains(&status))
    }
}

impl Error {
    /// A local file failed.
    pub(crate) fn local(path: &Path, source: io::Error) -> Self {
        Self::Local { path: printable(path.as_os_str().as_bytes()), source }
    }

    /// The same of a value that is not allowed, where the caller knows the field by another name.
    #[must_use]
    pub fn of_field(self, field: &str, known_as: &str) -> Self {
        match self {
            Self::Value { place, why } if place == field => Self::Value { place: known_as.to_owned(), why },
            Self::NotRestored { rollback_id, report, cause } => {
                let cause = Box::new(cause.of_field(field, known_as));
                Self::NotRestored { rollback_id, report, cause }
            }
            other => other,
        }
    }

    /// What an outside system answered that made a backup fail.
    pub fn upstream(&self) -> Option<Upstream> {
        match self {
            Self::Failed { upstream, .. } => *upstream,
            Self::NothingMade { first: cause, .. }
            | Self::NotRestored { cause, .. }
            | Self::NoSafety { cause: Some(cause), .. } => cause.upstream(),
            Self::Connect(error) => match error.kind() {
                Connected::Upstream => Some(Upstream { status: error.upstream_status(), timed_out: false }),
                Connected::TimedOut => Some(Upstream { status: None, timed_out: true }),
                _ => None,
            },
            _ => None,
        }
    }

    /// The name under which a failed backup stands in the history.
    pub fn backup_id(&self) -> Option<&str> {
        match self {
            Self::Failed { backup_id, .. } => Some(backup_id),
            Self::NothingMade { run_id, .. } => Some(run_id),
            _ => None,
        }
    }

    /// Whether what failed may go well in a while: what was busy or could not be reached. Bad input, damage and a full disk stay what
    /// they are.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Failed { upstream: Some(upstream), .. } => upstream.is_not_now(),
            Self::Failed { cause: error, .. } | Self::NothingMade { first: error, .. } => {
                error.is_transient()
            }
            error => error.kind() == Kind::Library(ErrorKind::Busy),
        }
    }
}

fn of_target(target: Option<&str>) -> String {
    target.map_or_else(String::new, |target| format!(" of target {target}"))
}

fn asked_for(components: &[String]) -> String {
    if components.is_empty() { "what is asked for".to_owned() } else { components.join(", ") }
}
