//! The configuration that a repository has of the machine, in its newest snapshots of target `chronos`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use chronos_snapshot::{
    ByteRange, NodeKind, RestoreOptions, RestoreReport, Snapshot, Strategy, TreePath, restore,
};
use chronos_store::Repository;

use crate::catalog::Catalog;
use crate::config::{Config, FILE_BYTES_MAX, OWN_CONFIG, OWN_TARGET};
use crate::error::{Error, Result};
use crate::operations::Mode;
use crate::operations::recover::millis;
use crate::operations::recover::order::Phase;
use crate::operations::recover::report::{StepReport, StepState};
use crate::values::shown;
use crate::workplace::Workplace;

/// The configuration that the repository has of the machine.
pub(crate) struct Configuration {
    pub(crate) snapshot: Snapshot,
    /// Where it was.
    pub(crate) file: PathBuf,
    /// What it says.
    pub(crate) bytes: Vec<u8>,
    /// What that means.
    pub(crate) config: Config,
}

fn none() -> Error {
    Error::NoneGood { target: Some(OWN_TARGET.to_owned()), components: vec![OWN_CONFIG.to_owned()] }
}

/// Whether a snapshot is a good one of a configuration.
fn has_configuration(snapshot: &Snapshot) -> bool {
    snapshot.manifest.target == OWN_TARGET
        && snapshot.is_good()
        && !snapshot.is_before_rollback()
        && snapshot.manifest.sources.iter().any(|source| source.name == OWN_CONFIG && !source.failed)
}

/// Of which host the configuration is meant; `None`: there is none.
fn meant_host<'s>(all: &[&'s Snapshot], host: Option<&str>) -> Result<Option<&'s str>> {
    let hosts: BTreeSet<&str> = all.iter().map(|s| &*s.manifest.host).collect();
    if let Some(own) = hosts.iter().find(|one| Some(**one) == host) {
        return Ok(Some(own));
    }
    if hosts.len() > 1 {
        let why = format!(
            "it has configurations of several hosts ({}): bring back the one that is meant by `chronos restore ID --strategy merge`, \
             with an ID of `chronos snapshots --target {OWN_TARGET}`, and rebuild then",
            hosts.into_iter().collect::<Vec<_>>().join(", ")
        );
        return Err(Error::Value { place: "backup_source".to_owned(), why });
    }
    Ok(hosts.into_iter().next())
}

impl Configuration {
    /// The newest good one that the repository has; of several hosts that of `host`.
    ///
    /// # Errors
    /// [`Error::NoneGood`]; several hosts' configurations.
    pub(crate) fn newest(there: &Workplace, repository: &Repository, host: Option<&str>) -> Result<Self> {
        let catalog = Catalog::new(&there.config, repository.clone())?;
        let all: Vec<&Snapshot> = catalog.snapshots.iter().filter(|s| has_configuration(s)).collect();
        let host = meant_host(&all, host)?;
        let of_host = all.into_iter().filter(|s| Some(&*s.manifest.host) == host);
        let snapshot = of_host.max_by_key(|s| s.taken_at()).ok_or_else(none)?;
        Self::of(&catalog, snapshot)
    }

    /// That of a snapshot: the first of its files that is one.
    fn of(catalog: &Catalog, snapshot: &Snapshot) -> Result<Self> {
        let manifest = &snapshot.manifest;
        let source = manifest.sources.iter().find(|source| source.name == OWN_CONFIG).ok_or_else(none)?;
        let paths = if source.paths.is_empty() { &manifest.paths } else { &source.paths };
        let tree = catalog.tree(snapshot);
        let mut why = none();
        let mut link = None;
        // Beside the configuration itself there is what it names, and what stands behind links.
        for (at, path) in paths.iter().flat_map(|shown| TreePath::of_shown(shown)).enumerate() {
            let place = || Path::new("/").join(OsStr::from_bytes(path.as_bytes()));
            match tree.get(&path)?.map(|node| node.kind) {
                Some(NodeKind::File(content)) if content.size <= FILE_BYTES_MAX => {}
                // The configuration stands first: where it is a link, its content is somewhere behind.
                Some(NodeKind::Symlink(_)) if at == 0 => {
                    link = Some(place());
                    continue;
                }
                _ => continue,
            }
            let mut bytes = Vec::new();
            tree.cat(&path, ByteRange::ALL, &mut bytes)?;
            let file = link.clone().unwrap_or_else(place);
            match Config::parse(&String::from_utf8_lossy(&bytes), &file) {
                Ok(config) if !config.targets.is_empty() => {
                    return Ok(Self { snapshot: snapshot.clone(), file, bytes, config });
                }
                Err(error) if path.as_bytes().ends_with(b".toml") => why = error,
                _ => {}
            }
        }
        Err(why)
    }

    /// Puts its files back to where they were; what is there stays.
    pub(crate) fn put_back(&self, repository: &Repository, mode: Mode) -> Result<StepReport> {
        let began = Instant::now();
        let options = RestoreOptions {
            sources: vec![OWN_CONFIG.to_owned()],
            strategy: Strategy::Merge,
            dry_run: mode.is_dry(),
            ..RestoreOptions::default()
        };
        let report = restore(repository, &self.snapshot, &options)?;
        let error = self.lacks(&report, mode);
        let manifest = &self.snapshot.manifest;
        Ok(StepReport {
            phase: Phase::Config,
            target: OWN_TARGET.to_owned(),
            sources: vec![OWN_CONFIG.to_owned()],
            backup_id: manifest.backup_id.clone(),
            taken_at: Some(self.snapshot.taken_at().to_string()),
            status: match (mode, &error) {
                (Mode::DryRun, _) => StepState::NotBegun,
                (Mode::Apply, None) => StepState::Completed,
                (Mode::Apply, Some(_)) => StepState::Partial,
            },
            rollback_id: None,
            pre_rollback_backup: None,
            duration_ms: millis(began),
            health: None,
            restarted: None,
            error,
            restored: None,
        })
    }

    /// Why the configuration is not back as it was.
    fn lacks(&self, report: &RestoreReport, mode: Mode) -> Option<String> {
        if mode.is_dry() {
            return None;
        }
        let file = shown(&self.file);
        match std::fs::read(&self.file) {
            Ok(bytes) if bytes == self.bytes => {}
            Ok(_) => {
                return Some(format!(
                    "another configuration stands at {file} and was left: move it away, and rebuild again"
                ));
            }
            Err(error) => return Some(format!("{file}: {error}")),
        }
        report.errors.first().map(|first| format!("{}: {}", first.path, first.error))
    }
}
