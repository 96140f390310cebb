//! Classes of content, and how a file's class is found.

use crate::compress::entropy;

const KIB: usize = 1 << 10;

/// How many bytes of a file's head [`ChunkClass::detect`] wants to see.
pub const DETECT_BYTES: usize = 64 * KIB;
/// Length of a page-aligned chunk of a database file: two pages of the usual 4 KiB.
const PAGE_BYTES: u32 = 8 << 10;
/// Least length of a page: shorter ones would cost more to note than to store.
const PAGE_BYTES_MIN: u32 = 4 << 10;
/// Greatest length of a page: every reading thread has a buffer of that size.
const PAGE_BYTES_MAX: u32 = 1 << 20;
/// Files below this are text of no interest to `Db`: they are a chunk or two in any class.
const DB_BYTES_MIN: u64 = 32 << 10;
/// Files below this are not worth the long chunks of `Bulk`.
const BULK_BYTES_MIN: u64 = 8 << 20;
/// Entropy in bits a byte above which a head looks compressed or encrypted.
const BULK_ENTROPY: f64 = 7.85;

/// How the content of one file is cut. Recorded per file, and kept for its later versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChunkClass {
    /// 8 / 32 / 128 KiB: everything that is nothing else.
    Std,
    /// 4 / 16 / 64 KiB: SQL dumps, JSON, CSV, logs.
    Db,
    /// Fixed pages of this many bytes, aligned: `SQLite` files, disk images. A power of two, 4 KiB to 1 MiB.
    Page(u32),
    /// 256 KiB / 1 / 4 MiB: incompressible bulk.
    Bulk,
}

impl ChunkClass {
    /// Least, average and greatest length of a chunk in bytes.
    pub(crate) fn lengths(self) -> (usize, usize, usize) {
        match self {
            Self::Std => (8 * KIB, 32 * KIB, 128 * KIB),
            Self::Db => (4 * KIB, 16 * KIB, 64 * KIB),
            Self::Page(bytes) => (bytes as usize, bytes as usize, bytes as usize),
            Self::Bulk => (256 * KIB, 1024 * KIB, 4096 * KIB),
        }
    }

    /// Fixed pages of so many bytes; `None` if that is no power of two between 4 KiB and 1 MiB.
    pub fn page(bytes: u32) -> Option<Self> {
        let fits = bytes.is_power_of_two() && (PAGE_BYTES_MIN..=PAGE_BYTES_MAX).contains(&bytes);
        fits.then_some(Self::Page(bytes))
    }

    /// The number that stands for the class in stored trees.
    pub fn to_code(self) -> u8 {
        match self {
            Self::Std => 0,
            Self::Db => 1,
            Self::Bulk => 2,
            Self::Page(bytes) => 64 + bytes.max(1).ilog2() as u8,
        }
    }

    /// The class of a stored number; `None` if it is not known.
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Std),
            1 => Some(Self::Db),
            2 => Some(Self::Bulk),
            76..=84 => Some(Self::Page(1 << (code - 64))),
            _ => None,
        }
    }

    /// The class that fits a file best, from the end of its name, the first [`DETECT_BYTES`] of it, and its size if known.
    pub fn detect(name: &[u8], head: &[u8], size: Option<u64>) -> Self {
        let size = size.unwrap_or(u64::MAX);
        if head.starts_with(b"SQLite format 3\0") {
            return Self::Page(sqlite_chunk(head));
        }
        if size > BULK_BYTES_MIN && entropy(head) > BULK_ENTROPY {
            return Self::Bulk;
        }
        if size > DB_BYTES_MIN && (is_dump_name(name) || is_dump(head)) && is_text(head) {
            return Self::Db;
        }
        Self::Std
    }
}

/// Two pages, at least [`PAGE_BYTES`], at most 128 KiB. The page size is at offset 16 of the header, 1 meaning 64 KiB.
fn sqlite_chunk(head: &[u8]) -> u32 {
    let page = match head.get(16..18) {
        Some(&[0, 1]) => 1 << 16,
        Some(&[high, low]) => u32::from(high) << 8 | u32::from(low),
        _ => 0,
    };
    if page.is_power_of_two() { (2 * page).max(PAGE_BYTES) } else { PAGE_BYTES }
}

fn is_dump_name(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    [&b".sql"[..], b".json", b".jsonl", b".ndjson", b".csv", b".tsv", b".log", b".dump"]
        .iter()
        .any(|end| name.ends_with(end))
}

fn is_dump(head: &[u8]) -> bool {
    [
        &b"--\n-- PostgreSQL database"[..],
        b"-- MySQL dump",
        b"-- MariaDB dump",
        b"BEGIN TRANSACTION;",
        b"PRAGMA foreign_keys",
        b"PGDMP",
    ]
    .iter()
    .any(|start| head.starts_with(start))
        || matches!(head.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// No NUL among the first bytes, and few other control characters. Archives of `pg_dump -Fc -Z0` begin with binary
/// fields and count as text by their name.
fn is_text(head: &[u8]) -> bool {
    if head.starts_with(b"PGDMP") {
        return true;
    }
    let control = head.iter().filter(|b| matches!(b, 0..=8 | 14..=26 | 28..=31)).count();
    !head.contains(&0) && control * 100 <= head.len()
}
