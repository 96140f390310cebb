//! The two ways in which a repository is used: through the libraries, and through the program. Both take the same orders, which
//! name snapshots and paths, and say in the same words how it went.

use std::path::PathBuf;

use super::model::Listing;
use super::operations::{Kind, Overwrite, Prune, Repair, Stop, Strategy};

/// An operation with names in place of numbers.
#[derive(Clone, Debug)]
pub(super) enum Order {
    Backup(BackupOrder),
    Restore(RestoreOrder),
    Forget(String),
    Undelete(String),
    Hold(String),
    Release(String),
    Tag(String, Vec<String>),
    ForgetByRule { last: u32, target: Option<String>, dry_run: bool },
    Prune(Prune),
    Check { read_data: bool },
    Repair { what: Repair, dry_run: bool },
    Rewrite { of: String, exclude: String, dry_run: bool },
    AddKey(u8),
    RemoveKey(u8),
    LoseCache,
    KeepCache,
    OldCache,
    Wait { hours: u64 },
}

/// A backup.
#[derive(Clone, Debug)]
pub(super) struct BackupOrder {
    pub(super) target: String,
    pub(super) roots: Vec<PathBuf>,
    pub(super) parent: ParentOrder,
    pub(super) kind: Kind,
    pub(super) read_all: bool,
    pub(super) threads: usize,
}

/// What a backup is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ParentOrder {
    Newest,
    None,
    Named(String),
}

/// A restore.
#[derive(Clone, Debug, Default)]
pub(super) struct RestoreOrder {
    pub(super) of: String,
    /// What of it, by its path in the file system.
    pub(super) part: Option<PathBuf>,
    pub(super) to: Option<PathBuf>,
    /// None: to a new place.
    pub(super) strategy: Option<Strategy>,
    pub(super) overwrite: Option<Overwrite>,
    pub(super) include: Option<String>,
    pub(super) exclude: Option<String>,
    pub(super) dry_run: bool,
}

/// How an order went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// The snapshot that was made, or that nothing differs from.
    pub(super) backup_id: Option<String>,
    /// Nothing differed.
    pub(super) unchanged: bool,
    /// Something was left out.
    pub(super) partial: bool,
    /// Something waits for a session that may be running.
    pub(super) pending: bool,
    /// Damage, or what a repair did for other reasons than tidying up.
    pub(super) findings: Vec<String>,
}

/// Why an order was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Not allowed as things stand.
    Refused(String),
    /// The key does not open it.
    WrongKey,
    /// It was stopped in the middle, as was asked for.
    Stopped,
    /// Anything else.
    Failed(String),
}

/// Uses a repository.
pub(super) trait Engine {
    /// Whether hours can pass.
    const CAN_WAIT: bool;
    /// Carries an order out for a client, with one of the keys.
    fn run(&mut self, client: usize, key: u8, order: &Order, stop: Option<Stop>) -> Result<Answer, Failure>;
    /// What a client sees.
    fn listing(&mut self, client: usize, key: u8) -> Result<Listing, Failure>;
    /// Something that is the same as long as nothing is written to the repository.
    fn mark(&self) -> Vec<(String, u64)>;
}

/// The name of a client's host.
pub(super) fn host(client: usize) -> String {
    format!("host{client}")
}
