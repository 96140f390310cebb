//! Builds the units of a plan beside their places: folders and contents in one walk over the tree, then further
//! names of the same files, then [`finish`](super::finish) for folders' attributes and reading back.
//!
//! The walk makes folders and collects what files want in a [`Window`], while other threads fill the one before: they
//! make the files, write them, and set their attributes with the last piece. A file costs six system calls that way.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chronos_store::{Monitor, check_cancelled};
use rustix::fs::FileType;
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::node::{Content, Extent, Node, NodeKind};
use crate::path::TreePath;
use crate::record::PathError;
use crate::restore::chosen::{Chosen, Walk};
use crate::restore::fill::{Filler, Filling, Window};
use crate::restore::finish::Remembered;
use crate::restore::metadata::{Attributes, Owners, Tally};
use crate::restore::options::Strategy;
use crate::restore::place::Place;
use crate::restore::plan::Plan;
use crate::restore::select::Selection;
use crate::restore::supply::Supply;
use crate::restore::target::{Target, Writer};
use crate::restore::verify;

/// Whether an error says that what was asked for cannot be had here, and not that it failed.
pub(crate) fn is_impossible(error: &io::Error) -> bool {
    [Errno::PERM, Errno::NOSYS, Errno::OPNOTSUPP]
        .iter()
        .any(|e| error.raw_os_error() == Some(e.raw_os_error()))
}

/// Tells where what belongs to a unit is built; asked in the order of paths.
#[derive(Debug)]
pub(crate) struct Units<'p> {
    plan: &'p Plan,
    by_path: HashMap<&'p TreePath, usize>,
    current: Option<usize>,
}

impl<'p> Units<'p> {
    pub(crate) fn new(plan: &'p Plan) -> Self {
        let by_path = plan.units.iter().enumerate().map(|(number, unit)| (&unit.path, number)).collect();
        Self { plan, by_path, current: None }
    }

    /// Where an entry is built; `None`: it is not.
    pub(crate) fn staged(&mut self, path: &TreePath) -> Option<TreePath> {
        let below = |number: usize| {
            let unit = self.plan.units.get(number)?;
            unit.temp.join(path.strip(&unit.path)?).ok()
        };
        if let Some(staged) = self.current.and_then(below) {
            return Some(staged);
        }
        let current = self.by_path.get(path).copied();
        let staged = current.and_then(below);
        self.current = current;
        staged
    }

    /// Whether this path is a unit of its own, and so beside what others may look into.
    pub(crate) fn is_unit(&self, path: &TreePath) -> bool {
        self.by_path.contains_key(path)
    }
}

/// Builds.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "what was asked for and what was found, each apart")]
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
    /// Whether files are compared as they are written, because they are built in memory.
    pub(crate) at_once: bool,
    pub(crate) threads: usize,
    pub(crate) tally: &'a Tally,
    /// Attributes that were set and read back as something else.
    pub(crate) unkept: &'a Tally,
    /// Further names of files that became files of their own.
    pub(crate) copied: BTreeSet<TreePath>,
    /// Entries that could not be built, and why.
    pub(crate) failed: BTreeMap<TreePath, String>,
    /// All that [`finish`](super::finish) has to see again, if that is known.
    pub(crate) remembered: Option<Remembered>,
    pub(crate) problems: Vec<PathError>,
    pub(crate) damaged: bool,
    /// Regular files, each name of one.
    pub(crate) files: u64,
    pub(crate) bytes: &'a AtomicU64,
}

impl<'a> Builder<'a> {
    /// Builds everything; nothing is in its place yet.
    pub(crate) fn run(&mut self) -> Result<()> {
        let in_memory = self.place.is_memory(&self.unit_folders());
        self.at_once = self.verify && in_memory.map_err(|e| self.error(&TreePath::root(), e))?;
        self.remembered = (self.at_once || !self.verify).then(Remembered::default);
        self.contents()?;
        self.second_names()?;
        self.finish()
    }

