//! Where the repository of a kit is, and what it has lost there.
//!
//! What always holds: nothing is written before everything that is there, with what is to be put back, opens with the kit's key.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use chronos_store::backend::{Backend, BackendError, BackendExt, BackendResult, Durability, Entry};
use chronos_store::{ErrorKind, Repository, Secret};

use crate::error::{Error, Result};
use crate::operations::kit::{Copied, Kit, SLOTS};
use crate::workplace::key_file::Key;
use crate::workplace::{CONFIG_OBJECT, Origin, Workplace, exists};

/// The repository of a kit, open.
pub(super) struct Place {
    pub(super) there: Workplace,
    pub(super) repository: Repository,
    /// Objects that it had lost.
    pub(super) put_back: Vec<String>,
}

/// The place that was named, or the first of the kit's where its repository opens.
pub(super) fn find(workplace: &Workplace, kit: &Kit, key: &Key) -> Result<Place> {
    if matches!(workplace.location.origin, Origin::Option | Origin::Variable) {
        return at(workplace.clone(), kit, key);
    }
    let mut first = None;
    for location in &kit.locations {
        match workplace.at(location).and_then(|there| at(there, kit, key)) {
            Ok(place) => return Ok(place),
            Err(Error::NoRepository { .. } | Error::LocationKind { .. }) => {}
            Err(error) => drop(first.get_or_insert(error)),
        }
    }
    Err(first.unwrap_or_else(|| Error::KitNowhere { locations: kit.locations.clone() }))
}

fn at(there: Workplace, kit: &Kit, key: &Key) -> Result<Place> {
    if !is_there(&there)? {
        return Err(Error::NoRepository { location: there.location.shown(), is_own: false });
    }
    let backend = there.backend()?;
    let lost = kit.lost(&*backend)?;
    if lost.is_empty() {
        let repository = kit.opened(&there, backend, key)?;
        return Ok(Place { there, repository, put_back: Vec::new() });
    }
    let objects = lost.iter().map(|object| (object.name.clone(), object.text.clone().into_bytes())).collect();
    let completed = Completed { inner: Arc::clone(&backend), objects };
    // Config and slots may all be of the kit: what they open belongs to it.
    let view = kit.opened(&there, Arc::new(completed), key)?.view()?;
    if view.unreadable().next().is_some() && view.snapshots().next().is_none() {
        return Err(Error::KitRevoked { location: there.location.shown(), slot: kit.slot.clone() });
    }
    let mut put_back = Vec::new();
    for object in lost {
        backend
            .create(&object.name, object.text.as_bytes(), Durability::Now)
            .map_err(|e| Error::from(chronos_store::Error::from(e)))?;
        put_back.push(object.name.clone());
    }
    let repository = kit.opened(&there, backend, key)?;
    Ok(Place { there, repository, put_back })
}

/// Whether there is a repository, perhaps one that has lost its config.
fn is_there(workplace: &Workplace) -> Result<bool> {
    match exists(&*workplace.backend()?) {
        Err(Error::Store(error)) if error.kind() == ErrorKind::Damaged => Ok(true),
        found => found,
    }
}

impl Kit {
    /// What of its copies the repository has lost: its config, and the key slots if there is none. A slot that is not there while
    /// others are was removed on purpose. The kit's own comes first: with it everything opens.
    fn lost(&self, backend: &dyn Backend) -> Result<Vec<&Copied>> {
        let store = |e| Error::from(chronos_store::Error::from(e));
        let mut lost = Vec::new();
        if backend.list(SLOTS, None, 1).map_err(store)?.is_empty() {
            lost.extend(self.objects.iter().filter(|object| object.name.starts_with(SLOTS)));
            lost.sort_by_key(|object| object.name.strip_prefix(SLOTS) != Some(&*self.slot));
        }
        match backend.stat(CONFIG_OBJECT) {
            Err(BackendError::NotFound(_)) => {
                lost.extend(self.objects.iter().filter(|o| o.name == CONFIG_OBJECT));
            }
            found => drop(found.map_err(store)?),
        }
        Ok(lost)
    }

    /// Opens the repository with the kit's own key.
    fn opened(&self, there: &Workplace, backend: Arc<dyn Backend>, key: &Key) -> Result<Repository> {
        let location = there.location.shown();
        match Repository::open(backend, &Secret::Key(*key), there.open_options()) {
            Err(error) if error.kind() == ErrorKind::WrongKey => {
                Err(Error::KitRevoked { location, slot: self.slot.clone() })
            }
            Err(error) => Err(error.into()),
            Ok(repository) if repository.id().to_string() == self.repository => Ok(repository),
            Ok(repository) => {
                let why =
                    format!("it holds repository {}, the kit is of {}", repository.id(), self.repository);
                Err(Error::Value { place: location, why })
            }
        }
    }
}

/// A repository with what it has lost, to be looked at only.
#[derive(Debug)]
struct Completed {
    inner: Arc<dyn Backend>,
    objects: BTreeMap<String, Vec<u8>>,
}

impl Completed {
    fn refused<T>() -> BackendResult<T> {
        Err(BackendError::Invalid("nothing is written before the kit is known to fit".to_owned()))
    }
}

impl Backend for Completed {
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> BackendResult<Vec<Entry>> {
        let mut listed = self.inner.list(prefix, after, limit)?;
        let is_meant = |name: &str| name.starts_with(prefix) && after.is_none_or(|after| name > after);
        let own = self.objects.iter().filter(|(name, _)| is_meant(name));
        listed.extend(own.map(|(name, bytes)| Entry { name: name.clone(), size: bytes.len() as u64 }));
        listed.sort();
        listed.truncate(limit);
        Ok(listed)
    }

    fn stat(&self, name: &str) -> BackendResult<u64> {
        self.objects.get(name).map_or_else(|| self.inner.stat(name), |bytes| Ok(bytes.len() as u64))
    }

    fn read(&self, name: &str, range: Option<Range<u64>>) -> BackendResult<Vec<u8>> {
        let Some(bytes) = self.objects.get(name) else { return self.inner.read(name, range) };
        let Some(range) = range else { return Ok(bytes.clone()) };
        let size = bytes.len() as u64;
        let part = bytes.get(range.start as usize..range.end as usize);
        part.map(<[u8]>::to_vec).ok_or_else(|| BackendError::OutOfRange { name: name.to_owned(), size })
    }

    fn write_new(&self, _name: &str, _bytes: &[u8], _durability: Durability) -> BackendResult<()> {
        Self::refused()
    }

    fn remove(&self, _name: &str) -> BackendResult<()> {
        Self::refused()
    }

    fn sync(&self) -> BackendResult<()> {
        Ok(())
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}
