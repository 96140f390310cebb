//! One entry of a snapshot: what it is, its attributes, and where its content is.

use std::sync::Arc;

use chronos_store::{ChunkClass, ChunkId};

/// A point in time: seconds since 1970-01-01 UTC (may be negative) and nanoseconds after it (0 to 999,999,999).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Whole seconds.
    pub seconds: i64,
    /// Nanoseconds after them.
    pub nanos: u32,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A regular file.
    File(Content),
    /// A folder.
    Dir,
    /// A symbolic link and the bytes it points to.
    Symlink(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A socket; recorded, not restored.
    Socket,
    /// A character device.
    CharDevice {
        /// Device number.
        rdev: u64,
    },
    /// A block device.
    BlockDevice {
        /// Device number.
        rdev: u64,
    },
}

/// The content of a regular file: data and holes in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// How it was cut; kept for the next version of the file.
    pub class: ChunkClass,
    /// Logical length in bytes.
    pub size: u64,
    /// The pieces in order; their lengths add up to `size`.
    pub extents: Vec<Extent>,
}

/// One piece of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// A stored chunk.
    Data {
        /// The chunk, of kind `Data`.
        id: ChunkId,
        /// Its length in bytes, at least 1.
        len: u32,
    },
    /// A hole of the original file: nothing was allocated there.
    Hole {
        /// Its length in bytes, at least 1.
        len: u64,
    },
    /// Zeros that were written; stored as nothing, restored as zeros.
    Zero {
        /// Its length in bytes, at least 1.
        len: u64,
    },
}

/// One extended attribute. ACLs are here too, as the kernel gives them (`system.posix_acl_access` …).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Xattr {
    /// Full name with its namespace.
    pub name: Vec<u8>,
    /// Value.
    pub value: Vec<u8>,
}

/// One entry of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Permission bits with setuid, setgid and sticky: `st_mode & 0o7777`.
    pub mode: u32,
    /// Owner's number.
    pub uid: u32,
    /// Group's number.
    pub gid: u32,
    /// Owner's name where one was known.
    pub user: Option<Arc<str>>,
    /// Group's name where one was known.
    pub group: Option<Arc<str>>,
    /// Last change of the content.
    pub mtime: Time,
    /// Last change of the inode; never restored, tells whether a file changed.
    pub ctime: Time,
    /// Device number of the file system; 0 if it does not come from one, or has one name only: it would change with
    /// every start of some hosts, and tells nothing but which names are one file.
    pub dev: u64,
    /// Inode number; 0 if it does not come from a file system.
    pub inode: u64,
    /// Number of names; entries of one snapshot with equal `(dev, inode)` and `links > 1` are one file.
    pub links: u32,
    /// Extended attributes, sorted by name.
    pub xattrs: Vec<Xattr>,
}

impl Node {
    /// Logical length in bytes; 0 for everything but regular files.
    pub fn size(&self) -> u64 {
        match &self.kind {
            NodeKind::File(content) => content.size,
            _ => 0,
        }
    }

    /// Whether this is a folder.
    pub fn is_dir(&self) -> bool {
        matches!(self.kind, NodeKind::Dir)
    }
}
