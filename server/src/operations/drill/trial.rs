//! A drill that goes on: one source of a snapshot after the other, each in the scratch place.

use std::cell::{Cell, OnceCell, RefCell};
use std::path::PathBuf;

use chronos_connect::postgres::Cluster;
use chronos_snapshot::{ErrorKind, Snapshot, SourceResult, Tree, TreePath};
use chronos_store::check_cancelled;

use crate::catalog::Catalog;
use crate::config::{DrillRules, Source, TargetConfig};
use crate::error::{Kind, Result};
use crate::operations::drill::findings::{Findings, shortened, verdict};
use crate::operations::drill::report::SourceProof;
use crate::operations::drill::rows::Rows;
use crate::operations::drill::scratch::Scratch;
use crate::operations::drill::{databases, files, imported, keys, milliseconds, workflows};
use crate::state::DrillStatus;
use crate::workplace::Workplace;

/// How much of a scratch place a database takes for each byte of its dump, indexes and logs included.
pub(super) const DATABASE_FACTOR: u64 = 3;
/// What an empty server takes, in bytes.
pub(super) const CLUSTER_BYTES: u64 = 100 << 20;

/// A drill that goes on.
pub(super) struct Trial<'w> {
    pub(super) workplace: &'w Workplace,
    pub(super) catalog: &'w Catalog,
    pub(super) snapshot: &'w Snapshot,
    pub(super) tree: Tree,
    /// Where it goes; absent: into the scratch place.
    into: Option<&'w TargetConfig>,
    sources: Vec<SourceResult>,
    /// These are all of them.
    is_whole: bool,
    // Ends before its folder goes.
    pub(super) cluster: OnceCell<std::result::Result<Cluster, String>>,
    /// Databases that were made in it.
    pub(super) databases: Cell<usize>,
    /// Rows of the databases of the source that is tried.
    pub(super) counted: RefCell<Vec<(String, Rows)>>,
    pub(super) scratch: Scratch,
}

impl<'w> Trial<'w> {
    /// `only`: these sources of it; empty: all.
    pub(super) fn begin(
        workplace: &'w Workplace,
        catalog: &'w Catalog,
        snapshot: &'w Snapshot,
        into: Option<&'w TargetConfig>,
        only: &[String],
    ) -> Result<Self> {
        let manifest = &snapshot.manifest;
        let sources = match &*manifest.sources {
            // A snapshot of before there were several.
            [] => vec![SourceResult {
                name: manifest.target.clone(),
                kind: "files".to_owned(),
                files: manifest.files,
                size: manifest.size_bytes,
                ..SourceResult::default()
            }],
            named => named.iter().filter(|s| only.is_empty() || only.contains(&s.name)).cloned().collect(),
        };
        let is_elsewhere = |source: &SourceResult| {
            let sources = into.into_iter().flat_map(|into| &into.sources);
            let mut kinds = sources.map(|live| live.kind.name());
            kinds.any(|kind| kind == source.kind && kind != "n8n")
        };
        let needed = |source: &SourceResult| match &*source.kind {
            _ if is_elsewhere(source) => 0,
            "postgres" => source.size.saturating_mul(DATABASE_FACTOR).saturating_add(CLUSTER_BYTES),
            _ => source.size,
        };
        let needed = sources.iter().map(needed).fold(0, u64::saturating_add);
        let scratch = Scratch::new(workplace, catalog.repository.monitor(), needed)?;
        let tree = catalog.tree(snapshot);
        let (cluster, databases, counted) = (OnceCell::new(), Cell::new(0), RefCell::default());
        let is_whole = only.is_empty();
        Ok(Self {
            workplace,
            catalog,
            snapshot,
            tree,
            into,
            sources,
            is_whole,
            cluster,
            databases,
            counted,
            scratch,
        })
    }

    pub(super) fn run(&self) -> Result<Vec<SourceProof>> {
        let monitor = self.catalog.repository.monitor();
        monitor.phase("drill");
        let clock = &self.workplace.env.clock;
        let mut proofs = Vec::new();
        for (number, source) in self.sources.iter().enumerate() {
            check_cancelled(&**monitor)?;
            monitor.item(source.name.as_bytes());
            let began = clock.now();
            let mut found = Findings::default();
            match self.prove(number, source, &mut found) {
                Err(error) if error.kind() == Kind::Library(ErrorKind::Interrupted) => return Err(error),
                Err(error) => found.blame("it was not restored", &verdict(&error)),
                Ok(()) => {}
            }
            // What was stopped has proven nothing, in either way.
            check_cancelled(&**monitor)?;
            let status = found.status();
            if status == DrillStatus::Passed {
                self.keep_rows(source);
            } else {
                self.forget_rows();
            }
            let proof = found.proof;
            proofs.push(SourceProof {
                source: source.name.clone(),
                kind: source.kind.clone(),
                status,
                duration_ms: milliseconds(began, clock.now()),
                proven: proof.facts,
                not_tried: shortened(proof.not_tried),
                errors: shortened(proof.failures),
                part: None,
            });
        }
        if self.is_whole {
            proofs.extend(self.unmet());
        }
        Ok(proofs)
    }

