//! An entry's attributes, as the kernel gives them, turned into a [`Node`].
//!
//! Everything is read relative to an open folder and without following links, so that a path of any
//! length works and an exchanged folder cannot lead elsewhere.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use chronos_store::ChunkClass;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Statx, StatxFlags, StatxTimestamp};
use rustix::io::Errno;

use crate::node::{Content, Node, NodeKind, Time, Xattr};
use crate::path::TreePath;
use crate::source::names::{Names, Owners};
use crate::source::xattrs;

/// Longest path that one system call takes (`PATH_MAX` with its terminating zero).
const PATH_MAX: usize = 4096;

/// What `statx` tells, in plain numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Type bits and permission bits.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u64,
    /// Allocated bytes.
    pub(crate) allocated: u64,
    pub(crate) mtime: Time,
    pub(crate) ctime: Time,
    pub(crate) dev: u64,
    pub(crate) inode: u64,
    pub(crate) links: u32,
    pub(crate) rdev: u64,
}

impl Stat {
    /// Of `name` in the folder `dir`, not following a link.
    pub(crate) fn at(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<Self> {
        Ok(rustix::fs::statx(dir, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)?.into())
    }

    /// Of an open file.
    pub(crate) fn of(file: impl AsFd) -> io::Result<Self> {
        Ok(rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?.into())
    }

    /// The kind of file.
    pub(crate) fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.mode)
    }

    /// Whether this is a folder.
    pub(crate) fn is_dir(&self) -> bool {
        self.file_type() == FileType::Directory
    }

    /// Whether two looks at a file show the same content, as far as the kernel tells.
    pub(crate) fn same_content(&self, other: &Self) -> bool {
        (self.size, self.mtime, self.ctime, self.dev, self.inode)
            == (other.size, other.mtime, other.ctime, other.dev, other.inode)
    }
}

impl From<Statx> for Stat {
    fn from(s: Statx) -> Self {
        let time = |t: StatxTimestamp| Time { seconds: t.tv_sec, nanos: t.tv_nsec };
        Self {
            mode: u32::from(s.stx_mode),
            uid: s.stx_uid,
            gid: s.stx_gid,
            size: s.stx_size,
            allocated: s.stx_blocks.saturating_mul(512),
            mtime: time(s.stx_mtime),
            ctime: time(s.stx_ctime),
            dev: rustix::fs::makedev(s.stx_dev_major, s.stx_dev_minor),
            inode: s.stx_ino,
            links: s.stx_nlink,
            rdev: rustix::fs::makedev(s.stx_rdev_major, s.stx_rdev_minor),
        }
    }
}

/// The node of `name` in `dir`, which looks like `stat`. Of a regular file only what `stat` tells: its content is read
/// later, and so are its extended attributes, through the open file or not at all if its time of change is as it was.
pub(crate) fn node(
    dir: BorrowedFd<'_>,
    name: &[u8],
    stat: &Stat,
    owners: &mut Owners<'_>,
) -> io::Result<Node> {
    let kind = match stat.file_type() {
        FileType::Directory => NodeKind::Dir,
        FileType::Symlink => NodeKind::Symlink(rustix::fs::readlinkat(dir, name, Vec::new())?.into_bytes()),
        FileType::Fifo => NodeKind::Fifo,
        FileType::Socket => NodeKind::Socket,
        FileType::CharacterDevice => NodeKind::CharDevice { rdev: stat.rdev },
        FileType::BlockDevice => NodeKind::BlockDevice { rdev: stat.rdev },
        _ => NodeKind::File(Content { class: ChunkClass::Std, size: stat.size, extents: Vec::new() }),
    };
    let mut node = bare(kind, stat, owners);
    if stat.file_type() != FileType::RegularFile {
        node.xattrs = xattrs::of_link(&proc_path(dir, name))?;
    }
    Ok(node)
}

/// The node of an open folder, which looks like `stat`.
pub(crate) fn folder_node(dir: impl AsFd, stat: &Stat, names: &Names) -> io::Result<Node> {
    Ok(Node { xattrs: xattrs::of_file(dir)?, ..bare(NodeKind::Dir, stat, &mut names.owners()) })
}

/// The node of a folder that cannot be opened, in the folder of this device and inode.
pub(crate) fn folder_again(path: &TreePath, holder: (u64, u64), names: &Names) -> io::Result<Node> {
    let holder = open_holder(&path.to_absolute(), holder)?;
    let node = look(holder.as_fd(), path.name(), names)?;
    if node.is_dir() { Ok(node) } else { Err(Errno::NOTDIR.into()) }
}

/// A node with the attributes of `stat` and no extended ones.
///
/// The number of names of a folder counts its folders, which are entries anyway, so it is 1 here. The device is kept
/// only where it tells which entries are one file: its number may differ after every start of the host.
pub(crate) fn bare(kind: NodeKind, stat: &Stat, owners: &mut Owners<'_>) -> Node {
    let links = if matches!(kind, NodeKind::Dir) { 1 } else { stat.links };
    Node {
        kind,
        mode: stat.mode & 0o7777,
        uid: stat.uid,
        gid: stat.gid,
        user: owners.user(stat.uid),
        group: owners.group(stat.gid),
        mtime: stat.mtime,
        ctime: stat.ctime,
        dev: if links > 1 { stat.dev } else { 0 },
        inode: stat.inode,
        links,
        xattrs: Vec::new(),
    }
}

