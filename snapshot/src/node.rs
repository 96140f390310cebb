//! One entry of a snapshot: what it is, its attributes, and where its content is.

use std::sync::Arc;

use chronos_store::{ChunkClass, ChunkId, ChunkMark, Part};

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

impl Content {
    /// The extents with their offsets.
    pub(crate) fn placed(&self) -> impl Iterator<Item = (u64, &Extent)> {
        self.extents.iter().scan(0_u64, |at, extent| {
            let start = *at;
            *at = at.saturating_add(extent.len());
            Some((start, extent))
        })
    }

    /// Whether it is cut into the same chunks, however each is stored: then the bytes are the same.
    pub(crate) fn is_cut_like(&self, other: &Self) -> bool {
        let mark = |e: &Extent| (e.len(), e.mark());
        self.size == other.size && self.extents.iter().map(mark).eq(other.extents.iter().map(mark))
    }

    /// The stored chunks that it is read from, as often as they are used.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = &ChunkId> {
        self.extents.iter().flat_map(Extent::chunks)
    }
}

/// One part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// A stored chunk.
    Data {
        /// The chunk, of kind `Data`.
        id: ChunkId,
        /// Its length in bytes, at least 1.
        len: u32,
    },
    /// A chunk that is not stored as one: it is made of pieces of stored chunks.
    Assembled(Arc<Assembled>),
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

/// A chunk that differs little from what was there before: pieces of older chunks, with what is new in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assembled {
    /// Of the id that its bytes would have as one chunk: whoever puts the pieces together checks them with it.
    pub mark: ChunkMark,
    /// Its length in bytes, at least 1.
    pub len: u32,
    /// The pieces in order; their lengths add up to `len`.
    pub pieces: Vec<Piece>,
}

/// Part of a stored chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Piece {
    /// The chunk, of kind `Data`.
    pub chunk: ChunkId,
    /// Where the piece begins in it, in bytes.
    pub start: u32,
    /// Its length in bytes, at least 1.
    pub len: u32,
}

impl Extent {
    /// The mark that its bytes have as one chunk, however they are stored; `None` if it reads as zeros.
    pub(crate) fn mark(&self) -> Option<ChunkMark> {
        match self {
            Self::Data { id, .. } => Some(id.mark()),
            Self::Assembled(assembled) => Some(assembled.mark),
            Self::Hole { .. } | Self::Zero { .. } => None,
        }
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Data { len, .. } => u64::from(*len),
            Self::Assembled(assembled) => u64::from(assembled.len),
            Self::Hole { len } | Self::Zero { len } => *len,
        }
    }

    /// Whether it has no bytes, which no honest tree contains.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it reads as zeros.
    pub fn is_blank(&self) -> bool {
        matches!(self, Self::Hole { .. } | Self::Zero { .. })
    }

    /// The stored chunks that it is read from, each with the part of it that is used (`None`: all of it), in order.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (&ChunkId, Option<Piece>, u32)> {
        let whole = match self {
            Self::Data { id, len } => Some((id, None, *len)),
            _ => None,
        };
        let pieces = match self {
            Self::Assembled(assembled) => assembled.pieces.as_slice(),
            _ => &[],
        };
        whole.into_iter().chain(pieces.iter().map(|p| (&p.chunk, Some(*p), p.len)))
    }

    /// The mark of an assembled chunk that has one piece only: it can be checked as soon as that is there.
    pub(crate) fn only_part(&self) -> Option<ChunkMark> {
        match self {
            Self::Assembled(made) if made.pieces.len() == 1 => Some(made.mark),
            _ => None,
        }
    }

    /// The stored chunks that it is read from.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = &ChunkId> {
        self.parts().map(|(id, ..)| id)
    }
}

impl Piece {
    /// The piece's bytes out of the chunk's; `None` if the chunk is shorter than it should be.
    pub(crate) fn of<'b>(&self, chunk: &'b [u8]) -> Option<&'b [u8]> {
        self.part().of(chunk)
    }

    /// Where it lies in its chunk.
    pub(crate) fn part(&self) -> Part {
        Part { start: self.start, len: self.len, mark: None }
    }
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

    /// Whether another entry is the same, however its content is stored.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        if let (NodeKind::File(a), NodeKind::File(b)) = (&self.kind, &other.kind) {
            return a.is_cut_like(b) && Self { kind: other.kind.clone(), ..self.clone() } == *other;
        }
        false
    }

    /// Whether this is a folder.
    pub fn is_dir(&self) -> bool {
        matches!(self.kind, NodeKind::Dir)
    }
}
