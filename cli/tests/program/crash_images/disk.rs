//! A disk that remembers everything that was done to it, and what a loss of power may leave of it.
//!
//! Kept for sure is only what was synced: bytes of a file by a sync of that file, names by a sync of their folder, in
//! each case what was finished before the sync began. Of all else any part may be kept, in any order. A file system
//! promises at least this much, and most promise more.

use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Number of a file or folder.
pub(crate) type Inode = usize;

/// The folder that everything lies in; it is there from the beginning.
const ROOT: Inode = 0;

/// Names of a folder.
type Names = BTreeMap<PathBuf, Inode>;

/// A file or folder.
#[derive(Clone, Debug, Default)]
struct Node {
    is_folder: bool,
    /// The path that it got last.
    path: PathBuf,
    changes: Vec<(usize, Change)>,
    syncs: Vec<(usize, usize)>,
}

/// A change of a file.
#[derive(Clone, Debug)]
enum Change {
    Bytes(u64, Arc<[u8]>),
    Length(u64),
}

/// A change of names.
#[derive(Clone, Debug)]
struct Naming {
    at: usize,
    gone: Option<(Inode, PathBuf)>,
    made: Option<(Inode, PathBuf)>,
    inode: Inode,
}

/// What becomes of a change that was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Kept,
    Lost,
    /// As long as it should be, but without its bytes; a name is kept.
    Zeroed,
    /// So many of 256 parts of its bytes are there, and the length is as far as these; a name is kept.
    Torn(u8),
}

/// Everything that was done, in order.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    nodes: Vec<Node>,
    namings: Vec<Naming>,
    folders: HashMap<Inode, Names>,
}

/// What is on the disk after a loss of power: folders, and files with their bytes, below the root.
pub(crate) type Image = BTreeMap<PathBuf, Option<Vec<u8>>>;

impl Disk {
    pub(crate) fn new() -> Self {
        let root = Node { is_folder: true, ..Node::default() };
        Self { nodes: vec![root], namings: Vec::new(), folders: HashMap::from([(ROOT, Names::new())]) }
    }

    /// Finds what lies at a path now.
    pub(crate) fn find(&self, path: &Path) -> Option<Inode> {
        path.components().try_fold(ROOT, |folder, part| match part {
            Component::Normal(name) => self.folders.get(&folder)?.get(Path::new(name)).copied(),
            other => panic!("{other:?} in {}", path.display()),
        })
    }

    fn place(&self, path: &Path) -> (Inode, PathBuf) {
        let folder = self.find(path.parent().unwrap()).unwrap_or_else(|| panic!("{}", path.display()));
        (folder, path.file_name().unwrap().into())
    }

    pub(crate) fn make(&mut self, at: usize, path: &Path, is_folder: bool) -> Inode {
        let inode = self.nodes.len();
        self.nodes.push(Node { is_folder, ..Node::default() });
        if is_folder {
            self.folders.insert(inode, Names::new());
        }
        self.name(at, None, Some(path), inode);
        inode
    }

    /// Takes a name away, gives one, or both at once.
    pub(crate) fn name(&mut self, at: usize, gone: Option<&Path>, made: Option<&Path>, inode: Inode) {
        let (gone, new) = (gone.map(|p| self.place(p)), made.map(|p| self.place(p)));
        let naming = Naming { at, gone, made: new, inode };
        naming.apply(&mut self.folders);
        self.namings.push(naming);
        if let Some(path) = made {
            path.clone_into(&mut self.nodes[inode].path);
        }
    }

    pub(crate) fn write(&mut self, at: usize, inode: Inode, offset: u64, bytes: &[u8]) {
        self.nodes[inode].changes.push((at, Change::Bytes(offset, bytes.into())));
    }

    pub(crate) fn set_length(&mut self, at: usize, inode: Inode, length: u64) {
        self.nodes[inode].changes.push((at, Change::Length(length)));
    }

    pub(crate) fn sync(&mut self, began: usize, ended: usize, inode: Inode) {
        self.nodes[inode].syncs.push((began, ended));
    }

    /// How long a file is now.
    pub(crate) fn length(&self, inode: Inode) -> u64 {
        self.nodes[inode].changes.iter().fold(0, |length, (_, change)| match change {
            Change::Bytes(offset, bytes) => length.max(offset + bytes.len() as u64),
            Change::Length(length) => *length,
        })
    }

    /// Moments at which something was done, the first one with nothing.
    pub(crate) fn moments(&self) -> Vec<usize> {
        let nodes = self.nodes.iter();
        let inside = nodes.flat_map(|n| n.changes.iter().map(|c| c.0).chain(n.syncs.iter().map(|s| s.1)));
        let mut moments: Vec<_> = inside.chain(self.namings.iter().map(|n| n.at)).collect();
        moments.push(0);
        moments.sort_unstable();
        moments.dedup();
        moments
    }

