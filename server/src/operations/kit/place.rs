//! Where the repository of a kit is, and what it has lost there.
//!
//! What always holds: nothing is written before everything that is there, with what is to be put back, opens with the kit's key.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use chronos_store::backend::{Backend, BackendError, BackendResult, Durability, Entry};
use chronos_store::{ErrorKind, Repository, Secret};

use crate::error::{Error, Kind, Result};
use crate::operations::kit::Kit;
use crate::operations::kit::mend::{Lost, Mended};
use crate::workplace::key_file::Key;
use crate::workplace::{Origin, Workplace, exists};

/// The repository of a kit, open.
pub(super) struct Place {
    pub(super) there: Workplace,
    pub(super) repository: Repository,
    /// What of it was lost or damaged.
    pub(super) mended: Mended,
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
            Err(Error::NoRepository { .. } | Error::Location(_)) => {}
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
    let mut lost = kit.lost(&there, &*backend)?;
    let mut opened = kit.completed(&there, &backend, &lost, key);
    if opened.as_ref().is_err_and(|error| matches!(error.kind(), Kind::Library(ErrorKind::Damaged))) {
        let is_lost = |other: &Lost<'_>| lost.iter().any(|lost| lost.copy.name == other.copy.name);
        if let Some(other) = kit.other_config(&*backend)?.filter(|other| !is_lost(other)) {
            lost.push(other);
            opened = kit.completed(&there, &backend, &lost, key);
        }
    }
    let repository = opened?;
    if lost.is_empty() {
        kit.settled(&there)?;
        return Ok(Place { there, repository, mended: Mended::default() });
    }
    // Config and slots may all be of the kit: what they open belongs to it.
    let view = repository.view()?;
    if view.unreadable().next().is_some() && view.snapshots().next().is_none() {
        return Err(Error::KitRevoked { location: there.location.shown(), slot: kit.slot.clone() });
    }
    let mended = kit.mend(&there, &*backend, &lost)?;
    let repository = kit.opened(&there, backend, key)?;
    Ok(Place { there, repository, mended })
}

/// Whether there is a repository, perhaps one that has lost its config.
fn is_there(workplace: &Workplace) -> Result<bool> {
    match exists(&*workplace.backend()?) {
        Err(Error::Store(error)) if error.kind() == ErrorKind::Damaged => Ok(true),
        found => found,
    }
}

impl Kit {
    /// Opens the repository as it would be with what it has lost.
    fn completed(
        &self,
        there: &Workplace,
        backend: &Arc<dyn Backend>,
        lost: &[Lost<'_>],
        key: &Key,
    ) -> Result<Repository> {
        if lost.is_empty() {
            return self.opened(there, Arc::clone(backend), key);
        }
        let object = |lost: &Lost<'_>| (lost.copy.name.clone(), lost.copy.text.clone().into_bytes());
        let objects = lost.iter().map(object).collect();
        self.opened(there, Arc::new(Completed { inner: Arc::clone(backend), objects }), key)
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

/// A repository with what it has lost, or whole in place of what is damaged, to be looked at only.
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
        listed.retain(|entry| !self.objects.contains_key(&entry.name));
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
