//! What can be done to a tree, at random. A deed that is not possible where it is done is left out.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, mknodat, utimensat};

/// Names that sort around `/`, are not UTF-8, mean something to shells or terminals, or are long.
const NAMES: [&[u8]; 12] = [
    b"a",
    b"a-b",
    b"a.b",
    b"b",
    b"\xff\xfe",
    b"new\nline",
    b" ",
    b"*",
    b"back\\slash",
    b"-dash",
    b"\x1b[31m",
    &[b'n'; 255],
];

/// Bytes of a file.
#[derive(Clone, Debug)]
pub(crate) enum Bytes {
    Few(Vec<u8>),
    /// Of a seed and a length; nothing repeats.
    Noise(u64, usize),
    Zeros(usize),
    /// Lines that differ little.
    Rows(usize),
}

impl Bytes {
    fn make(&self) -> Vec<u8> {
        match self {
            Self::Few(bytes) => bytes.clone(),
            Self::Noise(seed, len) => {
                let mut state = *seed | 1;
                let next = || {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    state as u8
                };
                std::iter::repeat_with(next).take(*len).collect()
            }
            Self::Zeros(len) => vec![0; *len],
            Self::Rows(count) => {
                (0..*count).flat_map(|n| format!("{n}\tvalue {}\n", n % 7).into_bytes()).collect()
            }
        }
    }
}

/// One of the entries that are there, by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot(usize);

impl Spot {
    fn find(self, root: &Path) -> io::Result<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                }
                found.push(entry.path());
            }
        }
        found.sort();
        let number = self.0.checked_rem(found.len()).ok_or(io::ErrorKind::NotFound)?;
        Ok(found.swap_remove(number))
    }
}

/// One step of growing or changing a tree.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    Folder(PathBuf),
    File(PathBuf, Bytes),
    /// Writes at an offset, which leaves a hole behind the end.
    Write(Spot, u64, Bytes),
    /// Puts bytes in at an offset; what follows moves.
    Insert(Spot, usize, Bytes),
    Append(Spot, Bytes),
    Length(Spot, u64),
    Link(PathBuf, Vec<u8>),
    SecondName(Spot, PathBuf),
    Pipe(PathBuf),
    Mode(Spot, u32),
    Owner(Spot, u32, u32),
    Time(Spot, i64, i64),
    Attribute(Spot, String, Vec<u8>),
    Remove(Spot),
    /// Something of another kind takes its place: a file, a link, or else a folder.
    Turn(Spot, Option<Vec<u8>>, Option<Bytes>),
    Rename(Spot, PathBuf),
}

impl Deed {
    /// Does it below `root`.
    pub(crate) fn apply(&self, root: &Path) {
        // Whatever is in the way, missing or of another kind makes a deed impossible.
        let _ = self.attempt(root);
    }

    fn attempt(&self, root: &Path) -> io::Result<()> {
        match self {
            Self::Folder(path) => fs::create_dir_all(root.join(path)),
            Self::File(path, bytes) => {
                let path = root.join(path);
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder)?;
                }
                plain(&path)?;
                File::create(path)?.write_all_at(&bytes.make(), 0)
            }
            Self::Write(spot, offset, bytes) => open(&spot.find(root)?)?.write_all_at(&bytes.make(), *offset),
            Self::Insert(spot, at, bytes) => {
                let path = spot.find(root)?;
                plain(&path)?;
                let mut content = fs::read(&path)?;
                let at = (*at).min(content.len());
                content.splice(at..at, bytes.make());
                open(&path)?.write_all_at(&content, 0)
            }
            Self::Append(spot, bytes) => {
                let file = open(&spot.find(root)?)?;
                file.write_all_at(&bytes.make(), file.metadata()?.len())
            }
            Self::Length(spot, len) => open(&spot.find(root)?)?.set_len(*len),
            Self::Link(path, target) => symlink(OsStr::from_bytes(target), root.join(path)),
            Self::SecondName(spot, to) => fs::hard_link(spot.find(root)?, root.join(to)),
            Self::Pipe(path) => {
                Ok(mknodat(CWD, root.join(path), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?)
            }
            Self::Mode(spot, mode) => {
                let path = spot.find(root)?;
                if fs::symlink_metadata(&path)?.is_symlink() {
                    return Ok(());
                }
                fs::set_permissions(path, fs::Permissions::from_mode(*mode))
            }
            Self::Owner(spot, uid, gid) => lchown(spot.find(root)?, Some(*uid), Some(*gid)),
            Self::Time(spot, tv_sec, tv_nsec) => {
                let time = Timespec { tv_sec: *tv_sec, tv_nsec: *tv_nsec };
                let times = Timestamps { last_access: time, last_modification: time };
                Ok(utimensat(CWD, spot.find(root)?, &times, AtFlags::SYMLINK_NOFOLLOW)?)
            }
            Self::Attribute(spot, name, value) => xattr::set(spot.find(root)?, name, value),
            Self::Remove(spot) => remove(&spot.find(root)?),
            Self::Turn(spot, link, bytes) => {
                let path = spot.find(root)?;
                remove(&path)?;
                match (link, bytes) {
                    (Some(target), _) => symlink(OsStr::from_bytes(target), path),
                    (None, Some(bytes)) => File::create(path)?.write_all_at(&bytes.make(), 0),
                    (None, None) => fs::create_dir(path),
                }
            }
            Self::Rename(spot, to) => fs::rename(spot.find(root)?, root.join(to)),
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// A regular file, for writing.
fn open(path: &Path) -> io::Result<File> {
    plain(path)?;
    OpenOptions::new().write(true).open(path)
}

/// Fails if something other than a regular file is there: opening a pipe would wait, a link may lead anywhere.
fn plain(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if !meta.is_file() => Err(io::ErrorKind::AlreadyExists.into()),
        _ => Ok(()),
    }
}

fn any_path() -> impl Strategy<Value = PathBuf> {
    let name = select(&NAMES[..]);
    vec(name, 1..4).prop_map(|names| names.into_iter().map(OsStr::from_bytes).collect())
}

fn any_spot() -> impl Strategy<Value = Spot> {
    any::<usize>().prop_map(Spot)
}

fn any_bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..40).prop_map(Bytes::Few),
        3 => (any::<u64>(), 0..200_000_usize).prop_map(|(seed, len)| Bytes::Noise(seed, len)),
        1 => (any::<u64>(), 1_000_000..3_000_000_usize).prop_map(|(seed, len)| Bytes::Noise(seed, len)),
        1 => (0..300_000_usize).prop_map(Bytes::Zeros),
        1 => (0..20_000_usize).prop_map(Bytes::Rows),
    ]
}

