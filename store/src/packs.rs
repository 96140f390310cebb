//! Reading packs: footers, tables of contents, frames; with the caches that make neighbouring reads cheap.

mod blocks;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::backend::{Backend, BackendError, BackendResult};
use crate::catalogue::Catalogue;
use crate::crypto::{Capsule, Keys, SessionKeys};
use crate::error::{Error, Result};
use crate::format::{FOOTER_BYTES, Footer, Frame, Toc, open_frame};
use crate::id::{ChunkId, PackName};
use crate::lanes::spread;

use crate::names;

use blocks::Blocks;

/// Bytes read from a pack's end at first: footer and the table of contents of most packs.
const TAIL_BYTES: u64 = 128 << 10;
/// Tables of contents kept, counted in chunks: about 20 MB.
const TOC_CHUNKS_MAX: usize = 200_000;

/// Locks a mutex; what a panicking thread left is still whole, since every update here is one assignment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A pack's table of contents, with what opens its frames.
#[derive(Debug)]
pub(crate) struct PackToc {
    /// Name of the object.
    pub(crate) object: String,
    /// The footer.
    pub(crate) footer: Footer,
    /// The table.
    pub(crate) toc: Toc,
}

impl PackToc {
    /// Decodes the end of a pack of `size` bytes: its table of contents and its footer.
    pub(crate) fn decode(object: String, keys: &Keys, size: u64, end: &[u8]) -> Result<Self> {
        let footer = Footer::decode(&object, size, end)?;
        let sealed = end.get(..end.len().saturating_sub(FOOTER_BYTES)).unwrap_or_default();
        if sealed.len() != footer.toc_length as usize {
            return Err(Error::damaged(&object, "its table of contents has another length"));
        }
        let toc = footer.open_toc(&object, keys, sealed.to_vec())?;
        Ok(Self { object, footer, toc })
    }
}

/// How an object is read: name, and range or all of it.
pub(crate) type Read<'r> = dyn Fn(&str, Option<Range<u64>>) -> Result<Vec<u8>> + 'r;

/// Reads packs of one repository.
#[derive(Debug)]
pub(crate) struct Packs {
    backend: Arc<dyn Backend>,
    keys: Arc<Keys>,
    tocs: Mutex<Tocs>,
    sessions: Mutex<HashMap<[u8; 32], Arc<SessionKeys>>>,
    blocks: Blocks,
    bytes_read: AtomicU64,
}

#[derive(Debug, Default)]
struct Tocs {
    held: HashMap<PackName, (u64, Arc<PackToc>)>,
    chunks: usize,
    clock: u64,
}

impl Packs {
    /// Reads packs through `backend`.
    pub(crate) fn new(backend: Arc<dyn Backend>, keys: Arc<Keys>) -> Self {
        Self {
            backend,
            keys,
            tocs: Mutex::default(),
            sessions: Mutex::default(),
            blocks: Blocks::default(),
            bytes_read: AtomicU64::new(0),
        }
    }

    /// How many reads are best under way at a time.
    pub(crate) fn lanes(&self) -> usize {
        self.backend.lanes()
    }

    /// Bytes read until now.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// The same packs as they are stored: past all copies, and all that was read before.
    pub(crate) fn as_stored(&self) -> Self {
        let backend = self.backend.stored().unwrap_or_else(|| Arc::clone(&self.backend));
        Self::new(backend, Arc::clone(&self.keys))
    }

    /// Reads a range of an object; what is missing is [`Error::Missing`].
    pub(crate) fn read(&self, object: &str, range: Option<Range<u64>>) -> Result<Vec<u8>> {
        self.counted(self.backend.read(object, range))
    }

