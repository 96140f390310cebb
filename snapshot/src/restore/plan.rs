//! Decides what is done with each entry, from the snapshot and from what stands in the target. Changes nothing.
//!
//! A *unit* is the largest new thing: a whole new subtree, or one entry that takes another's place. It is built under
//! a name of its own beside its place and later put there by one rename, so that undoing is one rename too.

use std::collections::{BTreeSet, HashMap};

use rustix::fs::FileType;

use crate::error::{Error, Result};
use crate::node::{Content, Node, NodeKind};
use crate::path::{TreePath, printable};
use crate::record::PathError;
use crate::restore::chosen::{Chosen, Walk};
use crate::restore::links;
use crate::restore::metadata::{Attributes, Owners};
use crate::restore::options::{Overwrite, Strategy};
use crate::restore::place::Place;
use crate::restore::select::Selection;
use crate::restore::undoes::Undoes;
use crate::source::Stat;

/// What is done with one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing.
    Keep,
    /// It stays and gets the snapshot's attributes.
    Attributes,
    /// It is built inside the unit of that number.
    Build(usize),
}

/// One entry of the plan.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    /// Where, in the target.
    pub(crate) path: TreePath,
    /// What, without its extents; `None`: a folder that the snapshot has no entry for.
    pub(crate) node: Option<Node>,
    /// Hash of the extents of a file with several names.
    pub(crate) digest: Option<[u8; 32]>,
    pub(crate) action: Action,
    /// What stands there.
    pub(crate) found: Option<Stat>,
    /// A folder that is there only because of what is below it: if it exists it is left alone.
    pub(crate) leads: bool,
    /// The entry that is built first and of which this is another name.
    pub(crate) link: Option<usize>,
}

impl Planned {
    pub(crate) fn is_dir(&self) -> bool {
        self.node.as_ref().is_none_or(Node::is_dir)
    }
}

/// The largest new thing.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub(crate) path: TreePath,
    pub(crate) temp: TreePath,
    pub(crate) aside: TreePath,
    /// The inode that stands at `path`.
    pub(crate) old: Option<u64>,
}

/// Something that the snapshot lacks.
#[derive(Clone, Debug)]
pub(crate) struct Removal {
    pub(crate) path: TreePath,
    pub(crate) aside: TreePath,
    pub(crate) old: u64,
}

/// Everything that will be done.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// In the order of their paths: what has a place of its own, and files with several names. What else lies inside
    /// a unit follows from the snapshot alone and is only counted, so that a plan stays small.
    pub(crate) entries: Vec<Planned>,
    /// How many entries are built inside units besides those that are named.
    pub(crate) inside: u64,
    /// The paths of those, where somebody wants to see them.
    pub(crate) creates: Vec<TreePath>,
    pub(crate) units: Vec<Unit>,
    pub(crate) removals: Vec<Removal>,
    pub(crate) problems: Vec<PathError>,
    /// Whether part of the snapshot cannot be read.
    pub(crate) damaged: bool,
    pub(crate) notes: Vec<String>,
    pub(crate) bytes: u64,
    /// Whether any entry was chosen.
    pub(crate) chosen: bool,
}

impl Plan {
    /// The number of the entry at a path of the target.
    pub(crate) fn find(&self, path: &TreePath) -> Option<usize> {
        self.entries.binary_search_by(|e| e.path.cmp(path)).ok()
    }

    /// Where an entry is built.
    pub(crate) fn staged(&self, entry: &Planned) -> Option<TreePath> {
        let Action::Build(unit) = entry.action else { return None };
        let unit = self.units.get(unit)?;
        unit.temp.join(entry.path.strip(&unit.path)?).ok()
    }
}

/// Where the part of the tree being read goes.
#[derive(Clone, Debug)]
enum Folder {
    Existing,
    Inside(usize),
}

