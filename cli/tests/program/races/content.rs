//! What each client backs up: trees that follow from a seed, so that whatever is restored can be told right or wrong.
//!
//! All clients draw from the same few blobs: chunks are shared, forgotten, condemned and needed again all the time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Files that a tree may have.
const FILES: u32 = 14;
/// Different contents that a file may have.
const BLOBS: u32 = 36;
/// Shortest and longest of them: from below one chunk to several.
const BLOB_BYTES: (usize, usize) = (300, 90_000);

/// Files and their contents.
pub(crate) type Tree = BTreeMap<PathBuf, Vec<u8>>;

/// One state of the tree of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    /// Of everything.
    pub(crate) seed: u64,
    /// Whose tree.
    pub(crate) client: u32,
    /// Which state of it.
    pub(crate) number: u32,
}

/// A number that follows from others.
fn drawn(from: &[u64]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for n in from {
        hasher.update(&n.to_le_bytes());
    }
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    u64::from_le_bytes(first)
}

/// Numbers that follow from a seed, one after the other.
#[derive(Debug)]
pub(crate) struct Numbers {
    seed: [u64; 2],
    drawn: u64,
}

impl Numbers {
    pub(crate) fn new(seed: u64, of: u64) -> Self {
        Self { seed: [seed, of], drawn: 0 }
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.drawn += 1;
        drawn(&[self.seed[0], self.seed[1], self.drawn]) % limit.max(1)
    }

    /// One of them.
    pub(crate) fn one_of<'t, T>(&mut self, all: &'t [T]) -> Option<&'t T> {
        all.get(self.below(all.len() as u64) as usize)
    }
}

impl Version {
    /// The name of its snapshots.
    pub(crate) fn name(&self) -> String {
        format!("{}-{}-{}", self.seed, self.client, self.number)
    }

    /// What a name says.
    pub(crate) fn named(name: &str) -> Self {
        let mut parts = name.split('-').map(|part| part.parse::<u64>().unwrap());
        let mut next = || parts.next().unwrap();
        Self { seed: next(), client: next() as u32, number: next() as u32 }
    }

    /// The tree. Each file changes every one to five versions, so that some keep their chunk ids without being read.
    pub(crate) fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        for file in 0..FILES {
            let age = self.number / (1 + file % 5);
            let of = [self.seed, u64::from(self.client), u64::from(file), u64::from(age)];
            let choice = drawn(&of);
            if !choice.is_multiple_of(4) {
                let content = blob(self.seed, choice / 4 % u64::from(BLOBS));
                tree.insert(PathBuf::from(format!("d{}/f{file}", file % 3)), content);
            }
        }
        // Never empty, and its own in each version.
        tree.insert("version".into(), self.name().into_bytes());
        tree
    }

    /// Makes `folder` hold the tree; what is there already is not touched.
    pub(crate) fn lay(&self, folder: &Path) {
        let tree = self.tree();
        for (path, _) in read(folder) {
            if !tree.contains_key(&path) {
                fs::remove_file(folder.join(path)).unwrap();
            }
        }
        for (path, bytes) in tree {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if fs::read(&path).ok().as_ref() != Some(&bytes) {
                fs::write(&path, &bytes).unwrap();
            }
        }
    }

    /// Fails unless `folder` holds exactly the tree.
    #[track_caller]
    pub(crate) fn assert_is(&self, folder: &Path) {
        let (wanted, found) = (self.tree(), read(folder));
        let differ = |path: &&PathBuf| wanted.get(*path) != found.get(*path);
        let bad: Vec<&PathBuf> = wanted.keys().chain(found.keys()).filter(differ).collect();
        assert!(bad.is_empty(), "{}: {bad:?} differ", self.name());
    }
}

fn blob(seed: u64, number: u64) -> Vec<u8> {
    let (least, most) = BLOB_BYTES;
    let len = least + drawn(&[seed, number]) as usize % (most - least);
    let mut bytes = vec![0; len];
    blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .update(&number.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// The files below a folder.
fn read(folder: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut open = vec![folder.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().map(|e| e.unwrap()) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                open.push(path);
            } else {
                tree.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    tree
}