    /// Opens what it reads with the function that is given. What turns out damaged is asked of the store once more if it came from a
    /// copy: it may have been mended since.
    pub(crate) fn opened<T>(&self, open: &dyn Fn(&Read<'_>) -> Result<T>) -> Result<T> {
        match open(&|object, range| self.read(object, range)) {
            Err(Error::Damaged { .. } | Error::TooNew { .. }) if self.backend.stored().is_some() => {
                open(&|object, range| match self.backend.read_anew(object, range.clone()) {
                    Some(bytes) => self.counted(bytes),
                    None => self.read(object, range),
                })
            }
            outcome => outcome,
        }
    }

    fn counted(&self, bytes: BackendResult<Vec<u8>>) -> Result<Vec<u8>> {
        let bytes = bytes.map_err(|e| match e {
            BackendError::NotFound(name) => Error::missing(name),
            BackendError::OutOfRange { name, size } => {
                Error::damaged(name, format!("it has only {size} bytes"))
            }
            other => Error::Backend(other),
        })?;
        self.bytes_read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }

    /// The table of contents of a pack; its size is looked up if it is not known.
    pub(crate) fn toc(&self, name: &PackName, size: Option<u64>) -> Result<Arc<PackToc>> {
        if let Some(toc) = self.held(name) {
            return Ok(toc);
        }
        let object = names::pack(name);
        let size = match size {
            Some(size) => size,
            None => self.backend.stat(&object).map_err(|e| match e {
                BackendError::NotFound(name) => Error::missing(name),
                other => Error::Backend(other),
            })?,
        };
        Ok(self.hold(name, self.opened_toc(object, size)?.0))
    }

    /// The table of contents of a pack as it is stored now, whatever was read of it before.
    pub(crate) fn stored_toc(&self, name: &PackName, size: u64) -> Result<Arc<PackToc>> {
        Ok(self.hold(name, self.opened_toc(names::pack(name), size)?.0))
    }

    /// The tables of contents of many packs, in their order; what the catalogue does not know is read and put there.
    pub(crate) fn tocs(
        &self,
        catalogue: &Catalogue,
        wanted: &[(PackName, u64)],
    ) -> Vec<Result<Arc<PackToc>>> {
        let held: Vec<_> = wanted.iter().map(|(name, _)| self.held(name)).collect();
        let absent = wanted.iter().zip(&held).filter(|(_, held)| held.is_none());
        let absent: Vec<PackName> = absent.map(|((name, _), _)| name.clone()).collect();
        let known: HashMap<PackName, Vec<u8>> = absent
            .iter()
            .zip(catalogue.get_tocs(&absent))
            .filter_map(|(name, end)| Some((name.clone(), end?)))
            .collect();
        let wanted: Vec<_> = wanted.iter().zip(held).collect();
        let found = spread(self.lanes(), &wanted, &|((name, size), held)| match held {
            Some(toc) => Ok((Arc::clone(toc), None)),
            None => self.toc_from(known.get(name), name, *size),
        });
        let mut fresh = Vec::new();
        let mut tocs = Vec::with_capacity(wanted.len());
        for (((name, _), _), found) in wanted.into_iter().zip(found) {
            tocs.push(found.map(|(toc, end)| {
                fresh.extend(end.map(|end| (name.clone(), end)));
                toc
            }));
        }
        catalogue.put_tocs(&fresh);
        tocs
    }

    /// A table of contents from what the catalogue knew, or else as it is stored; then with its bytes, for the catalogue.
    fn toc_from(
        &self,
        known: Option<&Vec<u8>>,
        name: &PackName,
        size: u64,
    ) -> Result<(Arc<PackToc>, Option<Vec<u8>>)> {
        let object = names::pack(name);
        let known = known.and_then(|end| PackToc::decode(object.clone(), &self.keys, size, end).ok());
        if let Some(toc) = known {
            return Ok((self.hold(name, toc), None));
        }
        self.opened_toc(object, size).map(|(toc, end)| (self.hold(name, toc), Some(end)))
    }

    /// Whether the table of contents of a pack is in memory.
    fn held(&self, name: &PackName) -> Option<Arc<PackToc>> {
        let mut tocs = lock(&self.tocs);
        tocs.clock += 1;
        let now = tocs.clock;
        let (used, toc) = tocs.held.get_mut(name)?;
        *used = now;
        Some(Arc::clone(toc))
    }

    fn hold(&self, name: &PackName, toc: PackToc) -> Arc<PackToc> {
        let toc = Arc::new(toc);
        let mut tocs = lock(&self.tocs);
        tocs.chunks += toc.toc.chunks.len();
        let now = tocs.clock;
        if let Some((_, twice)) = tocs.held.insert(name.clone(), (now, Arc::clone(&toc))) {
            tocs.chunks -= twice.toc.chunks.len();
        }
        while tocs.chunks > TOC_CHUNKS_MAX && tocs.held.len() > 1 {
            let Some(oldest) = tocs.held.iter().min_by_key(|(_, (used, _))| *used).map(|(n, _)| n.clone())
            else {
                break;
            };
            if let Some((_, gone)) = tocs.held.remove(&oldest) {
                tocs.chunks -= gone.toc.chunks.len();
            }
        }
        toc
    }

    /// Reads and opens the end of a pack, table of contents and footer; with its bytes.
    fn opened_toc(&self, object: String, size: u64) -> Result<(PackToc, Vec<u8>)> {
        self.opened(&|read| {
            let tail = read(&object, Some(size.saturating_sub(TAIL_BYTES)..size))?;
            let footer = Footer::decode(&object, size, &tail)?;
            let wanted = footer.toc_length as usize + FOOTER_BYTES;
            let end = match tail.len().checked_sub(wanted).and_then(|start| tail.get(start..)) {
                Some(end) => end.to_vec(),
                None => read(&object, Some(footer.toc_offset..size))?,
            };
            Ok((PackToc::decode(object.clone(), &self.keys, size, &end)?, end))
        })
    }

    /// Reads a frame of a pack and opens it.
    pub(crate) fn frame(&self, pack: &PackToc, frame: &Frame) -> Result<Vec<u8>> {
        self.opened(&|read| self.open(pack, frame, read(&pack.object, Some(frame.range()))?))
    }

    /// The same, before it as it is stored.
    pub(crate) fn sealed_frame(&self, pack: &PackToc, frame: &Frame) -> Result<(Vec<u8>, Vec<u8>)> {
        self.opened(&|read| {
            let sealed = read(&pack.object, Some(frame.range()))?;
            let plain = self.open(pack, frame, sealed.clone())?;
            Ok((sealed, plain))
        })
    }

    /// Opens a frame from its sealed bytes.
    pub(crate) fn open(&self, pack: &PackToc, frame: &Frame, sealed: Vec<u8>) -> Result<Vec<u8>> {
        let origin = pack
            .toc
            .origins
            .get(usize::from(frame.origin))
            .ok_or_else(|| Error::damaged(&pack.object, "a frame names no origin"))?;
        let keys = self.session_keys(origin.capsule)?;
        open_frame(&pack.object, &keys, &origin.salt, frame, sealed)
    }

    fn session_keys(&self, capsule: [u8; 32]) -> Result<Arc<SessionKeys>> {
        if let Some(keys) = lock(&self.sessions).get(&capsule) {
            return Ok(Arc::clone(keys));
        }
        let keys = Arc::new(SessionKeys::open(Capsule(capsule), &self.keys)?);
        lock(&self.sessions).insert(capsule, Arc::clone(&keys));
        Ok(keys)
    }

    /// Opened blocks of runs.
    pub(crate) fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// Lets opened blocks and tables of contents go.
    pub(crate) fn forget(&self) {
        self.blocks.clear();
        *lock(&self.tocs) = Tocs::default();
    }

    /// The keys that derive ids.
    pub(crate) fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }
}

/// The bytes of each chunk of an opened frame, in order.
pub(crate) fn chunks_of<'p>(
    plain: &'p [u8],
    chunks: &[crate::format::TocChunk],
) -> impl Iterator<Item = (ChunkId, &'p [u8])> {
    let mut rest = plain;
    chunks.iter().map(move |chunk| {
        let (mine, after) = rest.split_at_checked(chunk.length as usize).unwrap_or((rest, &[]));
        rest = after;
        (chunk.id, mine)
    })
}
