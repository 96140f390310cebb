//! Opening a kit on a machine that may be empty: key file, configuration, and what there is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chronos_store::Repository;
use jiff::Timestamp;
use serde::Serialize;

use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::operations::Mode;
use crate::operations::kit::Kit;
use crate::operations::kit::mend::told;
use crate::operations::kit::place::{Place, find};
use crate::operations::recover::{Configuration, StepReport};
use crate::values::shown;
use crate::workplace::Workplace;
use crate::workplace::key_file::{self, Key};

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
    /// Objects that the repository had lost, or that were damaged.
    pub put_back: Vec<String>,
    /// The configuration; `None` if it was not brought back.
    pub config: Option<StepReport>,
    /// The configuration that holds from now on.
    pub config_file: Option<PathBuf>,
    /// What is not back, or does not work yet.
    pub errors: Vec<String>,
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
/// [`Error::KitPassword`], [`Error::KitNowhere`], [`Error::KitRevoked`], and what is of another repository, before anything is touched;
/// what cannot be read or written.
pub fn open(workplace: &Workplace, request: &OpenRequest<'_>) -> Result<OpenedKit> {
    let kit = request.kit;
    let key = kit.unseal(request.password)?;
    let Place { there, repository, mended } = find(workplace, kit, &key)?;
    let (key_file, is_known) = keep(&there, kit, &key)?;
    let mut opened = OpenedKit {
        location: there.location.shown(),
        key_file,
        is_known,
        put_back: mended.put_back,
        config: None,
        config_file: there.config_file.clone(),
        errors: Vec::new(),
        warnings: told(&mended.kept).into_iter().collect(),
        snapshots: 0,
        newest: Vec::new(),
    };
    let after = if request.has_config && there.config.targets.is_empty() {
        opened.bring_config(&there, &repository, kit)?
    } else {
        there
    };
    let usual = after.usual_location()?;
    if usual.place != after.location.place {
        opened.warnings.push(format!(
            "other commands look for the repository at {}: give -r {}, or set CHRONOS_REPO",
            usual.shown(),
            opened.location
        ));
    }
    // What opens it without a word from now on is what the next command takes.
    if let Err(error) = after.open() {
        opened.errors.push(format!(
            "other commands do not open the repository yet: {error}; give --key-file {}, or mend what names another secret",
            shown(&opened.key_file)
        ));
    }
    let catalog = Catalog::new(&after.config, repository)?;
    opened.errors.extend(catalog.problems.iter().map(ToString::to_string));
    opened.snapshots = catalog.snapshots.len();
    opened.newest = newest(&catalog);
    Ok(opened)
}

impl OpenedKit {
    /// Brings the configuration back; the place with it.
    fn bring_config(&mut self, there: &Workplace, repository: &Repository, kit: &Kit) -> Result<Workplace> {
        let found = match Configuration::newest(there, repository, Some(&kit.host)) {
            Ok(found) => found,
            Err(error @ Error::NoneGood { .. }) => {
                self.warnings.push(format!("the repository has no configuration: {error}"));
                return Ok(there.clone());
            }
            Err(error) => {
                self.errors.push(format!("the configuration is not back: {error}"));
                return Ok(there.clone());
            }
        };
        let step = found.put_back(repository, Mode::Apply)?;
        self.errors.extend(step.error.iter().map(|error| format!("the configuration is not back: {error}")));
        self.config = Some(step);
        let usual = there.usual_config();
        if usual.as_ref() != Some(&found.file) {
            let file = shown(&found.file);
            self.warnings
                .push(format!("the configuration is not where it is looked for: give --config {file}"));
        }
        self.config_file = Some(found.file.clone());
        there.with_config(found.file, found.config)
    }
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