/// Makes a plan.
pub(crate) struct Planner<'a> {
    pub(crate) place: &'a Place,
    pub(crate) selection: &'a Selection,
    pub(crate) strategy: Strategy,
    pub(crate) mode: Overwrite,
    pub(crate) owners: &'a Owners,
    /// Begins the names of what is built or moved aside.
    pub(crate) prefix: String,
    /// `(device, inode)` of folders that are never removed: the repository and the program's own.
    pub(crate) own: Vec<(u64, u64)>,
    /// What the snapshot has, but not to restore (sockets), or could not read, as it is shown to people: it is never
    /// removed from the target.
    pub(crate) spared: BTreeSet<String>,
    /// The restore that is undone: only what it changed is restored, and only what it made is removed.
    pub(crate) undoes: Option<Undoes>,
    /// Whether the target is the original place.
    pub(crate) in_place: bool,
    /// Whether the target does not exist yet.
    pub(crate) absent: bool,
    /// Whether every path is to be shown.
    pub(crate) shows: bool,
    pub(crate) plan: Plan,
    pub(crate) conflicts: Vec<String>,
    /// The folders that lead to where the work is.
    folders: Vec<(TreePath, Folder)>,
    /// Nothing below this path is restored.
    closed: Option<TreePath>,
    names: usize,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(
        place: &'a Place,
        selection: &'a Selection,
        owners: &'a Owners,
        strategy: Strategy,
        mode: Overwrite,
    ) -> Self {
        Self {
            place,
            selection,
            strategy,
            mode,
            owners,
            prefix: String::new(),
            own: Vec::new(),
            spared: BTreeSet::new(),
            undoes: None,
            in_place: false,
            absent: false,
            shows: false,
            plan: Plan::default(),
            conflicts: Vec::new(),
            folders: vec![(TreePath::root(), Folder::Existing)],
            closed: None,
            names: 0,
        }
    }

    /// Plans all entries.
    pub(crate) fn run(mut self, mut walk: Walk<'_>) -> Result<Plan> {
        for chosen in &mut walk {
            match chosen.and_then(|chosen| self.place_one(chosen)) {
                Ok(()) => {}
                Err(e) if e.kind() == crate::ErrorKind::Damaged && self.strategy == Strategy::NewLocation => {
                    self.plan.damaged = true;
                    self.problem("part of the snapshot".to_owned(), &e.to_string());
                }
                Err(e) => return Err(e),
            }
        }
        self.plan.chosen = walk.any;
        if !self.conflicts.is_empty() {
            let shown: Vec<_> = self.conflicts.iter().take(5).map(String::as_str).collect();
            return Err(Error::Refused(format!(
                "{} in the way, nothing was changed: {}",
                self.conflicts.len(),
                shown.join("; ")
            )));
        }
        let root = if self.absent { None } else { self.place.look(&TreePath::root()).ok().flatten() };
        links::group(&mut self.plan, self.mode, root.map(|r| r.dev));
        self.give_units()?;
        if self.strategy == Strategy::Replace && !self.absent {
            self.extras()?;
        }
        Ok(self.plan)
    }

    fn problem(&mut self, path: String, error: &str) {
        self.plan.problems.push(PathError { path, error: error.to_owned() });
    }

    fn place_one(&mut self, chosen: Chosen) -> Result<()> {
        let Chosen { path, node, leads } = chosen;
        if self.closed.as_ref().is_some_and(|c| path.strip(c).is_some()) {
            return Ok(());
        }
        self.closed = None;
        while self.folders.last().is_some_and(|(f, _)| path.strip(f).is_none()) {
            self.folders.pop();
        }
        if let Some(Node { kind: NodeKind::Socket, .. }) = &node {
            self.plan
                .notes
                .push(format!("{}: a socket is not restored; its program makes it", self.place.show(&path)));
            self.spared.extend(self.selection.shown_origin(&path));
            return Ok(());
        }
        let inside = match self.folders.last() {
            Some((_, Folder::Inside(unit))) if !path.is_root() => Some(*unit),
            _ => None,
        };
        if inside.is_none() && self.stays(&path, node.as_ref())? {
            return Ok(());
        }
        let leads = leads || inside.is_none() && self.only_leads(&path, node.as_ref())?;
        match inside {
            Some(unit) => {
                self.inside(path, node, unit, leads);
                Ok(())
            }
            None => self.decide(path, node, leads),
        }
    }

    /// Plans an entry of a folder that is built: only names of one file need be known beforehand.
    fn inside(&mut self, path: TreePath, node: Option<Node>, unit: usize, leads: bool) {
        if node.as_ref().is_some_and(|n| n.links > 1 && !n.is_dir()) {
            return self.push(path, node, Action::Build(unit), None, leads);
        }
        self.plan.inside += 1;
        if let Some(node) = &node {
            self.plan.bytes = self.plan.bytes.saturating_add(node.size());
        }
        if self.shows {
            self.plan.creates.push(path);
        }
    }

    fn push(
        &mut self,
        path: TreePath,
        mut node: Option<Node>,
        action: Action,
        found: Option<Stat>,
        leads: bool,
    ) {
        let mut digest = None;
        if let Some(Node { kind: NodeKind::File(content), links, .. }) = &mut node {
            digest = (*links > 1).then(|| links::digest(content));
            content.extents = Vec::new();
        }
        let entry = Planned { path, node, digest, action, found, leads, link: None };
        if entry.is_dir() {
            let folder = match action {
                Action::Build(unit) => Folder::Inside(unit),
                Action::Keep | Action::Attributes => Folder::Existing,
            };
            self.folders.push((entry.path.clone(), folder));
        }
        self.plan.entries.push(entry);
    }

    /// Plans an entry whose folder exists.
    fn decide(&mut self, path: TreePath, node: Option<Node>, leads: bool) -> Result<()> {
        if self.absent && path.is_root() {
            self.push(path, node, Action::Attributes, None, leads);
            return Ok(());
        }
        let found = if self.absent { Ok(None) } else { self.place.look(&path) };
        let Some(found) = found.map_err(|e| self.place.error(&path, e))? else {
            let unit = self.unit(&path, None)?;
            self.push(path, node, Action::Build(unit), None, leads);
            return Ok(());
        };
        let is_dir = node.as_ref().is_none_or(Node::is_dir);
        match (is_dir, found.is_dir()) {
            (true, true) => {
                let set = !leads && self.strategy != Strategy::Merge && self.mode != Overwrite::Never;
                let action = match &node {
                    Some(node) if set && self.differs(&path, node)? => Action::Attributes,
                    _ => Action::Keep,
                };
                self.push(path, node, action, Some(found), leads);
                Ok(())
            }
            (true, false) | (false, true) => self.in_the_way(path, node, found),
            (false, false) => {
                let Some(node) = node else { return Ok(()) };
                let build = match self.mode {
                    Overwrite::Always => true,
                    Overwrite::Never => false,
                    Overwrite::IfNewer => node.mtime > found.mtime,
                    Overwrite::IfChanged => !self.looks_same(&path, &node, &found)?,
                };
                let action = if build {
                    Action::Build(self.unit(&path, Some(found.inode))?)
                } else if self.mode == Overwrite::IfChanged && self.differs(&path, &node)? {
                    Action::Attributes
                } else {
                    Action::Keep
                };
                self.push(path, Some(node), action, Some(found), false);
                Ok(())
            }
        }
    }

    /// A folder where the snapshot has something else, or the other way round.
    fn in_the_way(&mut self, path: TreePath, node: Option<Node>, found: Stat) -> Result<()> {
        let shown = self.place.show(&path);
        let (is, wanted) = if found.is_dir() { ("a folder", "no folder") } else { ("no folder", "a folder") };
        let is_link = found.file_type() == FileType::Symlink;
        let newer = node.as_ref().is_some_and(|n| n.mtime > found.mtime);
        let may = match self.mode {
            Overwrite::Always | Overwrite::IfChanged => true,
            Overwrite::IfNewer => newer && !found.is_dir(),
            Overwrite::Never => false,
        };
        if !may {
            self.problem(shown, &format!("is {is}, the snapshot has {wanted} there; left as it is"));
            self.closed = Some(path);
            return Ok(());
        }
        if self.in_place && is_link && self.selection.leads_to_root(&path) {
            // Where it leads is for the message alone.
            let real = self.place.link_target(&path).map(|to| printable(&to)).unwrap_or_default();
            self.conflicts.push(format!(
                "{shown} is a symbolic link to {real}: restore SNAP:{path} with --to and the real place"
            ));
            self.closed = Some(path);
            return Ok(());
        }
        if found.is_dir() && self.strategy != Strategy::Replace {
            let names = self.place.names(&path).map_err(|e| self.place.error(&path, e))?;
            if !names.is_empty() {
                self.conflicts
                    .push(format!("{shown} is a folder that is not empty, the snapshot has {wanted} there"));
                self.closed = Some(path);
                return Ok(());
            }
        }
        if found.is_dir() && !self.removable(&path, &found)? {
            self.conflicts.push(format!("{shown} holds what must not be removed"));
            self.closed = Some(path);
            return Ok(());
        }
        let unit = self.unit(&path, Some(found.inode))?;
        self.push(path, node, Action::Build(unit), Some(found), false);
        Ok(())
    }

    /// Whether type, size and time of change (of a link or a device: what it says) are the snapshot's.
    fn looks_same(&self, path: &TreePath, node: &Node, found: &Stat) -> Result<bool> {
        Ok(match &node.kind {
            NodeKind::File(Content { size, .. }) => {
                found.file_type() == FileType::RegularFile && found.size == *size && found.mtime == node.mtime
            }
            NodeKind::Symlink(target) => {
                let read = || self.place.link_target(path).map_err(|e| self.place.error(path, e));
                found.file_type() == FileType::Symlink && read()? == *target
            }
            NodeKind::Fifo => found.file_type() == FileType::Fifo,
            NodeKind::CharDevice { rdev } => {
                found.file_type() == FileType::CharacterDevice && found.rdev == *rdev
            }
            NodeKind::BlockDevice { rdev } => {
                found.file_type() == FileType::BlockDevice && found.rdev == *rdev
            }
            NodeKind::Dir | NodeKind::Socket => false,
        })
    }

    fn differs(&self, path: &TreePath, node: &Node) -> Result<bool> {
        let read = self.place.handle(path).and_then(|h| Attributes::read(&h));
        let mut now = read.map_err(|e| self.place.error(path, e))?;
        let want = Attributes::of(node, self.owners);
        if matches!(node.kind, NodeKind::Symlink(_)) {
            now.mode = want.mode;
        }
        now.xattrs.retain(|(n, _)| {
            !n.starts_with(b"security.")
                || n == b"security.capability"
                || want.xattrs.iter().any(|(w, _)| w == n)
        });
        Ok(now != want)
    }

    fn unit(&mut self, path: &TreePath, old: Option<u64>) -> Result<usize> {
        let (temp, aside) = self.spare(path)?;
        self.plan.units.push(Unit { path: path.clone(), temp, aside, old });
        Ok(self.plan.units.len() - 1)
    }

    /// Two names beside `path` that nobody else uses.
    fn spare(&mut self, path: &TreePath) -> Result<(TreePath, TreePath)> {
        let parent = path.parent().unwrap_or_default();
        let number = self.names;
        self.names += 1;
        let name = |ending: &str| parent.join(format!("{}-{number}.{ending}", self.prefix).as_bytes());
        Ok((name("new")?, name("old")?))
    }

    /// Gives a unit to entries that links decided to build.
    fn give_units(&mut self) -> Result<()> {
        for at in 0..self.plan.entries.len() {
            let Some(entry) = self.plan.entries.get(at) else { break };
            if entry.action == Action::Build(usize::MAX) {
                let (path, old) = (entry.path.clone(), entry.found.map(|f| f.inode));
                let unit = self.unit(&path, old)?;
                if let Some(entry) = self.plan.entries.get_mut(at) {
                    entry.action = Action::Build(unit);
                }
            }
        }
        for entry in &self.plan.entries {
            if let (Action::Build(_), None, Some(node)) = (entry.action, entry.link, &entry.node) {
                self.plan.bytes = self.plan.bytes.saturating_add(node.size());
            }
        }
        Ok(())
    }

    /// Plans the removal of what the snapshot lacks.
    fn extras(&mut self) -> Result<()> {
        if !self.selection.has_scope() {
            return Err(Error::Refused(
                "the snapshot does not say which folders it covers: name the target folder".to_owned(),
            ));
        }
        let mut folders = vec![TreePath::root()];
        for (at, entry) in self.plan.entries.iter().enumerate() {
            let stays = entry.is_dir() && !matches!(entry.action, Action::Build(_)) && !entry.path.is_root();
            if stays && !self.is_bare_mount(at, entry)? {
                folders.push(entry.path.clone());
            }
        }
        for folder in folders {
            if !self.selection.may_cover_below(&folder) {
                continue;
            }
            self.extras_in(&folder)?;
        }
        Ok(())
    }

    /// A folder on which another file system is mounted, of which the snapshot has nothing.
    fn is_bare_mount(&self, at: usize, entry: &Planned) -> Result<bool> {
        let Some(found) = &entry.found else { return Ok(false) };
        let next = self.plan.entries.get(at + 1);
        Ok(next.is_none_or(|n| n.path.strip(&entry.path).is_none()) && self.is_mounted(&entry.path, found)?)
    }

    /// Whether a folder lies on another file system than the folder it is in.
    fn is_mounted(&self, path: &TreePath, found: &Stat) -> Result<bool> {
        let Some(parent) = path.parent() else { return Ok(false) };
        let above = self.place.look(&parent).map_err(|e| self.place.error(&parent, e))?;
        Ok(above.is_some_and(|a| a.dev != found.dev))
    }

    fn extras_in(&mut self, folder: &TreePath) -> Result<()> {
        let names = self.place.names(folder).map_err(|e| self.place.error(folder, e))?;
        for name in names {
            let path = folder.join(&name)?;
            if self.plan.find(&path).is_some() {
                continue;
            }
            let found = self.place.look(&path).map_err(|e| self.place.error(&path, e))?;
            let Some(found) = found else { continue };
            let covered = self.selection.covers(&path, found.is_dir());
            if covered && self.removable(&path, &found)? {
                let (_, aside) = self.spare(&path)?;
                self.plan.removals.push(Removal { path, aside, old: found.inode });
            } else if found.is_dir() && self.selection.may_cover_below(&path) && !self.is_own(&found) {
                if self.is_mounted(&path, &found)? {
                    let shown = self.place.show(&path);
                    self.plan
                        .notes
                        .push(format!("{shown}: another file system is mounted there; left as it is"));
                } else {
                    self.extras_in(&path)?;
                }
            }
        }
        Ok(())
    }

    fn is_own(&self, found: &Stat) -> bool {
        self.own.contains(&(found.dev, found.inode))
    }

    /// Whether a path of the target, or a folder that it lies in, is to be spared.
    fn is_spared(&self, path: &TreePath) -> bool {
        let Some(shown) = self.selection.shown_origin(path) else { return false };
        let ends = shown.match_indices('/').skip(1).map(|(at, _)| at).chain([shown.len()]);
        ends.into_iter().any(|end| shown.get(..end).is_some_and(|s| self.spared.contains(s)))
    }

    /// Whether it may be removed: in an undo, what the other restore made.
    fn may_go(&self, path: &TreePath) -> Result<bool> {
        match (&self.undoes, self.selection.origin(path)) {
            (Some(undoes), Some(origin)) => undoes.made(&origin),
            (undoes, _) => Ok(undoes.is_none()),
        }
    }

    /// Whether an undo leaves an entry as it is: the other restore did not change it, or somebody removed the folder since.
    fn stays(&mut self, path: &TreePath, node: Option<&Node>) -> Result<bool> {
        let (Some(undoes), Some(node), Some(origin)) = (&self.undoes, node, self.selection.origin(path))
        else {
            return Ok(false);
        };
        if !node.is_dir() {
            return Ok(!undoes.changed(&origin, node)?);
        }
        if !undoes.left(&origin)? {
            return Ok(false);
        }
        let found = if self.absent { Ok(None) } else { self.place.look(path) };
        if found.map_err(|e| self.place.error(path, e))?.is_none() {
            self.closed = Some(path.clone());
            return Ok(true);
        }
        Ok(false)
    }

    /// Whether an undo leaves the attributes of a folder as they are.
    fn only_leads(&self, path: &TreePath, node: Option<&Node>) -> Result<bool> {
        match (&self.undoes, node, self.selection.origin(path)) {
            (Some(undoes), Some(node), Some(origin)) => Ok(node.is_dir() && !undoes.changed(&origin, node)?),
            _ => Ok(false),
        }
    }

    /// Whether nothing at or below `path` must stay: what is spared, the program's own folders, other file systems, what filters leave out.
    fn removable(&self, path: &TreePath, found: &Stat) -> Result<bool> {
        let mut stack = vec![(path.clone(), *found)];
        while let Some((at, stat)) = stack.pop() {
            if !self.may_go(&at)? {
                return Ok(false);
            }
            let filtered = !self.selection.is_whole() && !self.selection.covers(&at, stat.is_dir());
            if stat.dev != found.dev || filtered || self.is_own(&stat) || self.is_spared(&at) {
                return Ok(false);
            }
            if !stat.is_dir() {
                continue;
            }
            for name in self.place.names(&at).map_err(|e| self.place.error(&at, e))? {
                let below = at.join(&name)?;
                if let Some(stat) = self.place.look(&below).map_err(|e| self.place.error(&below, e))? {
                    stack.push((below, stat));
                }
            }
        }
        Ok(!self.is_mounted(path, found)?)
    }
}

/// The target inodes of entries that stay and change, with how many of the entries have each.
pub(crate) fn shared_inodes(entries: &[Planned]) -> HashMap<(u64, u64), u32> {
    let mut counts = HashMap::new();
    for entry in entries {
        if let (Action::Attributes | Action::Keep, Some(found)) = (entry.action, entry.found) {
            *counts.entry((found.dev, found.inode)).or_default() += 1;
        }
    }
    counts
}
