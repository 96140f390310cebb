//! Opening a kit on a machine that may be empty: key file, configuration, and what there is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chronos_store::backend::{Backend, BackendError, BackendExt, Durability};
use chronos_store::{ErrorKind, Repository, Secret};
use jiff::Timestamp;
use serde::Serialize;

use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::operations::Mode;
use crate::operations::kit::{CONFIG, Kit, SLOTS};
use crate::operations::recover::{Configuration, StepReport};
use crate::workplace::key_file::{self, Key};
use crate::workplace::{Origin, Workplace, exists};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct OpenRequest<'a> {
    /// The kit.
    pub kit: &'a Kit,
    /// Its password.
    pub password: &'a str,
    /// Whether the configuration comes back where none is.
    pub has_config: bool,
}

/// What an opened kit has brought back.
#[derive(Debug)]
pub struct OpenedKit {
    /// Where the repository is.
    pub location: String,
    /// The key file that opens it.
    pub key_file: PathBuf,
    /// Whether the key file was there.
    pub is_known: bool,
    /// Objects that the repository had lost.
    pub put_back: Vec<String>,
    /// The configuration; `None` if it was not brought back.
    pub config: Option<StepReport>,
    /// Its file, which holds also where none was brought back.
    pub config_file: Option<PathBuf>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// How many snapshots there are.
    pub snapshots: usize,
    /// The newest good one of each target.
    pub newest: Vec<Newest>,
}

/// The newest good snapshot of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Newest {
    /// The target.
    pub target: String,
    /// The snapshot.
    pub backup_id: String,
    /// When it was taken, RFC 3339.
    pub taken_at: String,
}

/// Opens a kit: what is there stays, and can be opened again.
///
/// # Errors
/// [`Error::KitPassword`], before anything is touched; [`Error::KitNowhere`]; what cannot be read or written.
pub fn open(workplace: &Workplace, request: &OpenRequest<'_>) -> Result<OpenedKit> {
    let kit = request.kit;
    let key = kit.unseal(request.password)?;
    let there = place(workplace, kit)?;
    let put_back = kit.put_back(&*there.backend()?)?;
    let repository = kit.opened(&there, &key)?;
    let (key_file, is_known) = keep(&there, kit, &key)?;
    let mut warnings = Vec::new();
    let mut config = None;
    let mut config_file = there.config_file.clone();
    if request.has_config && there.config.targets.is_empty() {
        match Configuration::newest(&there, &repository) {
            Ok(found) => {
                config = Some(found.put_back(&repository, Mode::Apply)?);
                config_file = Some(found.file.clone());
                let named = found.config.repository.location.as_deref();
                if named.is_some_and(|named| {
                    there.at(named).is_ok_and(|at| at.location.path != there.location.path)
                }) {
                    warnings.push(format!(
                        "the configuration names {} as the repository: change that, or give -r {}",
                        named.unwrap_or_default(),
                        there.location.shown()
                    ));
                }
            }
            Err(Error::NoneGood { .. }) => warnings.push(
                "the repository has no configuration: none was there, or target chronos was never backed up"
                    .to_owned(),
            ),
            Err(error) => warnings.push(format!("the configuration is not back: {error}")),
        }
    }
    let catalog = Catalog::new(&there.config, repository)?;
    warnings.extend(catalog.problems.iter().map(ToString::to_string));
    Ok(OpenedKit {
        location: there.location.shown(),
        key_file,
        is_known,
        put_back,
        config,
        config_file,
        warnings,
        snapshots: catalog.snapshots.len(),
        newest: newest(&catalog),
    })
}

/// Where the repository is: the place that was named, or the first of the kit's where one is.
fn place(workplace: &Workplace, kit: &Kit) -> Result<Workplace> {
    if matches!(workplace.location.origin, Origin::Option | Origin::Variable) {
        if is_there(workplace)? {
            return Ok(workplace.clone());
        }
        return Err(Error::NoRepository { location: workplace.location.shown(), is_own: false });
    }
    for location in &kit.locations {
        // A place of a kind that cannot be used here is passed over like one that is not reached.
        if let Ok(there) = workplace.at(location)
            && is_there(&there)?
        {
            return Ok(there);
        }
    }
    Err(Error::KitNowhere { locations: kit.locations.clone() })
}

/// Whether there is a repository, perhaps one that has lost its config.
fn is_there(workplace: &Workplace) -> Result<bool> {
    match exists(&*workplace.backend()?) {
        Err(Error::Store(error)) if error.kind() == ErrorKind::Damaged => Ok(true),
        found => found,
    }
}

impl Kit {
    /// Puts back what the repository has lost of its config and its key slots; gives their names. A slot that is not there while others
    /// are was removed on purpose.
    fn put_back(&self, backend: &dyn Backend) -> Result<Vec<String>> {
        let store = |e| Error::from(chronos_store::Error::from(e));
        let has_slots = !backend.list(SLOTS, None, 1).map_err(store)?.is_empty();
        let mut made = Vec::new();
        for object in &self.objects {
            let is_slot = object.name.strip_prefix(SLOTS).is_some_and(is_plain);
            let is_wanted = if is_slot { !has_slots } else { object.name == CONFIG };
            if !is_wanted {
                continue;
            }
            match backend.create(&object.name, object.text.as_bytes(), Durability::Now) {
                Ok(()) => made.push(object.name.clone()),
                Err(BackendError::AlreadyExists(_)) => {}
                Err(error) => return Err(store(error)),
            }
        }
        Ok(made)
    }

    /// Opens the repository with the kit's own key.
    fn opened(&self, there: &Workplace, key: &Key) -> Result<Repository> {
        let opened = there.open_with(&there.location.path, &Secret::Key(*key));
        let location = there.location.shown();
        let repository = match opened {
            Err(Error::Store(error)) if error.kind() == ErrorKind::WrongKey => {
                return Err(Error::KitRevoked { location, slot: self.slot.clone() });
            }
            opened => opened?,
        };
        if repository.id().to_string() != self.repository {
            let why = format!("it holds repository {}, the kit is of {}", repository.id(), self.repository);
            return Err(Error::Value { place: location, why });
        }
        Ok(repository)
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Writes the key file, unless it is there.
fn keep(there: &Workplace, kit: &Kit, key: &Key) -> Result<(PathBuf, bool)> {
    let path = there.places.keys().join(format!("{}-{}.key", kit.repository, kit.slot));
    if is_same(&path, key) {
        return Ok((path, true));
    }
    key_file::create(&path, key, &there.location.shown())?;
    Ok((path, false))
}

fn is_same(path: &Path, key: &Key) -> bool {
    key_file::read(path).is_ok_and(|there| there == *key)
}

fn newest(catalog: &Catalog) -> Vec<Newest> {
    let mut by_target: BTreeMap<&str, (Timestamp, &str)> = BTreeMap::new();
    for snapshot in catalog.snapshots.iter().filter(|s| s.is_good() && !s.is_before_rollback()) {
        let manifest = &snapshot.manifest;
        let found = (snapshot.taken_at(), &*manifest.backup_id);
        by_target.entry(&manifest.target).and_modify(|best| *best = found.max(*best)).or_insert(found);
    }
    let told = |(target, (taken_at, id)): (&str, (Timestamp, &str))| Newest {
        target: target.to_owned(),
        backup_id: id.to_owned(),
        taken_at: taken_at.to_string(),
    };
    by_target.into_iter().map(told).collect()
}
