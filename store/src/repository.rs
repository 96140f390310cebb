//! An open repository: the one handle through which snapshots are written, found, read and pruned.

use std::path::PathBuf;
use std::sync::Arc;

use crate::backend::Backend;
use crate::chunker::{ChunkClass, Chunker};
use crate::env::Env;
use crate::error::Result;
use crate::id::{RepositoryId, SnapshotId};
use crate::log::Change;
use crate::monitor::Monitor;
use crate::session::{Session, SessionOptions};
use crate::view::View;

/// What opens a key slot.
#[derive(Clone)]
pub enum Secret {
    /// A passphrase, stretched with Argon2id.
    Password(String),
    /// The content of a key file: 32 random bytes.
    Key([u8; 32]),
}

/// Folders of this program on this host. Neither holds anything that a restore needs.
#[derive(Clone, Debug)]
pub struct LocalDirs {
    /// May be deleted at any moment: the redb catalogue, copies of objects.
    pub cache: PathBuf,
    /// Must survive: locks of running sessions, what check has read and when.
    pub state: PathBuf,
}

/// How a repository is opened.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Where the program keeps its own files.
    pub dirs: LocalDirs,
    /// Clock and randomness.
    pub env: Env,
    /// Who is told.
    pub monitor: Arc<dyn Monitor>,
}

/// How a repository is created.
#[derive(Clone, Debug, Default)]
pub struct CreateOptions {
    /// Shares the chunking and identity keys of another repository, so that copies between the two deduplicate.
    pub like: Option<crate::keys::ChunkKeys>,
    /// Label of the first key slot.
    pub label: String,
}

/// An open repository; cheap to clone, usable from many threads.
#[derive(Clone, Debug)]
pub struct Repository {}

impl Repository {
    /// Creates a repository in an empty place and opens it.
    pub fn create(
        _backend: Arc<dyn Backend>,
        _secret: &Secret,
        _create: &CreateOptions,
        _options: OpenOptions,
    ) -> Result<Self> {
        unimplemented!()
    }

    /// Opens a repository.
    pub fn open(_backend: Arc<dyn Backend>, _secret: &Secret, _options: OpenOptions) -> Result<Self> {
        unimplemented!()
    }

    /// Identity of the repository.
    pub fn id(&self) -> RepositoryId {
        unimplemented!()
    }

    /// Where it lies, for people.
    pub fn location(&self) -> String {
        unimplemented!()
    }

    /// Clock and randomness in use.
    pub fn env(&self) -> &Env {
        unimplemented!()
    }

    /// Who is told.
    pub fn monitor(&self) -> &Arc<dyn Monitor> {
        unimplemented!()
    }

    /// The program's own folders for this repository.
    pub fn dirs(&self) -> &LocalDirs {
        unimplemented!()
    }

    /// A chunker with this repository's secret gear table.
    pub fn chunker(&self, _class: ChunkClass) -> Chunker {
        unimplemented!()
    }

    /// The keyed hash of a text for use in names (64 hex digits); tells nothing of the text without the key.
    pub fn keyed_name(&self, _domain: &str, _text: &str) -> String {
        unimplemented!()
    }

    /// What counts at this moment: snapshots and where chunks lie.
    pub fn view(&self) -> Result<Arc<View>> {
        unimplemented!()
    }

    /// Begins a session (W1, W2): what is put into it counts only once it is committed.
    pub fn begin(&self, _options: SessionOptions) -> Result<Session> {
        unimplemented!()
    }

    /// Appends one record to the log, computed from the newest state; repeats when another process was faster.
    ///
    /// `decide` sees the newest view and returns the change, or `None` when there is nothing to do. Returns
    /// the view after the record.
    pub fn change(&self, _decide: &dyn Fn(&View) -> Result<Option<Change>>) -> Result<Arc<View>> {
        unimplemented!()
    }

    /// Takes a name for ever; `false` if it is taken (contract: a `backup_id` is unique for ever).
    pub fn claim_name(&self, _name: &str) -> Result<bool> {
        unimplemented!()
    }

    /// The content id of a manifest.
    pub fn snapshot_id(manifest: &[u8]) -> SnapshotId {
        SnapshotId(*blake3::hash(manifest).as_bytes())
    }
}
