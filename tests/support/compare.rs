//! Compares two trees of the file system entry by entry: type, mode, owner, times, attributes, links, holes, content.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{SeekFrom, seek};

/// Everything about one entry that a restore brings back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Type, and for links and devices where they lead.
    pub kind: String,
    /// Permission bits, owner, group.
    pub rights: (u32, u32, u32),
    /// Seconds and nanoseconds of the last change of the content.
    pub mtime: (i64, i64),
    /// Logical length of a file.
    pub size: u64,
    /// Name and value of each extended attribute, ACLs among them.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The first path in the tree that is the same file.
    pub first_name: PathBuf,
    /// Beginning and end of each range that is no hole.
    pub data: Vec<(u64, u64)>,
    /// Hash of the content.
    pub content: u64,
}

/// Looks at everything below `root` and at itself (the empty path).
///
/// # Panics
/// If something cannot be read.
pub fn capture(root: &Path) -> BTreeMap<PathBuf, Captured> {
    let mut found = BTreeMap::new();
    let mut names = BTreeMap::new();
    let mut waiting = vec![PathBuf::new()];
    let mut paths = Vec::new();
    while let Some(path) = waiting.pop() {
        let full = if path.as_os_str().is_empty() { root.to_owned() } else { root.join(&path) };
        if fs::symlink_metadata(&full).unwrap().is_dir() {
            for entry in fs::read_dir(&full).unwrap() {
                waiting.push(path.join(entry.unwrap().file_name()));
            }
        }
        paths.push((path, full));
    }
    paths.sort();
    for (path, full) in paths {
        let meta = fs::symlink_metadata(&full).unwrap();
        let first_name = names.entry((meta.dev(), meta.ino())).or_insert_with(|| path.clone()).clone();
        found.insert(path, look(&full, &meta, first_name));
    }
    found
}

fn look(path: &Path, meta: &fs::Metadata, first_name: PathBuf) -> Captured {
    let kind = meta.file_type();
    let described = if kind.is_symlink() {
        format!("link to {}", fs::read_link(path).unwrap().as_os_str().as_bytes().escape_ascii())
    } else if kind.is_dir() {
        "folder".to_owned()
    } else if kind.is_file() {
        "file".to_owned()
    } else if kind.is_fifo() {
        "pipe".to_owned()
    } else if kind.is_socket() {
        "socket".to_owned()
    } else {
        format!("{} device {}", if kind.is_block_device() { "block" } else { "character" }, meta.rdev())
    };
    let names = match xattr::list(path) {
        // Some file systems have none.
        Err(e) if e.kind() == std::io::ErrorKind::Unsupported => Vec::new(),
        names => names.unwrap().collect(),
    };
    let xattrs = names.into_iter().map(|name| {
        let value = xattr::get(path, &name).unwrap().unwrap_or_default();
        (name.as_bytes().to_vec(), value)
    });
    let (data, content) = if kind.is_file() { content(path, meta.len()) } else { (Vec::new(), 0) };
    Captured {
        kind: described,
        rights: (meta.mode() & 0o7777, meta.uid(), meta.gid()),
        mtime: (meta.mtime(), meta.mtime_nsec()),
        size: if kind.is_file() { meta.len() } else { 0 },
        xattrs: xattrs.collect(),
        first_name,
        data,
        content,
    }
}

/// The ranges that hold data, and a hash (FNV-1a) of what is in them.
fn content(path: &Path, size: u64) -> (Vec<(u64, u64)>, u64) {
    let mut file = File::open(path).unwrap();
    let (mut ranges, mut at) = (Vec::new(), 0);
    while at < size {
        let Ok(start) = seek(&file, SeekFrom::Data(at)) else { break };
        let end = seek(&file, SeekFrom::Hole(start)).unwrap();
        ranges.push((start, end));
        at = end;
    }
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut buffer = vec![0; 1 << 18];
    for (start, end) in &ranges {
        seek(&file, SeekFrom::Start(*start)).unwrap();
        let mut range = (&mut file).take(end - start);
        loop {
            let n = range.read(&mut buffer).unwrap();
            if n == 0 {
                break;
            }
            for byte in buffer.iter().take(n) {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    (ranges, hash)
}

/// What differs between two trees, one line per entry.
///
/// # Panics
/// If something cannot be read.
pub fn differences(one: &Path, other: &Path) -> Vec<String> {
    between(&capture(one), &capture(other))
}

/// What differs between two captured trees, one line per entry.
pub fn between(one: &BTreeMap<PathBuf, Captured>, other: &BTreeMap<PathBuf, Captured>) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, a) in one {
        match other.get(path) {
            None => lines.push(format!("{}: missing in the second", path.display())),
            Some(b) if a != b => lines.push(format!("{}: {}", path.display(), aspects(a, b).join(", "))),
            Some(_) => {}
        }
    }
    let extra = other.keys().filter(|path| !one.contains_key(*path));
    lines.extend(extra.map(|path| format!("{}: only in the second", path.display())));
    lines
}

fn aspects(a: &Captured, b: &Captured) -> Vec<String> {
    let mut lines = Vec::new();
    let mut add = |what: &str, one: String, other: String| {
        if one != other {
            lines.push(format!("{what} {one} != {other}"));
        }
    };
    add("kind", a.kind.clone(), b.kind.clone());
    add("mode and owner", rights(a), rights(b));
    add("mtime", format!("{:?}", a.mtime), format!("{:?}", b.mtime));
    add("size", a.size.to_string(), b.size.to_string());
    add("xattrs", format!("{:?}", a.xattrs), format!("{:?}", b.xattrs));
    add("linked with", a.first_name.display().to_string(), b.first_name.display().to_string());
    add("data ranges", format!("{:?}", a.data), format!("{:?}", b.data));
    add("content", format!("{:x}", a.content), format!("{:x}", b.content));
    lines
}

fn rights(of: &Captured) -> String {
    let (mode, uid, gid) = of.rights;
    format!("{mode:o} {uid}:{gid}")
}