    pub(crate) fn error(&self, path: &TreePath, e: impl Into<io::Error>) -> Error {
        self.place.error(path, e)
    }

    /// What the tree says next; damage that the plan has named already is passed over.
    pub(crate) fn known(&self, chosen: Result<Chosen>) -> Result<Option<Chosen>> {
        match chosen {
            Ok(chosen) => Ok(Some(chosen)),
            Err(e) if self.plan.damaged && e.kind() == crate::ErrorKind::Damaged => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Whether an entry is another name of one that is built before it.
    pub(crate) fn is_further_name(&self, chosen: &Chosen) -> bool {
        chosen.node.as_ref().is_some_and(|n| n.links > 1)
            && !self.copied.contains(&chosen.path)
            && self
                .plan
                .find(&chosen.path)
                .and_then(|at| self.plan.entries.get(at))
                .is_some_and(|e| e.link.is_some())
    }

    /// The walk makes folders and collects a window while the one before is filled.
    fn contents(&mut self) -> Result<()> {
        let filler = self.filler();
        std::thread::scope(|scope| self.walk(&mut Filling::new(scope, filler)))
    }

    fn walk(&mut self, filling: &mut Filling<'_, '_>) -> Result<()> {
        let mut units = Units::new(self.plan);
        let mut window = Window::default();
        let mut parent: Option<(TreePath, Arc<OwnedFd>)> = None;
        for chosen in Walk::new(self.supply, self.selection) {
            let Some(chosen) = self.known(chosen)? else { continue };
            let Some(staged) = units.staged(&chosen.path) else { continue };
            check_cancelled(self.monitor)?;
            self.monitor.item(chosen.path.as_bytes());
            let Some(node) = chosen.node.as_ref().filter(|n| !n.is_dir()) else {
                self.folder(&chosen.path, &staged, &units)?;
                self.remember(chosen);
                continue;
            };
            if self.is_further_name(&chosen) {
                continue;
            }
            match &node.kind {
                NodeKind::Dir | NodeKind::Socket => {}
                NodeKind::File(content) => {
                    let above = staged.parent().unwrap_or_default();
                    let known = parent.as_ref().filter(|(path, _)| *path == above);
                    let folder = if let Some((_, folder)) = known {
                        Arc::clone(folder)
                    } else {
                        let folder = self.place.folder(&above).map_err(|e| self.error(&above, e))?;
                        parent = Some((above, Arc::clone(&folder)));
                        window.folders += 1;
                        folder
                    };
                    let target = Target::new(
                        &chosen.path,
                        &staged,
                        folder,
                        content,
                        Attributes::of(node, self.owners),
                        units.is_unit(&chosen.path),
                    )
                    .compared_at_once(self.at_once && verify::is_plain(content));
                    self.file(Arc::new(target), content, &mut window, filling)?;
                }
                kind => self.special(&chosen.path, &staged, kind, node)?,
            }
            self.remember(chosen);
            if window.is_full() {
                self.fill(&mut window, filling)?;
                parent = None;
            }
        }
        self.fill(&mut window, filling)?;
        self.filled(filling)
    }

    /// Begins to fill a window, once the one before is filled, and empties it.
    fn fill(&mut self, window: &mut Window, filling: &mut Filling<'_, '_>) -> Result<()> {
        self.filled(filling)?;
        check_cancelled(self.monitor)?;
        filling.begin(std::mem::take(window));
        Ok(())
    }

    /// Waits for the window that is being filled.
    fn filled(&mut self, filling: &mut Filling<'_, '_>) -> Result<()> {
        for (target, why) in filling.end()? {
            self.damage(&target, why)?;
        }
        Ok(())
    }

    fn folder(&self, path: &TreePath, staged: &TreePath, units: &Units<'_>) -> Result<()> {
        let made = self.place.make_folder(staged).and_then(|()| {
            if units.is_unit(path) {
                // What is built inside is to have the snapshot's attributes alone.
                self.place.stop_inheriting(staged)?;
            }
            Ok(())
        });
        made.map_err(|e| self.error(path, e))
    }

    /// Makes what has no content; what this file system or user cannot make is named and left out.
    pub(crate) fn special(
        &mut self,
        path: &TreePath,
        staged: &TreePath,
        kind: &NodeKind,
        node: &Node,
    ) -> Result<()> {
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
                self.monitor.advance(1, 0);
                let want = Attributes::of(node, self.owners);
                super::exchange::set(self.place, staged, &want, self.tally)
            }
            Err(e) if is_impossible(&e) => {
                let is_device = matches!(kind, NodeKind::CharDevice { .. } | NodeKind::BlockDevice { .. });
                let why = if is_device { "only root can make devices" } else { "not on this file system" };
                self.fail(path, format!("not restored: {e} ({why})"));
                Ok(())
            }
            Err(e) => Err(self.error(path, e)),
        }
    }

