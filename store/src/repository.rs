//! An open repository: the one handle through which snapshots are written, found, read and pruned.

use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::backend::{Backend, BackendError, BackendExt, Durability, Upkeep};
use crate::catalogue::Catalogue;
use crate::chunker::{ChunkClass, Chunker};
use crate::crypto::{Kdf, KeySlot, Keys, Secrets};
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Config, Header, ObjectKind};
use crate::hashed::Hashed;
use crate::id::{ChunkKind, RepositoryId, SnapshotId};
use crate::index::OpenRuns;
use crate::local::{Folders, Host};
use crate::log::{Change, LogRecord};
use crate::monitor::Monitor;
use crate::names;
use crate::packs::{Packs, lock};
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

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password(..)",
            Self::Key(_) => "Key(..)",
        })
    }
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

/// One piece of work on an open repository: who is told of it, and what all of them share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) monitor: Arc<dyn Monitor>,
    shared: Arc<Shared>,
}

impl Deref for Inner {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

/// What all handles of one open repository share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) secrets: Secrets,
    pub(crate) slot: String,
    pub(crate) config: Config,
    pub(crate) dirs: LocalDirs,
    pub(crate) folders: Folders,
    pub(crate) host: Host,
    pub(crate) env: Env,
    pub(crate) packs: Arc<Packs>,
    /// Runs that views hold open.
    pub(crate) runs: OpenRuns,
    pub(crate) catalogue: Catalogue,
    /// The newest record that was read: records never change.
    pub(crate) newest: Mutex<Option<LogRecord>>,
    /// What this was a mirror of when the log was last looked at.
    pub(crate) mirror_of: Mutex<Option<String>>,
}

/// An open repository; cheap to clone, usable from many threads.
#[derive(Clone, Debug)]
pub struct Repository {
    pub(crate) inner: Arc<Inner>,
}

impl Repository {
    /// Creates a repository in an empty place and opens it.
    pub fn create(
        backend: Arc<dyn Backend>,
        secret: &Secret,
        create: &CreateOptions,
        options: OpenOptions,
    ) -> Result<Self> {
        if backend.exists(names::CONFIG)? {
            return Err(Error::RepositoryExists(backend.location()));
        }
        let env = &options.env;
        let mut secrets = Secrets { master: env.random_bytes()?, chunk: env.random_bytes()? };
        if let Some(like) = &create.like {
            secrets.chunk = like.secret();
        }
        let keys = Keys::new(&secrets);
        let id = RepositoryId(env.random_bytes()?);
        let now = crate::keys::timestamp(env);
        let slot = crate::keys::slot_name(env)?;
        let wrapped = KeySlot::wrap(env, &secrets, secret, Kdf::for_secret(secret), &create.label, &now)?;
        backend.create(&slot, &wrapped.encode()?, Durability::Now)?;
        // The config is written last: until then there is no repository here.
        match backend.create(names::CONFIG, &Config::new(id, now).encode(&keys)?, Durability::Now) {
            Err(BackendError::AlreadyExists(_)) => {
                backend.remove(&slot)?;
                return Err(Error::RepositoryExists(backend.location()));
            }
            outcome => outcome?,
        }
        backend.maintain(Upkeep::RefillReserve)?;
        Self::open(backend, secret, options)
    }

    /// Opens a repository.
    pub fn open(backend: Arc<dyn Backend>, secret: &Secret, options: OpenOptions) -> Result<Self> {
        let config = match backend.read(names::CONFIG, None) {
            Err(BackendError::NotFound(_)) if backend.list_all(names::KEYS)?.is_empty() => {
                return Err(Error::NoRepository(backend.location()));
            }
            Err(BackendError::NotFound(name)) => return Err(Error::missing(name)),
            bytes => bytes?,
        };
        let (config, seal) = Config::decode(&config)?;
        let fit = |secrets: &Secrets| seal.check(&Keys::new(secrets));
        let (slot, secrets) = crate::keys::unlock(backend.as_ref(), secret, &fit, options.monitor.as_ref())?;
        let keys = Arc::new(Keys::new(&secrets));
        let OpenOptions { dirs, env, monitor } = options;
        let folders = Folders::new(&dirs.cache, &dirs.state, config.id);
        let catalogue =
            Catalogue::new(folders.cache(), *blake3::keyed_hash(&secrets.master, b"catalogue").as_bytes());
        let packs = Arc::new(Packs::new(Arc::clone(&backend), Arc::clone(&keys)));
        let host = Host::this(&dirs.state)?;
        let shared = Arc::new(Shared {
            backend,
            keys,
            secrets,
            slot,
            config,
            dirs,
            folders,
            host,
            env,
            packs,
            runs: OpenRuns::default(),
            catalogue,
            newest: Mutex::default(),
            mirror_of: Mutex::default(),
        });
        Ok(Self { inner: Arc::new(Inner { monitor, shared }) })
    }

    /// The same open repository for another piece of work, which reports by itself and is stopped by itself.
    pub fn reporting_to(&self, monitor: Arc<dyn Monitor>) -> Self {
        Self { inner: Arc::new(Inner { monitor, shared: Arc::clone(&self.inner.shared) }) }
    }