    /// The same disk as if what `chosen` names had never been synced.
    pub(crate) fn without_syncs(&self, chosen: impl Fn(&Path, bool) -> bool) -> Self {
        let mut disk = self.clone();
        disk.nodes.iter_mut().filter(|n| chosen(&n.path, n.is_folder)).for_each(|n| n.syncs.clear());
        disk
    }

    /// The same disk as if nothing had been synced from a moment on.
    pub(crate) fn without_syncs_since(&self, moment: usize) -> Self {
        let mut disk = self.clone();
        disk.nodes.iter_mut().for_each(|n| n.syncs.retain(|(began, _)| *began < moment));
        disk
    }

    fn is_synced(&self, inode: Inode, change: usize, now: usize) -> bool {
        self.nodes[inode].syncs.iter().any(|(began, ended)| *began > change && *ended <= now)
    }

    /// What a loss of power right after `now` leaves, if `fate` befalls each change that was not synced.
    pub(crate) fn image(&self, now: usize, mut fate: impl FnMut() -> Fate) -> Image {
        let mut folders: HashMap<Inode, Names> = HashMap::new();
        for naming in self.namings.iter().take_while(|n| n.at <= now) {
            let mut places = naming.gone.iter().chain(&naming.made);
            // A file system moves a name from one folder to the other as one change.
            let synced = places.any(|(folder, _)| self.is_synced(*folder, naming.at, now));
            if synced || fate() != Fate::Lost {
                naming.apply(&mut folders);
            }
        }
        let mut image = Image::new();
        let mut waiting = vec![(ROOT, PathBuf::new())];
        while let Some((folder, path)) = waiting.pop() {
            for (name, inode) in folders.get(&folder).into_iter().flatten() {
                let path = path.join(name);
                if self.nodes[*inode].is_folder {
                    waiting.push((*inode, path.clone()));
                    image.insert(path, None);
                } else {
                    image.insert(path, Some(self.content(*inode, now, &mut fate)));
                }
            }
        }
        image
    }

    fn content(&self, inode: Inode, now: usize, fate: &mut impl FnMut() -> Fate) -> Vec<u8> {
        let mut content = Vec::new();
        for (at, change) in self.nodes[inode].changes.iter().take_while(|(at, _)| *at <= now) {
            let fate = if self.is_synced(inode, *at, now) { Fate::Kept } else { fate() };
            let (offset, bytes) = match change {
                Change::Length(_) if fate == Fate::Lost => continue,
                Change::Length(length) => {
                    content.resize(*length as usize, 0);
                    continue;
                }
                Change::Bytes(offset, bytes) => (*offset as usize, bytes),
            };
            let kept = match fate {
                Fate::Kept => bytes.to_vec(),
                Fate::Lost => continue,
                Fate::Zeroed => vec![0; bytes.len()],
                Fate::Torn(part) => bytes[..bytes.len() * usize::from(part) / 256].to_vec(),
            };
            let end = offset + kept.len();
            content.resize(content.len().max(end), 0);
            content[offset..end].copy_from_slice(&kept);
        }
        content
    }
}

impl Naming {
    fn apply(&self, folders: &mut HashMap<Inode, Names>) {
        if let Some((folder, name)) = &self.gone {
            let names = folders.entry(*folder).or_default();
            // Another file may have the name if a change between was lost.
            if names.get(name) == Some(&self.inode) {
                names.remove(name);
            }
        }
        if let Some((folder, name)) = &self.made {
            folders.entry(*folder).or_default().insert(name.clone(), self.inode);
        }
    }
}

#[test]
fn only_what_was_synced_is_sure() {
    let (mut disk, path) = (Disk::new(), Path::new);
    let folder = disk.make(1, path("folder"), true);
    let file = disk.make(2, path("folder/a"), false);
    disk.write(3, file, 0, b"one");
    disk.sync(4, 6, file);
    disk.write(5, file, 3, b"two");
    disk.name(7, Some(path("folder/a")), Some(path("folder/b")), file);
    let lost = |disk: &Disk, now| disk.image(now, || Fate::Lost);
    assert_eq!(lost(&disk, 7), Image::new());
    disk.sync(8, 8, ROOT);
    assert_eq!(lost(&disk, 8), Image::from([("folder".into(), None)]));
    disk.sync(9, 10, folder);
    assert_eq!(lost(&disk, 9).len(), 1);
    let sure = Image::from([("folder".into(), None), ("folder/b".into(), Some(b"one".to_vec()))]);
    assert_eq!(lost(&disk, 10), sure);
    let whole = |fate| disk.image(10, || fate)[path("folder/b")].clone().unwrap();
    assert_eq!(whole(Fate::Kept), b"onetwo");
    assert_eq!(whole(Fate::Zeroed), b"one\0\0\0");
    assert_eq!(whole(Fate::Torn(128)), b"onet");
    assert_eq!(disk.image(2, || Fate::Kept)[path("folder/a")], Some(Vec::new()));
    let without = disk.without_syncs(|path, is_folder| path == Path::new("folder") && is_folder);
    assert_eq!(lost(&without, 10).len(), 1);
}