    /// Sources that should be in the snapshot, as what they have to hold is configured, and are not.
    fn unmet(&self) -> Vec<SourceProof> {
        let manifest = &self.snapshot.manifest;
        let Some(target) = self.workplace.config.target(&manifest.target) else { return Vec::new() };
        let is_there = |source: &&Source| self.sources.iter().any(|s| s.name == source.name);
        // A snapshot of some components alone is one of those.
        let is_meant = |source: &&Source| {
            manifest.scope.is_empty()
                || manifest.scope.iter().any(|component| component == source.component())
        };
        let unmet = target.sources.iter().filter(|s| !s.drills.is_empty() && !is_there(s)).filter(is_meant);
        let proof = |source: &Source| SourceProof {
            source: source.name.clone(),
            kind: source.kind.name().to_owned(),
            status: DrillStatus::Partial,
            duration_ms: 0,
            proven: Vec::new(),
            not_tried: vec![
                "what it has to hold is configured, and this snapshot does not have it: back the target up"
                    .to_owned(),
            ],
            ..SourceProof::default()
        };
        unmet.map(proof).collect()
    }

    fn prove(&self, number: usize, source: &SourceResult, found: &mut Findings) -> Result<()> {
        if source.failed {
            let why = source.error.as_deref().unwrap_or("it does not say why");
            found.fails(format!("the snapshot does not have all of it: {why}"));
        }
        self.compare_with_earlier(source, found);
        if let Some(into) = self.into.filter(|_| source.kind != "n8n")
            && self.put(into, source, found)?
        {
            return Ok(());
        }
        if source.kind == "postgres" {
            return databases::stored(self, source, found);
        }
        if source.files == 0 {
            found.holds("it holds no file");
            return Ok(());
        }
        let Some(place) = files::restored(self, number, source, found)? else { return Ok(()) };
        match &*source.kind {
            "sqlite" => databases::lite(self, source, &place, found),
            "n8n" => {
                workflows::stored(&place, found)?;
                keys::tried(self, &place, found)?;
                match self.into {
                    Some(into) if self.put(into, source, found)? => Ok(()),
                    _ => imported::tried(self, &place, found),
                }
            }
            "command" | "stdin" => databases::dumps(self, source, &place, found),
            _ => Ok(()),
        }
    }

    /// What was there and is gone altogether was lost on the way. Folders are emptied by people.
    fn compare_with_earlier(&self, source: &SourceResult, found: &mut Findings) {
        if source.kind == "files" || amount(source) > 0 {
            return;
        }
        let manifest = &self.snapshot.manifest;
        let earlier = self.catalog.snapshots.iter().rev().filter(|s| {
            s.manifest.target == manifest.target && s.is_good() && s.taken_at() < self.snapshot.taken_at()
        });
        let had = |snapshot: &&Snapshot| {
            let same = |s: &&SourceResult| s.name == source.name && amount(s) > 0;
            snapshot.manifest.sources.iter().any(|s| same(&s))
        };
        if let Some(full) = earlier.into_iter().find(had) {
            found.fails(format!("it is empty, and in {} it was not", full.manifest.backup_id));
        }
    }

    /// The source as it is configured now.
    pub(super) fn configured(&self, source: &SourceResult) -> Option<&'w Source> {
        let target = self.workplace.config.target(&self.snapshot.manifest.target)?;
        target.sources.iter().find(|s| s.name == source.name)
    }

    /// What its databases have to hold.
    pub(super) fn rules(&self, source: &SourceResult) -> &'w [DrillRules] {
        self.configured(source).map_or(&[], |s| &s.drills)
    }

    /// Where the files of a source are put.
    pub(super) fn place(&self, number: usize) -> PathBuf {
        self.scratch.private().join(format!("files-{number}"))
    }
}

/// The folder of what a connector gave.
pub(super) fn folder(source: &SourceResult) -> Result<TreePath> {
    Ok(TreePath::new(source.name.as_str())?)
}

/// How much a source gave: of an n8n its workflows, of all others bytes.
fn amount(source: &SourceResult) -> u64 {
    let workflows = source.parts.iter().filter(|part| part.kind == "workflows");
    match source.kind.as_str() {
        "n8n" => workflows.filter_map(|part| part.count).sum(),
        _ => source.size,
    }
}