    /// The same repository, read as it is stored: past all that is kept nearer or was read before, so that what is found right is
    /// right there.
    pub fn as_stored(&self) -> Self {
        let (monitor, inner) = (Arc::clone(&self.inner.monitor), &self.inner);
        let backend = inner.backend.stored().unwrap_or_else(|| Arc::clone(&inner.backend));
        let shared = Arc::new(Shared {
            backend,
            keys: Arc::clone(&inner.keys),
            secrets: inner.secrets.clone(),
            slot: inner.slot.clone(),
            config: inner.config.clone(),
            dirs: inner.dirs.clone(),
            folders: inner.folders.clone(),
            host: inner.host.clone(),
            env: inner.env.clone(),
            packs: Arc::new(inner.packs.as_stored()),
            runs: OpenRuns::default(),
            catalogue: Catalogue::none(),
            newest: Mutex::default(),
            mirror_of: Mutex::default(),
        });
        Self { inner: Arc::new(Inner { monitor, shared }) }
    }

    /// Identity of the repository.
    pub fn id(&self) -> RepositoryId {
        self.inner.config.id
    }

    /// Whether it still lies where it was opened. A disk that was taken away leaves an empty folder, into which could be written.
    ///
    /// # Errors
    /// [`Error::NoRepository`] if it is gone or another one is there.
    pub fn confirm(&self) -> Result<()> {
        let gone = || Error::NoRepository(self.location());
        let config = match self.inner.backend.read(names::CONFIG, None) {
            Err(BackendError::NotFound(_)) => return Err(gone()),
            bytes => bytes?,
        };
        let (config, _) = Config::decode(&config)?;
        if config.id == self.id() { Ok(()) } else { Err(gone()) }
    }

    /// Where it lies, for people.
    pub fn location(&self) -> String {
        self.inner.backend.location()
    }

    /// Clock and randomness in use.
    pub fn env(&self) -> &Env {
        &self.inner.env
    }

    /// Who is told.
    pub fn monitor(&self) -> &Arc<dyn Monitor> {
        &self.inner.monitor
    }

    /// The program's own folders for this repository.
    pub fn dirs(&self) -> &LocalDirs {
        &self.inner.dirs
    }

    /// A chunker with this repository's secret gear table.
    pub fn chunker(&self, class: ChunkClass) -> Chunker {
        Chunker::new(class, self.inner.keys.gear())
    }

    /// A chunk with the id that it has in this repository, stored or not. [`Error::Invalid`] if it is empty or too long.
    pub fn hash<'b>(&self, kind: ChunkKind, bytes: &'b [u8]) -> Result<Hashed<'b>> {
        Hashed::new(&self.inner.keys, kind, bytes)
    }

    /// The keyed hash of a text for use in names (64 hex digits); tells nothing of the text without the key.
    pub fn keyed_name(&self, domain: &str, text: &str) -> String {
        self.inner.keys.name(domain, text)
    }

    /// What counts at this moment: snapshots and where chunks lie.
    pub fn view(&self) -> Result<Arc<View>> {
        self.inner.view()
    }

    /// Begins a session (W1, W2): what is put into it counts only once it is committed.
    pub fn begin(&self, options: SessionOptions) -> Result<Session> {
        Session::begin(&self.inner, options)
    }

    /// Appends one record to the log, computed from the newest state; repeats when another process was faster.
    ///
    /// `decide` sees the newest view and returns the change, or `None` when there is nothing to do. Returns
    /// the view after the record.
    pub fn change(&self, decide: &dyn Fn(&View) -> Result<Option<Change>>) -> Result<Arc<View>> {
        let now = i64::try_from(self.inner.env.clock.now()).unwrap_or(i64::MAX);
        self.inner.append(&mut |view| Ok(decide(view)?.map(|change| change.record(now))))
    }

    /// Takes a name for ever; `false` if it is taken (contract: a `backup_id` is unique for ever).
    ///
    /// The claim itself need not survive a loss of power: without its snapshot it says nothing.
    pub fn claim_name(&self, name: &str) -> Result<bool> {
        if let Some(source) = &*lock(&self.inner.mirror_of) {
            return Err(Error::Mirror(source.clone()));
        }
        let object = format!("{}{}", names::CLAIMS, self.inner.keys.name("backup id", name));
        let salt = self.inner.env.random_bytes()?;
        let bytes = Header { kind: ObjectKind::Name, salt }.encode();
        match self.inner.backend.create(&object, &bytes, Durability::Relaxed) {
            Err(BackendError::AlreadyExists(_)) => Ok(false),
            outcome => outcome.map(|()| true).map_err(Into::into),
        }
    }

    /// The content id of a manifest.
    pub fn snapshot_id(manifest: &[u8]) -> SnapshotId {
        SnapshotId(*blake3::hash(manifest).as_bytes())
    }
}

impl Inner {
    /// Reads a small object; what is missing is [`Error::Missing`].
    pub(crate) fn read(&self, object: &str) -> Result<Vec<u8>> {
        self.packs.read(object, None)
    }

    /// Removes what nobody needs any more. `false` if these keys may not remove anything: then whoever prunes with others finds it.
    pub(crate) fn discard(&self, object: &str) -> Result<bool> {
        match self.backend.remove(object) {
            Err(BackendError::Io { source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied => {
                Ok(false)
            }
            outcome => Ok(outcome.map(|()| true)?),
        }
    }

    /// Whether an error only says that nothing can be written here.
    pub(crate) fn cannot_write(error: &Error) -> bool {
        let denied = |e: &std::io::Error| e.kind() == std::io::ErrorKind::PermissionDenied;
        error.kind() == ErrorKind::ReadOnly
            || matches!(error, Error::Backend(BackendError::Io { source, .. }) if denied(source))
    }
}
