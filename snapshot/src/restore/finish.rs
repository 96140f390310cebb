//! The last walk of a restore over what it built: reads everything back, and gives folders their attributes. Where files
//! were compared as they were written it goes over what was remembered for it, which is little, instead of the tree.
//!
//! A folder gets its attributes when the walk leaves it: nothing is made in it any more. Files are opened by the walk
//! and read by several threads, so that a folder that may no longer be entered stops nobody.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use chronos_store::check_cancelled;

use crate::error::{Error, Result};
use crate::node::{Content, Node, NodeKind};
use crate::path::TreePath;
use crate::restore::chosen::{Chosen, Walk};
use crate::restore::exchange;
use crate::restore::metadata::Attributes;
use crate::restore::verify::{self, Restored, Verifier};
use crate::restore::write::{Builder, Units};

/// Threads that read back: small files wait for the disk one by one, and a disk serves several at once.
const READERS: usize = 4;
/// Files that are handed to a reader at once, and how many such parcels wait at most; all of them are open.
const PARCEL: usize = 16;
const WAITING: usize = 8;

/// Most entries and extents remembered: some 10 MB.
const REMEMBERED_MAX: usize = 1 << 15;

/// What the last walk has to see, in the order of its paths.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    chosen: Vec<Chosen>,
    /// Entries and their extents.
    size: usize,
}

/// A folder that the walk is in.
struct Entered {
    path: TreePath,
    staged: TreePath,
    node: Option<Node>,
}

impl<'a> Builder<'a> {
    /// Keeps what was just built for the last walk, unless that has nothing to do with it; forgets all if it is too much.
    pub(crate) fn remember(&mut self, chosen: Chosen) {
        let Some(remembered) = &self.remembered else { return };
        let extents = match chosen.node.as_ref().map(|n| &n.kind) {
            Some(NodeKind::File(_)) if !self.verify => return,
            Some(NodeKind::File(content)) if self.was_compared(&chosen.path, content) => return,
            Some(NodeKind::File(content)) => content.extents.len(),
            _ => 0,
        };
        if remembered.size + extents >= REMEMBERED_MAX {
            self.remembered = None;
        } else if let Some(remembered) = &mut self.remembered {
            remembered.size += 1 + extents;
            remembered.chosen.push(chosen);
        }
    }

