//! Builds the units of a plan beside their places: folders, contents in windows, links, attributes last.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chronos_store::{Monitor, Wanted, check_cancelled};
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::node::{Content, Extent, NodeKind};
use crate::path::TreePath;
use crate::record::PathError;
use crate::restore::exchange;
use crate::restore::metadata::{Attributes, Owners, Tally};
use crate::restore::options::Strategy;
use crate::restore::place::Place;
use crate::restore::plan::{Plan, Planned, pieces};
use crate::restore::select::Selection;
use crate::restore::supply::Supply;
use crate::restore::verify::{self, Check};

/// Most chunks wanted at once, a quarter of what one fetch takes: about 30 MB with what is kept for comparing.
const WINDOW: usize = chronos_store::FETCH_MAX / 4;
/// Most files kept open at once.
const OPEN_FILES_MAX: usize = 256;
/// Smallest run of zeros that becomes a hole: a block of every usual file system.
const HOLE_BYTES: usize = 4096;
/// Zeros written at once.
const ZEROS: &[u8] = &[0; 1 << 16];

/// A file of the present window.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) entry: usize,
    pub(crate) staged: TreePath,
    pub(crate) inode: u64,
}

/// Where a wanted chunk goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    /// Number of the file in the window.
    pub(crate) file: usize,
    pub(crate) offset: u64,
}

/// What one window holds.
#[derive(Debug, Default)]
pub(crate) struct Window {
    pub(crate) files: Vec<Target>,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) spots: Vec<Spot>,
    /// Ranges without data: number of the file, offset, length.
    pub(crate) blanks: Vec<(usize, u64, u64)>,
}

/// Builds.
#[derive(Debug)]
pub(crate) struct Builder<'a> {
    pub(crate) place: &'a Place,
    pub(crate) plan: &'a Plan,
    pub(crate) supply: &'a dyn Supply,
    pub(crate) selection: &'a Selection,
    pub(crate) owners: &'a Owners,
    pub(crate) monitor: &'a dyn Monitor,
    pub(crate) strategy: Strategy,
    pub(crate) sparse: bool,
    pub(crate) verify: bool,
    pub(crate) threads: usize,
    pub(crate) tally: Tally,
    /// Entries that could not be built, and why.
    pub(crate) failed: HashMap<usize, String>,
    pub(crate) problems: Vec<PathError>,
    pub(crate) damaged: bool,
    pub(crate) files: u64,
    pub(crate) bytes: AtomicU64,
    pub(crate) open: OpenFiles,
}