/// A path to `name` in the open folder `dir` for calls that take no folder.
fn proc_path(dir: BorrowedFd<'_>, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    path
}

/// Opens an absolute path of any length, the last component not followed if it is a link.
pub(crate) fn open(path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
    if path.len() < PATH_MAX {
        return Ok(rustix::fs::open(c_string(path)?.as_c_str(), flags, Mode::empty())?);
    }
    let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut dir = rustix::fs::open(c"/", step, Mode::empty())?;
    let mut rest = path.strip_prefix(b"/").unwrap_or(path);
    while rest.len() >= PATH_MAX {
        let window = rest.get(..PATH_MAX - 1).unwrap_or(rest);
        let cut = window.iter().rposition(|b| *b == b'/').ok_or(Errno::NAMETOOLONG)?;
        let (head, tail) = rest.split_at(cut);
        dir = rustix::fs::openat(&dir, head, step, Mode::empty())?;
        rest = tail.strip_prefix(b"/").unwrap_or(tail);
    }
    Ok(rustix::fs::openat(&dir, rest, flags, Mode::empty())?)
}

/// Opens a folder for listing.
pub(crate) fn open_dir(path: &[u8]) -> io::Result<OwnedFd> {
    let base = OFlags::RDONLY | OFlags::DIRECTORY;
    // Only an owner may read without a trace in the access time.
    open(path, base | OFlags::NOATIME).or_else(|_| open(path, base))
}

/// Opens a folder that the user named for listing; links are followed.
pub(crate) fn open_root(path: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(c_string(path)?.as_c_str(), flags, Mode::empty())?)
}

/// The attributes of a folder that the user named, or that leads there; links are followed.
pub(crate) fn folder(path: &[u8], names: &Names) -> io::Result<(Node, Stat)> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::open(c_string(path)?.as_c_str(), flags, Mode::empty())?;
    let stat = Stat::at(dir.as_fd(), b".")?;
    Ok((node(dir.as_fd(), b".", &stat, &mut names.owners())?, stat))
}

/// The node of `name` in `dir` as it is now, with its extended attributes.
pub(crate) fn look(dir: BorrowedFd<'_>, name: &[u8], names: &Names) -> io::Result<Node> {
    let mut node = node(dir, name, &Stat::at(dir, name)?, &mut names.owners())?;
    if matches!(node.kind, NodeKind::File(_)) {
        node.xattrs = xattrs::of_link(&proc_path(dir, name))?;
    }
    Ok(node)
}

/// The extended attributes of a file as it is `now`, which was listed in a folder of this device and inode: the same as `before` if its
/// inode did not change since.
pub(crate) fn xattrs_since(
    before: &Node,
    now: &Node,
    path: &TreePath,
    folder: (u64, u64),
) -> io::Result<Vec<Xattr>> {
    if (now.ctime, now.inode) == (before.ctime, before.inode) {
        return Ok(before.xattrs.clone());
    }
    let dir = open_holder(&path.to_absolute(), folder)?;
    xattrs::of_link(&proc_path(dir.as_fd(), path.name()))
}

/// Opens the folder that holds what lies at an absolute path, if it is still the one of this device and inode: no
/// exchanged folder or link on the way leads elsewhere.
pub(crate) fn open_holder(path: &[u8], expected: (u64, u64)) -> io::Result<OwnedFd> {
    let cut = path.iter().rposition(|b| *b == b'/').unwrap_or(0);
    let dir = open_followed(path.get(..cut.max(1)).unwrap_or(b"/"))?;
    let stat = Stat::of(&dir)?;
    if (stat.dev, stat.inode) == expected {
        return Ok(dir);
    }
    Err(io::Error::other("its folder was replaced by another one while it was read"))
}

/// Opens a folder at a path of any length, only to find things in it; links are followed.
fn open_followed(path: &[u8]) -> io::Result<OwnedFd> {
    let mut with_dot = path.to_vec();
    // The link, if it is one, is then not the last component.
    with_dot.extend_from_slice(b"/.");
    open(&with_dot, OFlags::PATH | OFlags::DIRECTORY)
}

fn c_string(path: &[u8]) -> io::Result<CString> {
    CString::new(path).map_err(|_| Errno::INVAL.into())
}

/// The names in an open folder, sorted, without `.` and `..`.
pub(crate) fn names_in(dir: BorrowedFd<'_>) -> io::Result<Vec<Vec<u8>>> {
    /// About 1,000 names per call.
    const BUFFER: usize = 32 << 10;
    let mut buffer: Vec<u8> = Vec::with_capacity(BUFFER);
    let mut raw = rustix::fs::RawDir::new(dir, buffer.spare_capacity_mut());
    let mut found = Vec::new();
    while let Some(entry) = raw.next() {
        let entry = entry?;
        let name = CStr::to_bytes(entry.file_name());
        if !matches!(name, b"." | b"..") {
            found.push(name.to_vec());
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}
