//! Fills the files that a walk has collected, beside that walk.
//!
//! At most one [`Window`] is filled while the next is collected, so that memory and open folders stay bounded. Files are
//! known by their [`Target`], which any thread may write to; what could not be had is told when a window ends.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

use chronos_store::{Monitor, Part, Wanted, check_cancelled};

use crate::error::{Error, Result};
use crate::node::Extent;
use crate::restore::supply::Supply;
use crate::restore::target::{Target, Writer};

/// Most chunks wanted at once: about 4 MB with what a fetch needs for each.
const WINDOW_CHUNKS: usize = 1 << 15;
/// Most files of a window.
const WINDOW_FILES: usize = 1 << 12;
/// Most folders of a window: each is kept open, two windows at a time, and 1,024 descriptors are all that many systems give.
const WINDOW_FOLDERS: usize = 192;

/// Where a wanted chunk goes.
#[derive(Clone, Copy, Debug)]
struct Spot {
    /// Number of the file in the window.
    file: usize,
    offset: u64,
    /// How many bytes that are.
    len: u32,
}

/// Files to be filled in one go.
#[derive(Debug, Default)]
pub(crate) struct Window {
    pub(crate) files: Vec<Arc<Target>>,
    wanted: Vec<Wanted>,
    spots: Vec<Spot>,
    /// Folders kept open for its files.
    pub(crate) folders: usize,
}

impl Window {
    /// Asks for the chunks of an extent of the last file.
    pub(crate) fn want(&mut self, mut offset: u64, extent: &Extent) {
        for (id, piece, len) in extent.parts() {
            let part = piece.map(|piece| Part { mark: extent.only_part(), ..piece.part() });
            self.wanted.push(Wanted { id: *id, token: self.spots.len() as u64, part });
            self.spots.push(Spot { file: self.files.len() - 1, offset, len });
            offset += u64::from(len);
        }
    }

    /// Whether no more chunks are to be asked for.
    pub(crate) fn has_all_chunks(&self) -> bool {
        self.wanted.len() >= WINDOW_CHUNKS
    }

    /// Whether no more files are to be put in.
    pub(crate) fn is_full(&self) -> bool {
        self.has_all_chunks() || self.files.len() >= WINDOW_FILES || self.folders >= WINDOW_FOLDERS
    }
}

/// Files that the repository could not give, and why.
type Lost = Vec<(Arc<Target>, String)>;

/// The window that is being filled.
#[derive(Debug)]
pub(crate) struct Filling<'s, 'e> {
    scope: &'s Scope<'s, 'e>,
    filler: Filler<'e>,
    under_way: Option<ScopedJoinHandle<'s, Result<Lost>>>,
}

impl<'s, 'e> Filling<'s, 'e> {
    /// Fills windows on threads of this scope.
    pub(crate) fn new(scope: &'s Scope<'s, 'e>, filler: Filler<'e>) -> Self {
        Self { scope, filler, under_way: None }
    }

    /// Begins with a window; the one before must have ended.
    pub(crate) fn begin(&mut self, window: Window) {
        if !window.files.is_empty() {
            let filler = self.filler;
            self.under_way = Some(self.scope.spawn(move || filler.fill(&window)));
        }
    }

    /// Waits until the window that was begun is filled.
    pub(crate) fn end(&mut self) -> Result<Lost> {
        let Some(filled) = self.under_way.take() else { return Ok(Lost::new()) };
        filled.join().map_err(|_| Error::Invalid("a writing thread stopped".to_owned())).flatten()
    }
}

/// Fills windows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filler<'a> {
    pub(crate) supply: &'a dyn Supply,
    pub(crate) writer: Writer<'a>,
    pub(crate) monitor: &'a dyn Monitor,
    pub(crate) threads: usize,
    /// Counts what is written.
    pub(crate) bytes: &'a AtomicU64,
}

impl Filler<'_> {
    /// Fetches and writes what a window wants.
    fn fill(&self, window: &Window) -> Result<Lost> {
        let broken: Mutex<Option<Error>> = Mutex::new(None);
        let lost: Mutex<BTreeMap<usize, String>> = Mutex::default();
        let fetched = self.supply.fetch(&window.wanted, self.threads, &|token, bytes| {
            let Some(spot) = usize::try_from(token).ok().and_then(|number| window.spots.get(number)) else {
                return Err(chronos_store::Error::Invalid(format!("chunk {token} was not wanted")));
            };
            let lose = |why: &str| {
                lost.lock().unwrap_or_else(PoisonError::into_inner).insert(spot.file, why.to_owned());
                Ok(())
            };
            if bytes.len() != spot.len as usize {
                return lose("a chunk of it has another length than the tree says");
            }
            self.write(window, spot, bytes).map_err(|e| {
                let why = e.to_string();
                broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(e);
                chronos_store::Error::Refused(why)
            })
        });
        if let Some(e) = broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(e);
        }
        let mut lost = lost.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (wanted, error) in fetched? {
            let number = usize::try_from(wanted.token).unwrap_or(usize::MAX);
            if let Some(spot) = window.spots.get(number) {
                lost.entry(spot.file).or_insert_with(|| error.to_string());
            }
        }
        self.monitor.advance(window.files.len() as u64, 0);
        let named = |(number, why)| Some((Arc::clone(window.files.get(number)?), why));
        Ok(lost.into_iter().filter_map(named).collect())
    }

    /// Writes what goes to one place.
    fn write(&self, window: &Window, spot: &Spot, bytes: &[u8]) -> Result<()> {
        let Some(target) = window.files.get(spot.file) else { return Ok(()) };
        check_cancelled(self.monitor)?;
        self.writer.write(target, bytes, spot.offset)?;
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.monitor.advance(0, bytes.len() as u64);
        Ok(())
    }
}