impl Builder<'_> {
    /// Builds everything; nothing is in its place yet.
    pub(crate) fn run(&mut self) -> Result<()> {
        self.folders()?;
        self.contents()?;
        self.hard_links()?;
        self.attributes()
    }

    fn error(&self, path: &TreePath, e: impl Into<io::Error>) -> Error {
        self.place.error(path, e)
    }

    fn folders(&self) -> Result<()> {
        for entry in self.plan.entries.iter().filter(|e| e.is_dir()) {
            if let Some(staged) = self.plan.staged(entry) {
                self.place.make_folder(&staged).map_err(|e| self.error(&entry.path, e))?;
            }
        }
        Ok(())
    }

    /// Goes through the tree once more, for the extents; the plan keeps none.
    fn contents(&mut self) -> Result<()> {
        let mut window = Window::default();
        let mut last = None;
        for entry in self.supply.entries(&self.selection.base) {
            // What cannot be read was named when the plan was made.
            let Ok((origin, node)) = entry else { continue };
            let Ok(target) = self.selection.target(&origin) else { continue };
            let Some(at) = self.plan.find(&target).filter(|at| last < Some(*at)) else { continue };
            last = Some(at);
            let Some(entry) = self.plan.entries.get(at) else { continue };
            let same_kind = entry
                .node
                .as_ref()
                .is_some_and(|n| std::mem::discriminant(&n.kind) == std::mem::discriminant(&node.kind));
            let Some(staged) = self.plan.staged(entry).filter(|_| entry.link.is_none() && same_kind) else {
                continue;
            };
            check_cancelled(self.monitor)?;
            self.monitor.item(origin.as_bytes());
            match &node.kind {
                NodeKind::Dir | NodeKind::Socket => {}
                NodeKind::File(content) => self.file(at, &staged, content, &mut window)?,
                kind => self.special(at, &staged, kind)?,
            }
        }
        self.flush(&mut window)
    }

    fn special(&mut self, at: usize, staged: &TreePath, kind: &NodeKind) -> Result<()> {
        let made = match kind {
            NodeKind::Symlink(target) => self.place.make_symlink(staged, target),
            NodeKind::Fifo => self.place.make_special(staged, FileType::Fifo, 0),
            NodeKind::CharDevice { rdev } => {
                self.place.make_special(staged, FileType::CharacterDevice, *rdev)
            }
            NodeKind::BlockDevice { rdev } => self.place.make_special(staged, FileType::BlockDevice, *rdev),
            NodeKind::File(_) | NodeKind::Dir | NodeKind::Socket => return Ok(()),
        };
        match made {
            Ok(()) => {
                self.files += 1;
                self.monitor.advance(1, 0);
                Ok(())
            }
            Err(e) if e.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
                self.fail(at, format!("not restored: {e} (only root can make devices)"));
                Ok(())
            }
            Err(e) => Err(self.error(staged, e)),
        }
    }

    fn fail(&mut self, at: usize, why: String) {
        if let Some(entry) = self.plan.entries.get(at) {
            self.monitor.left_out(&format!("{}: {why}", entry.path));
            self.problems.push(PathError { path: self.place.show(&entry.path), error: why.clone() });
        }
        self.failed.insert(at, why);
    }

    /// Makes the file in its full length, all of it a hole, and asks for its chunks.
    fn file(&mut self, at: usize, staged: &TreePath, content: &Content, window: &mut Window) -> Result<()> {
        let error = |e: io::Error| self.place.error(staged, e);
        let total = pieces(content).last().map_or(0, |(offset, extent)| {
            offset.saturating_add(match extent {
                Extent::Data { len, .. } => u64::from(len),
                Extent::Hole { len } | Extent::Zero { len } => len,
            })
        });
        if total != content.size {
            let why = "its pieces do not add up to its size".to_owned();
            return self.damage(at, None, why);
        }
        let file = self.place.make_file(staged).map_err(error)?;
        file.set_len(content.size).map_err(error)?;
        let inode = file.metadata().map_err(error)?.ino();
        self.open.insert(staged, file);
        self.files += 1;
        window.files.push(Target { entry: at, staged: staged.clone(), inode });
        for (offset, extent) in pieces(content) {
            let number = window.files.len() - 1;
            match extent {
                Extent::Data { id, .. } => {
                    window.wanted.push(Wanted { id, token: window.spots.len() as u64 });
                    window.spots.push(Spot { file: number, offset });
                }
                Extent::Hole { len } => window.blanks.push((number, offset, len)),
                Extent::Zero { len } => {
                    if !self.sparse {
                        self.zeros(window, number, offset, len)?;
                    }
                    window.blanks.push((number, offset, len));
                }
            }
            if window.wanted.len() >= WINDOW {
                self.flush(window)?;
                if self.failed.contains_key(&at) {
                    return Ok(());
                }
                window.files.push(Target { entry: at, staged: staged.clone(), inode });
            }
        }
        if window.files.len() >= WINDOW / 8 { self.flush(window) } else { Ok(()) }
    }

    fn zeros(&self, window: &Window, number: usize, mut offset: u64, len: u64) -> Result<()> {
        let end = offset.saturating_add(len);
        let Some(target) = window.files.get(number) else { return Ok(()) };
        let file = self.open.get(self.place, target).map_err(|e| self.error(&target.staged, e))?;
        while offset < end {
            let step = (end - offset).min(ZEROS.len() as u64);
            let piece = ZEROS.get(..step as usize).unwrap_or(ZEROS);
            file.write_all_at(piece, offset).map_err(|e| self.error(&target.staged, e))?;
            offset += step;
        }
        self.bytes.fetch_add(len, Ordering::Relaxed);
        Ok(())
    }

    /// Fetches and writes what a window wants, reads it back, and empties it.
    fn flush(&mut self, window: &mut Window) -> Result<()> {
        if window.files.is_empty() {
            return Ok(());
        }
        check_cancelled(self.monitor)?;
        let window = std::mem::take(window);
        let check = Check::new(window.wanted.len(), self.verify);
        let broken: Mutex<Option<Error>> = Mutex::new(None);
        let fetched = self.supply.fetch(&window.wanted, self.threads, &|token, bytes| {
            let done = self.write(&window, token, bytes, &check);
            done.map_err(|e| {
                let why = e.to_string();
                broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(e);
                chronos_store::Error::Refused(why)
            })
        });
        if let Some(e) = broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(e);
        }
        let mut lost: HashMap<usize, String> = HashMap::new();
        for (wanted, error) in fetched? {
            if let Some(spot) = window.spots.get(wanted.token as usize) {
                lost.entry(spot.file).or_insert_with(|| error.to_string());
            }
        }
        if self.verify {
            verify::contents(self, &window, &check, &lost)?;
        }
        for (number, why) in lost {
            if let Some(target) = window.files.get(number) {
                self.damage(target.entry, Some(target), why)?;
            }
        }
        self.monitor.advance(window.files.len() as u64, 0);
        Ok(())
    }

    /// Writes one chunk at its place.
    fn write(&self, window: &Window, token: u64, bytes: &[u8], check: &Check) -> Result<()> {
        let number = usize::try_from(token).unwrap_or(usize::MAX);
        let (Some(spot), Some(_)) = (window.spots.get(number), window.wanted.get(number)) else {
            return Err(Error::Invalid(format!("a chunk came back that was not wanted ({token})")));
        };
        let Some(target) = window.files.get(spot.file) else { return Ok(()) };
        check_cancelled(self.monitor)?;
        let file = self.open.get(self.place, target).map_err(|e| self.error(&target.staged, e))?;
        let error = |e| self.error(&target.staged, e);
        if self.sparse {
            write_with_holes(&file, bytes, spot.offset).map_err(error)?;
        } else {
            file.write_all_at(bytes, spot.offset).map_err(error)?;
        }
        check.remember(number, bytes);
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.monitor.advance(0, bytes.len() as u64);
        Ok(())
    }

    /// A file that the repository cannot give: a new place goes on without it, all else ends here.
    fn damage(&mut self, at: usize, target: Option<&Target>, why: String) -> Result<()> {
        let shown = self.plan.entries.get(at).map(|e| e.path.to_string()).unwrap_or_default();
        if self.strategy != Strategy::NewLocation {
            return Err(Error::Damaged { what: shown, why });
        }
        if let Some(target) = target {
            self.open.remove(&target.staged);
            match self.place.remove_file(&target.staged) {
                Ok(()) => self.files = self.files.saturating_sub(1),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(self.error(&target.staged, e)),
            }
        }
        self.damaged = true;
        if !self.failed.contains_key(&at) {
            self.fail(at, format!("not restored: {why}"));
        }
        Ok(())
    }

    fn hard_links(&mut self) -> Result<()> {
        let plan = self.plan;
        self.open.clear();
        for (at, entry) in plan.entries.iter().enumerate() {
            let Some(first) = entry.link else { continue };
            if let Some(why) = self.failed.get(&first).cloned() {
                self.fail(at, why);
                continue;
            }
            let from = plan.entries.get(first).and_then(|f| plan.staged(f));
            let (Some(from), Some(to)) = (from, plan.staged(entry)) else { continue };
            self.place.make_hard_link(&from, &to).map_err(|e| self.error(&entry.path, e))?;
            self.files += 1;
        }
        Ok(())
    }

    /// Sets the attributes of all that was built, the deepest first.
    fn attributes(&mut self) -> Result<()> {
        let plan = self.plan;
        for (at, entry) in plan.entries.iter().enumerate().rev() {
            if self.failed.contains_key(&at) || entry.link.is_some() {
                continue;
            }
            let Some(staged) = plan.staged(entry) else { continue };
            let want = self.attributes_of(entry, &staged)?;
            exchange::set(self.place, &staged, &want, &self.tally)?;
            if self.verify {
                verify::attributes(self, entry, &staged, &want)?;
            }
        }
        Ok(())
    }

    /// Those of the snapshot, or of an ordinary folder where the snapshot has none.
    fn attributes_of(&self, entry: &Planned, staged: &TreePath) -> Result<Attributes> {
        if let Some(node) = &entry.node {
            return Ok(Attributes::of(node, self.owners));
        }
        let now = self.place.handle(staged).and_then(|h| Attributes::read(&h));
        let now = now.map_err(|e| self.error(&entry.path, e))?;
        Ok(Attributes { mode: 0o755, xattrs: Vec::new(), ..now })
    }

    /// The inodes of the units, in their order.
    pub(crate) fn inodes(&self) -> Result<Vec<Option<u64>>> {
        let look = |path: &TreePath| self.place.look(path).map_err(|e| self.error(path, e));
        self.plan.units.iter().map(|u| Ok(look(&u.temp)?.map(|s| s.inode))).collect()
    }
}