    /// The entries of the last walk.
    fn last_entries(&mut self) -> Box<dyn Iterator<Item = Result<Chosen>> + 'a> {
        match self.remembered.take() {
            // A further name that became a file of its own is to be read back too, and was built later.
            Some(remembered) if self.copied.is_empty() => Box::new(remembered.chosen.into_iter().map(Ok)),
            _ => Box::new(Walk::new(self.supply, self.selection)),
        }
    }

    /// Reads back what was built if that is wanted, and sets the attributes of folders.
    pub(crate) fn finish(&mut self) -> Result<()> {
        let entries = self.last_entries();
        self.finish_all(entries)
    }

    fn finish_all(&self, entries: impl Iterator<Item = Result<Chosen>>) -> Result<()> {
        if !self.verify {
            return self.last_walk(entries, None);
        }
        // What is not on the disk yet cannot be read from there.
        let root = TreePath::root();
        self.place.sync(&self.unit_folders()).map_err(|e| self.error(&root, e))?;
        let verifier = Verifier {
            place: self.place,
            supply: self.supply,
            owners: self.owners,
            is_complete: self.tally.is_empty(),
            unkept: self.unkept,
            past_cache: !self.at_once,
        };
        std::thread::scope(|scope| {
            let (send, receive) = sync_channel(WAITING);
            let receive = Arc::new(Mutex::new(receive));
            let spawn = |receive: Arc<_>| scope.spawn(|| read_back(&verifier, receive));
            let readers: Vec<_> = (0..READERS).map(|_| spawn(Arc::clone(&receive))).collect();
            // Once no reader is left the walk is told so.
            drop(receive);
            let walked = self.last_walk(entries, Some(send));
            // All are joined before the first error is looked at; a reader that failed is why the walk stopped.
            let ended: Vec<Result<()>> = readers
                .into_iter()
                .map(|r| r.join().map_err(|_| Error::Invalid("reading back stopped".to_owned())).flatten())
                .collect();
            ended.into_iter().collect::<Result<()>>().and(walked)
        })
    }

    fn last_walk(
        &self,
        entries: impl Iterator<Item = Result<Chosen>>,
        readers: Option<SyncSender<Vec<Restored>>>,
    ) -> Result<()> {
        let mut units = Units::new(self.plan);
        let mut inside: Vec<Entered> = Vec::new();
        let mut parcel = Vec::new();
        for chosen in entries {
            let Some(chosen) = self.known(chosen)? else { continue };
            while inside.last().is_some_and(|f| chosen.path.strip(&f.path).is_none()) {
                self.leave(inside.pop())?;
            }
            let Some(staged) = units.staged(&chosen.path) else { continue };
            if self.failed.contains_key(&chosen.path) || self.is_further_name(&chosen) {
                continue;
            }
            check_cancelled(self.monitor)?;
            if chosen.is_dir() {
                inside.push(Entered { path: chosen.path, staged, node: chosen.node });
                continue;
            }
            let (Some(readers), Some(node)) = (&readers, chosen.node) else { continue };
            match &node.kind {
                NodeKind::File(content) if self.was_compared(&chosen.path, content) => {}
                NodeKind::File(_) => {
                    let file = self.place.open_to_read(&staged).map_err(|e| self.error(&chosen.path, e))?;
                    parcel.push(Restored { path: chosen.path, file, node });
                }
                NodeKind::Socket | NodeKind::Dir => {}
                _ => self.check_attributes(&chosen.path, &staged, &node)?,
            }
            if parcel.len() >= PARCEL && readers.send(std::mem::take(&mut parcel)).is_err() {
                // The reason is the readers' to tell.
                return Ok(());
            }
        }
        while let Some(folder) = inside.pop() {
            self.leave(Some(folder))?;
        }
        if let Some(readers) = readers {
            // An error means that the readers have stopped, for a reason that is theirs to tell.
            drop(readers.send(parcel));
        }
        Ok(())
    }

    /// Whether a file was read back already when it was written.
    fn was_compared(&self, path: &TreePath, content: &Content) -> bool {
        self.at_once && verify::is_plain(content) && !self.copied.contains(path)
    }

    fn leave(&self, folder: Option<Entered>) -> Result<()> {
        let Some(Entered { path, staged, node }) = folder else { return Ok(()) };
        let error = |e| self.error(&path, e);
        let handle = self.place.handle(&staged).map_err(error)?;
        let want = if let Some(node) = &node {
            Attributes::of(node, self.owners)
        } else {
            // An ordinary folder where the snapshot has no entry.
            let now = Attributes::read(&handle).map_err(error)?;
            Attributes { mode: 0o755, xattrs: Vec::new(), ..now }
        };
        exchange::set_by(self.place, &staged, &handle, &want, self.tally)?;
        match &node {
            Some(node) if self.verify => {
                verify::attributes(&handle, node, &want, self.tally.is_empty(), self.unkept).map_err(error)
            }
            _ => Ok(()),
        }
    }

    fn check_attributes(&self, path: &TreePath, staged: &TreePath, node: &Node) -> Result<()> {
        let handle = self.place.handle(staged).map_err(|e| self.error(path, e))?;
        let want = Attributes::of(node, self.owners);
        verify::attributes(&handle, node, &want, self.tally.is_empty(), self.unkept)
            .map_err(|e| self.error(path, e))
    }
}

fn read_back(verifier: &Verifier<'_>, receive: Arc<Mutex<Receiver<Vec<Restored>>>>) -> Result<()> {
    let mut buffer = Vec::new();
    loop {
        let parcel = receive.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(parcel) = parcel else { return Ok(()) };
        for restored in parcel {
            verifier.file(&restored, &mut buffer)?;
        }
    }
}
