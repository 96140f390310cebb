//! Entries of a snapshot that come from no file system: folders, and files whose content is a stream.

use std::io::Read;

use chronos_snapshot::{Content, Entry, Item, Node, NodeKind, Origin, Time, TreePath};
use chronos_store::ChunkClass;

/// Mode of a file that holds what others are not to read.
pub(crate) const PRIVATE: u32 = 0o600;

/// Attributes of a file that comes from no file system, or from one whose owner matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Time,
}

impl Attributes {
    /// Of a file that only its owner, who runs this program, reads.
    pub(crate) fn private(mtime: Time) -> Self {
        let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        Self { mode: PRIVATE, uid, gid, mtime }
    }
}

/// The folders above `path`, the outermost first.
pub(crate) fn above(path: &TreePath) -> Vec<Item> {
    let mut paths: Vec<TreePath> =
        std::iter::successors(path.parent(), TreePath::parent).take_while(|p| !p.is_root()).collect();
    paths.reverse();
    let attributes = Attributes { mode: 0o755, ..Attributes::private(Time::default()) };
    let dir =
        |path| Item::Entry(Entry { path, node: node(NodeKind::Dir, attributes), origin: Origin::AboveRoot });
    paths.into_iter().map(dir).collect()
}

/// A file whose content is read from `stream`.
pub(crate) fn streamed(path: TreePath, attributes: Attributes, stream: impl Read + Send + 'static) -> Item {
    read_once(path, attributes, Origin::Stream(Box::new(stream)))
}

/// The same; if it breaks, the others of its source go on.
pub(crate) fn part(path: TreePath, attributes: Attributes, stream: impl Read + Send + 'static) -> Item {
    read_once(path, attributes, Origin::Part(Box::new(stream)))
}

fn read_once(path: TreePath, attributes: Attributes, origin: Origin) -> Item {
    let content = Content { class: ChunkClass::Std, size: 0, extents: Vec::new() };
    Item::Entry(Entry { path, node: node(NodeKind::File(content), attributes), origin })
}

pub(crate) fn node(kind: NodeKind, attributes: Attributes) -> Node {
    let Attributes { mode, uid, gid, mtime } = attributes;
    Node {
        kind,
        mode,
        uid,
        gid,
        user: None,
        group: None,
        mtime,
        ctime: mtime,
        dev: 0,
        inode: 0,
        links: 1,
        xattrs: Vec::new(),
    }
}