fn any_growth() -> impl Strategy<Value = Deed> {
    let target = prop_oneof![
        Just(b"a".to_vec()),
        Just(b"../b".to_vec()),
        Just(b"/does/not/exist".to_vec()),
        vec(1_u8..=255, 1..30)
    ];
    prop_oneof![
        2 => any_path().prop_map(Deed::Folder),
        8 => (any_path(), any_bytes()).prop_map(|(path, bytes)| Deed::File(path, bytes)),
        2 => (any_path(), target).prop_map(|(path, target)| Deed::Link(path, target)),
        2 => (any_spot(), any_path()).prop_map(|(from, to)| Deed::SecondName(from, to)),
        1 => any_path().prop_map(Deed::Pipe),
    ]
}

fn any_change() -> impl Strategy<Value = Deed> {
    // What ext4 can keep: from 1901 to 2446.
    let time = (any_spot(), -2_147_483_648..15_032_385_535_i64, 0..1_000_000_000_i64);
    let name = select(vec!["user.a", "user.\u{f6}", "trusted.t"]);
    let owner = select(vec![0, 1, 1000, 65_534, 4_000_000_000_u32]);
    prop_oneof![
        2 => (any_spot(), 0..2_000_000_u64, any_bytes()).prop_map(|(spot, at, bytes)| Deed::Write(spot, at, bytes)),
        2 => (any_spot(), 0..2_000_000_usize, any_bytes())
            .prop_map(|(spot, at, bytes)| Deed::Insert(spot, at, bytes)),
        1 => (any_spot(), any_bytes()).prop_map(|(spot, bytes)| Deed::Append(spot, bytes)),
        1 => (any_spot(), proptest::option::of(Just(b"b".to_vec())), proptest::option::of(any_bytes()))
            .prop_map(|(spot, link, bytes)| Deed::Turn(spot, link, bytes)),
        1 => (any_spot(), 0..5_000_000_u64).prop_map(|(spot, len)| Deed::Length(spot, len)),
        2 => (any_spot(), 0..0o10000_u32).prop_map(|(spot, mode)| Deed::Mode(spot, mode)),
        1 => (any_spot(), owner.clone(), owner).prop_map(|(spot, uid, gid)| Deed::Owner(spot, uid, gid)),
        2 => time.prop_map(|(spot, seconds, nanos)| Deed::Time(spot, seconds, nanos)),
        1 => (any_spot(), name, vec(any::<u8>(), 0..300))
            .prop_map(|(spot, name, value)| Deed::Attribute(spot, name.to_owned(), value)),
        2 => any_spot().prop_map(Deed::Remove),
        2 => (any_spot(), any_path()).prop_map(|(from, to)| Deed::Rename(from, to)),
    ]
}

/// Any of them.
pub(crate) fn any_deed() -> impl Strategy<Value = Deed> {
    prop_oneof![3 => any_growth(), 2 => any_change()]
}