/// Writes all but aligned blocks of zeros.
fn write_with_holes(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    let lead = (HOLE_BYTES - (offset % HOLE_BYTES as u64) as usize) % HOLE_BYTES;
    let (head, body) = bytes.split_at(lead.min(bytes.len()));
    let blocks = std::iter::once(head).chain(body.chunks(HOLE_BYTES)).filter(|b| !b.is_empty());
    let (mut start, mut at) = (0, 0);
    for block in blocks {
        let is_hole = block.len() == HOLE_BYTES && block.iter().all(|b| *b == 0);
        if is_hole {
            file.write_all_at(bytes.get(start..at).unwrap_or_default(), offset + start as u64)?;
            start = at + block.len();
        }
        at += block.len();
    }
    file.write_all_at(bytes.get(start..).unwrap_or_default(), offset + start as u64)
}

/// Files kept open for writing, a bounded number, the longest unused closed first.
#[derive(Debug, Default)]
pub(crate) struct OpenFiles {
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    by_path: HashMap<TreePath, (Arc<File>, u64)>,
    clock: u64,
}

impl OpenFiles {
    fn lock(&self) -> std::sync::MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, path: &TreePath, file: File) -> Arc<File> {
        let file = Arc::new(file);
        let mut files = self.lock();
        if files.by_path.len() >= OPEN_FILES_MAX {
            // Half at once, so that closing costs little per file.
            let mut ages: Vec<u64> = files.by_path.values().map(|(_, used)| *used).collect();
            ages.sort_unstable();
            let middle = ages.get(ages.len() / 2).copied().unwrap_or(0);
            files.by_path.retain(|_, (_, used)| *used > middle);
        }
        files.clock += 1;
        let now = files.clock;
        files.by_path.insert(path.clone(), (Arc::clone(&file), now));
        file
    }

    /// The open file, opened again if it was closed meanwhile.
    pub(crate) fn get(&self, place: &Place, target: &Target) -> io::Result<Arc<File>> {
        {
            let mut files = self.lock();
            files.clock += 1;
            let now = files.clock;
            if let Some((file, used)) = files.by_path.get_mut(&target.staged) {
                *used = now;
                return Ok(Arc::clone(file));
            }
        }
        let file = place.open_file(&target.staged, target.inode, OFlags::RDWR)?;
        Ok(self.insert(&target.staged, file))
    }

    fn remove(&self, path: &TreePath) {
        self.lock().by_path.remove(path);
    }

    fn clear(&self) {
        self.lock().by_path.clear();
    }
}
