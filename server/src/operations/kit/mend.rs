//! What a repository has lost of what opens it, from the copies of a kit.
//!
//! What always holds: what is going to be put back is noted on this host before the first of it is written, so that the next opening
//! of the kit goes on where one ended; what was damaged is kept on this host before it goes.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use chronos_store::backend::{Backend, BackendError, BackendExt, Durability};
use chronos_store::{ErrorKind, check_opener, durable};

use crate::error::{Error, Result};
use crate::operations::kit::{Copied, Kit, SLOTS};
use crate::values::shown;
use crate::workplace::{CONFIG_OBJECT, Workplace};

/// How the name of a note of what is being put back begins; where it is put back follows.
const NOTE: &str = "putting-back";
/// Digits that tell places, and damaged objects of one name, apart.
const DIGITS: usize = 16;

/// An object of the repository that is gone or damaged, and of which the kit has a copy.
pub(super) struct Lost<'k> {
    pub(super) copy: &'k Copied,
    /// What is there in its place.
    damaged: Option<Vec<u8>>,
}

/// What was put back.
#[derive(Default)]
pub(super) struct Mended {
    /// The objects.
    pub(super) put_back: Vec<String>,
    /// Where on this host those are that were damaged.
    pub(super) kept: Vec<PathBuf>,
}

impl Kit {
    /// What of its copies the repository has lost: what is damaged, its config, and the key slots if there is none. A slot that is not
    /// there while others are was removed on purpose, unless it was going to be put back. The kit's own comes first: with it everything
    /// opens.
    pub(super) fn lost(&self, there: &Workplace, backend: &dyn Backend) -> Result<Vec<Lost<'_>>> {
        let store = |e| Error::from(chronos_store::Error::from(e));
        let has_slots = !backend.list(SLOTS, None, 1).map_err(store)?.is_empty();
        let begun = noted(&self.note(there))?;
        let mut lost = Vec::new();
        for copy in &self.objects {
            match backend.read(&copy.name, None) {
                Ok(bytes) => {
                    let wrong = check_opener(&copy.name, &bytes).err();
                    if wrong.is_some_and(|error| error.kind() == ErrorKind::Damaged) {
                        lost.push(Lost { copy, damaged: Some(bytes) });
                    }
                }
                Err(BackendError::NotFound(_)) => {
                    if copy.name == CONFIG_OBJECT || !has_slots || begun.contains(&copy.name) {
                        lost.push(Lost { copy, damaged: None });
                    }
                }
                Err(error) => return Err(store(error)),
            }
        }
        lost.sort_by_key(|lost| {
            (lost.copy.name == CONFIG_OBJECT, lost.copy.name.strip_prefix(SLOTS) != Some(&*self.slot))
        });
        Ok(lost)
    }

    /// The config that is there, where it is of this repository and another one than the kit has: the keys alone can tell which of
    /// them is right.
    pub(super) fn other_config(&self, backend: &dyn Backend) -> Result<Option<Lost<'_>>> {
        let Some(copy) = self.objects.iter().find(|copy| copy.name == CONFIG_OBJECT) else { return Ok(None) };
        let there = backend.read(CONFIG_OBJECT, None).map_err(chronos_store::Error::from)?;
        let is_own = String::from_utf8_lossy(&there).contains(&self.repository);
        let is_other = is_own && there != copy.text.as_bytes();
        Ok(is_other.then_some(Lost { copy, damaged: Some(there) }))
    }

    /// Puts back what is lost.
    pub(super) fn mend(&self, there: &Workplace, backend: &dyn Backend, lost: &[Lost<'_>]) -> Result<Mended> {
        let note = self.note(there);
        let folder = self.folder(there);
        durable::create_folder(&folder)?;
        let names: Vec<&str> = lost.iter().map(|lost| &*lost.copy.name).collect();
        // Texts can always be written.
        durable::replace(&note, &serde_json::to_vec(&names).unwrap_or_default())?;
        let mut mended = Mended::default();
        let store = |e| Error::from(chronos_store::Error::from(e));
        for Lost { copy, damaged } in lost {
            if let Some(bytes) = damaged {
                mended.kept.push(keep(&folder, &copy.name, bytes)?);
                backend.remove(&copy.name).map_err(store)?;
            }
            backend.create(&copy.name, copy.text.as_bytes(), Durability::Now).map_err(store)?;
            mended.put_back.push(copy.name.clone());
        }
        durable::remove(&note)?;
        Ok(mended)
    }

    /// Forgets what was being put back there: nothing is lost any more.
    pub(super) fn settled(&self, there: &Workplace) -> Result<()> {
        Ok(durable::remove(&self.note(there))?)
    }

    fn note(&self, there: &Workplace) -> PathBuf {
        self.folder(there).join(format!("{NOTE}-{}.json", digits(there.location.shown().as_bytes())))
    }

    fn folder(&self, there: &Workplace) -> PathBuf {
        there.places.state.join("kit").join(&self.repository)
    }
}

/// What was going to be put back when somebody last tried.
fn noted(note: &Path) -> Result<BTreeSet<String>> {
    let unread = |error| Error::local(note, error);
    match std::fs::read(note) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        read => serde_json::from_slice(&read.map_err(unread)?).map_err(|error| unread(error.into())),
    }
}

/// Keeps what is damaged; who knows what can still be read of it.
fn keep(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let path = folder.join(format!("{}-{}", name.replace('/', "-"), digits(bytes)));
    durable::replace(&path, bytes)?;
    Ok(path)
}

fn digits(of: &[u8]) -> String {
    blake3::hash(of).to_hex().chars().take(DIGITS).collect()
}

/// What is said of what was damaged and is kept.
pub(super) fn told(kept: &[PathBuf]) -> Option<String> {
    let paths: Vec<String> = kept.iter().map(|path| shown(path)).collect();
    (!paths.is_empty()).then(|| format!("what was damaged in the repository is kept in {}", paths.join(", ")))
}