    pub(crate) fn fail(&mut self, path: &TreePath, why: String) {
        self.monitor.left_out(&format!("{path}: {why}"));
        self.problems.push(PathError { path: self.place.show(path), error: why.clone() });
        self.failed.insert(path.clone(), why);
    }

    fn writer(&self) -> Writer<'a> {
        Writer {
            place: self.place,
            sparse: self.sparse,
            verify: self.verify,
            tally: self.tally,
            unkept: self.unkept,
        }
    }

    fn filler(&self) -> Filler<'a> {
        Filler {
            supply: self.supply,
            writer: self.writer(),
            monitor: self.monitor,
            threads: self.threads,
            bytes: self.bytes,
        }
    }

    /// Asks for the chunks of a file; one that wants none is made at once.
    fn file(
        &mut self,
        target: Arc<Target>,
        content: &Content,
        window: &mut Window,
        filling: &mut Filling<'_, '_>,
    ) -> Result<()> {
        let mut total = 0_u64;
        for extent in &content.extents {
            total = total.saturating_add(extent.len());
        }
        if total != content.size {
            return self.damage(&target, "its pieces do not add up to its size".to_owned());
        }
        self.files += 1;
        window.files.push(Arc::clone(&target));
        for (offset, extent) in content.placed() {
            match extent {
                Extent::Zero { len } if !self.sparse => {
                    self.writer().zeros(&target, offset, *len)?;
                    self.bytes.fetch_add(*len, Ordering::Relaxed);
                }
                _ => window.want(offset, extent),
            }
            if window.has_all_chunks() {
                self.fill(window, filling)?;
                if self.failed.contains_key(&target.path) {
                    return Ok(());
                }
                window.files.push(Arc::clone(&target));
            }
        }
        self.writer().release(&target)
    }

    /// A file that the repository cannot give: a new place goes on without it, all else ends here.
    fn damage(&mut self, target: &Target, why: String) -> Result<()> {
        if self.strategy != Strategy::NewLocation {
            return Err(Error::Damaged { what: target.path.to_string(), why });
        }
        if self.writer().give_up(target)? {
            self.files = self.files.saturating_sub(1);
        }
        self.damaged = true;
        if !self.failed.contains_key(&target.path) {
            self.fail(&target.path, format!("not restored: {why}"));
        }
        Ok(())
    }

    /// The folders in which units are built.
    pub(crate) fn unit_folders(&self) -> Vec<TreePath> {
        let folders: BTreeSet<_> = self.plan.units.iter().filter_map(|u| u.temp.parent()).collect();
        folders.into_iter().collect()
    }

    /// The inodes of the units, in their order.
    pub(crate) fn inodes(&self) -> Result<Vec<Option<u64>>> {
        let look = |path: &TreePath| self.place.look(path).map_err(|e| self.error(path, e));
        self.plan.units.iter().map(|u| Ok(look(&u.temp)?.map(|s| s.inode))).collect()
    }
}
