//! Content-addressed, deduplicating, encrypted storage: knows chunks and packs, not files or trees.
//!
//! Modules in the order of dependence; each uses only those above it.
#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests lay out and damage files directly"))]

mod append;
pub mod backend;
mod catalogue;
mod check;
mod chunker;
mod compress;
mod crypto;
mod decision;
pub mod durable;
mod env;
mod error;
mod format;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod gc;
mod hashed;
mod id;
mod index;
mod keys;
mod lanes;
mod local;
mod log;
mod marks;
mod merge;
mod mirror;
mod monitor;
mod names;
mod packs;
mod reader;
mod refs;
mod repository;
mod session;
mod state;
mod view;
mod visited;

pub use catalogue::Catalogue;
pub use check::{CheckReport, Finding, ReadData, RepairReport, StoreStats, VerifyReport};
pub use chunker::{ChunkClass, ChunkStream, Chunker, DETECT_BYTES};
pub use env::{Clock, Env, Random, SystemClock, SystemRandom};
pub use error::{Error, ErrorKind, Result};
pub use format::FORMAT_VERSION;
pub use gc::{PruneOptions, PruneReport};
pub use hashed::Hashed;
pub use id::{BadName, ChunkId, ChunkKind, ChunkMark, PackName, RepositoryId, SessionId, SnapshotId};
pub use keys::{ChunkKeys, SlotInfo, check_opener, seal_key, unseal_key};
pub use local::{CheckMemory, Folders, Host, Owner, SessionLock};
pub use log::Change;
pub use mirror::{Copied, PromoteReport, SyncOptions, SyncReport, sync};
pub use monitor::{Collect, Monitor, Silent, check_cancelled};
pub use reader::{FETCH_MAX, Part, Reader, Wanted};
pub use refs::{REFS_MAX, RefList};
pub use repository::{CreateOptions, LocalDirs, OpenOptions, Repository, Secret};
pub use session::{ChunkWriter, Put, Session, SessionOptions, SessionStats};
pub use view::{Marks, SnapshotRow, Verdict, View};
pub use visited::ChunkSet;
