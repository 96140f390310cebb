//! Drills: a snapshot is restored into a scratch place and proven there, source by source, so that a restore that is needed has been tried.
//!
//! What always holds: nothing of a live system is written or even asked; the scratch place is gone afterwards, and what a killed process
//! left of one goes with the next drill or start of the service. A drill passes only if every part of it was tried and holds.

mod databases;
mod files;
mod imported;
mod keys;
mod record;
mod recovery;
mod rows;
mod scratch;
mod server;
mod workflows;

use std::cell::{Cell, OnceCell, RefCell};
use std::path::PathBuf;

use chronos_connect::postgres::Cluster;
use chronos_connect::{Proof, Verdict};
use chronos_snapshot::{ErrorKind, Snapshot, SourceResult, Tree, TreePath};
use chronos_store::{Monitor, Repository, check_cancelled};
use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Chosen, rfc3339, target_name};
use crate::config::{DrillRules, Source};
use crate::error::{Error, Kind, Result};
use crate::operations::recover::Phase;
use crate::operations::restore::ALL;
use crate::state::{DrillFilter, DrillStatus, State};
use crate::turn::Turn;
use crate::workplace::Workplace;

use record::{Begun, mark, settle};
pub use recovery::drill_recovery;
use rows::Rows;
use scratch::Scratch;

/// How much of a scratch place a database takes for each byte of its dump, indexes and logs included.
const DATABASE_FACTOR: u64 = 3;
/// What an empty server takes, in bytes.
const CLUSTER_BYTES: u64 = 100 << 20;
/// One drill at a time.
const TURN: &str = "drill";
/// Findings of one source that are told; the rest is counted.
const ERRORS_MAX: usize = 20;

/// What came of one source.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SourceProof {
    /// Its name.
    pub source: String,
    /// `files`, `command`, `n8n`, `postgres`, `sqlite`.
    pub kind: String,
    /// What came of it.
    pub status: DrillStatus,
    /// How long that took.
    pub duration_ms: u64,
    /// What holds.
    pub proven: Vec<String>,
    /// What could not be tried here, and what is missing for that.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub not_tried: Vec<String>,
    /// What does not hold.
    pub errors: Vec<String>,
    /// Of a drill of the whole recovery: where it comes in its order, and from what.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub part: Option<RecoveryPart>,
}

impl SourceProof {
    /// For people.
    pub fn shown(&self) -> String {
        match &self.part {
            Some(part) => format!("{}: {}", part.target, self.source),
            None => self.source.clone(),
        }
    }
}

/// A source in a drill of the whole recovery.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RecoveryPart {
    /// Its place in the order.
    pub phase: Phase,
    /// Its target.
    pub target: String,
    /// The snapshot that it came from; empty if there is none.
    pub backup_id: String,
}

/// What came of a drill. What is serialised are the fields of `drill --json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Drilled {
    /// The snapshot, by its name; `latest` of the whole recovery.
    pub backup_id: String,
    /// Its content id; empty of the whole recovery.
    pub snapshot: String,
    /// Its target; `all` of the whole recovery.
    pub target: String,
    /// What came of it.
    pub status: DrillStatus,
    /// When it began.
    pub began_at: Option<String>,
    /// How long it took until everything was back and looked at: the measured recovery time.
    pub duration_ms: u64,
    /// Logical bytes that were restored.
    pub size_bytes: u64,
    /// Since when the snapshot counts as proven; `null` if it does not.
    pub proven_at: Option<String>,
    /// What came of each source.
    pub sources: Vec<SourceProof>,
    /// What does not hold or could not be tried, each with its source.
    pub errors: Vec<String>,
}

/// Restores a snapshot for trial, keeps the outcome with it and in the history of this host, and tells of it.
///
/// # Errors
/// What keeps a drill from being made at all: no room, no scratch place, an order to stop.
pub fn drill(workplace: &Workplace, catalog: &Catalog, snapshot: &Snapshot) -> Result<Drilled> {
    let _turn = turn(workplace, catalog)?;
    let manifest = &snapshot.manifest;
    let begun = Begun::new(
        workplace,
        &catalog.repository,
        Drilled {
            backup_id: manifest.backup_id.clone(),
            snapshot: snapshot.id.to_string(),
            target: manifest.target.clone(),
            size_bytes: manifest.size_bytes,
            ..Drilled::default()
        },
    );
    match Trial::begin(workplace, catalog, snapshot, &[]).and_then(|trial| trial.run()) {
        Ok(sources) => {
            Ok(begun.ended(workplace, sources, |status, now| mark(catalog, snapshot, status, now)))
        }
        Err(error) => {
            begun.not_made(workplace, &error);
            Err(error)
        }
    }
}

/// Waits until no other drill of this host goes on: the room for one is looked at first, and nobody else is to take it.
fn turn(workplace: &Workplace, catalog: &Catalog) -> Result<Turn> {
    let turn = Turn::take(&workplace.places.state, TURN, TURN, &**catalog.repository.monitor())?;
    if let Err(error) = settle(workplace) {
        workplace.monitor.problem(&format!("what became of earlier drills is not told: {error}"));
    }
    Ok(turn)
}

/// Removes what killed drills have left, and tells of them.
///
/// # Errors
/// The folder of their places cannot be listed, or the state of this host not be written.
pub fn tidy(workplace: &Workplace, monitor: &dyn Monitor) -> Result<()> {
    if Turn::try_take(&workplace.places.state, TURN, TURN)?.is_some()
        && State::is_there(&workplace.places.state)
    {
        settle(workplace)?;
    }
    scratch::tidy(workplace, monitor)
}

/// What came of several drills.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
pub struct Drills {
    /// The worst of them.
    pub status: DrillStatus,
    /// Each of them.
    pub drills: Vec<Drilled>,
    /// Those that could not be made, and why.
    pub errors: Vec<String>,
}

impl Drills {
    /// Adds one.
    pub fn add(&mut self, drilled: Drilled) {
        self.status = self.status.max(drilled.status);
        self.drills.push(drilled);
    }

    /// What is wrong first.
    pub fn first_error(&self) -> Option<&String> {
        self.errors.first().or_else(|| self.drills.iter().find_map(|drilled| drilled.errors.first()))
    }
}

/// Drills for whom nobody waits, by the names of targets and snapshots as in [`meant`], and of the whole recovery by `all`: one that cannot be made keeps no other from it, and
/// is told like one that did not pass.
///
/// # Errors
/// Somebody wants it to stop.
pub fn each(workplace: &Workplace, catalog: &Catalog, wanted: &[String]) -> Result<Drills> {
    let mut all = Drills::default();
    for name in names(workplace, catalog, wanted) {
        let made = match catalog.resolve(&name) {
            _ if name == ALL => drill_recovery(workplace, catalog),
            Ok(found) => drill(workplace, catalog, &found.snapshot),
            Err(error) => {
                record::not_found(workplace, name.trim_start_matches("latest:"), &error);
                Err(error)
            }
        };
        match made {
            Ok(drilled) => all.add(drilled),
            Err(error) if error.kind() == Kind::Library(ErrorKind::Interrupted) => return Err(error),
            Err(error) => {
                all.status = all.status.max(of_error(&error));
                all.errors.push(format!("{name}: {error}"));
            }
        }
    }
    Ok(all)
}

/// The snapshots that are meant by the names of targets and of snapshots; with no name the latest of every configured target that has one,
/// or the latest of all where no target is configured.
///
/// # Errors
/// A name that means nothing, and a target that has no good snapshot.
pub fn meant(workplace: &Workplace, catalog: &Catalog, wanted: &[String]) -> Result<Chosen> {
    catalog.resolve_all(&names(workplace, catalog, wanted))
}

/// The same as names of snapshots.
fn names(workplace: &Workplace, catalog: &Catalog, wanted: &[String]) -> Vec<String> {
    let config = &workplace.config;
    let has_any = |target: &str| catalog.snapshots.iter().any(|s| s.manifest.target == target);
    let latest = |target: &str| format!("latest:{target}");
    match wanted {
        [] if config.targets.is_empty() => vec!["latest".to_owned()],
        [] => config.targets.iter().map(|t| &*t.name).filter(|t| has_any(t)).map(latest).collect(),
        named => named
            .iter()
            .map(|name| {
                let target = target_name(config, name);
                let is_target = config.target(name).is_some() || has_any(&target);
                if is_target { latest(&target) } else { name.clone() }
            })
            .collect(),
    }
}

/// The drills that this host remembers of a repository, newest first, at most `limit`.
///
/// # Errors
/// The state of this host cannot be read.
pub fn history(
    workplace: &Workplace,
    repository: &Repository,
    (target, status): (Option<&str>, Option<DrillStatus>),
    limit: u32,
) -> Result<Vec<Drilled>> {
    let target = target.map(|name| target_name(&workplace.config, name));
    let id = repository.id().to_string();
    let filter = DrillFilter { repository: Some(&id), target: target.as_deref(), status };
    let rows = State::open(&workplace.places.state)?.drills(&filter, limit)?;
    // What a later version wrote in another way is left to it.
    Ok(rows.iter().filter_map(|row| serde_json::from_str(row).ok()).collect())
}

/// A drill that goes on.
struct Trial<'w> {
    workplace: &'w Workplace,
    catalog: &'w Catalog,
    snapshot: &'w Snapshot,
    tree: Tree,
    sources: Vec<SourceResult>,
    /// These are all of them.
    is_whole: bool,
    // Ends before its folder goes.
    cluster: OnceCell<std::result::Result<Cluster, String>>,
    /// Databases that were made in it.
    databases: Cell<usize>,
    /// Rows of the databases of the source that is tried.
    counted: RefCell<Vec<(String, Rows)>>,
    scratch: Scratch,
}

/// What is found out about one source.
#[derive(Debug, Default)]
struct Findings {
    proof: Proof,
}

impl Findings {
    fn holds(&mut self, fact: impl Into<String>) {
        self.proof.facts.push(fact.into());
    }

    fn fails(&mut self, why: impl Into<String>) {
        self.proof.failures.push(why.into());
    }

    fn not_tried(&mut self, why: impl Into<String>) {
        self.proof.not_tried.push(why.into());
    }

    fn add(&mut self, proof: Proof) {
        self.proof.facts.extend(proof.facts);
        self.proof.failures.extend(proof.failures);
        self.proof.not_tried.extend(proof.not_tried);
    }

    /// Notes an error of the snapshot, or of the host.
    fn blame(&mut self, what: &str, verdict: &Verdict) {
        let line = format!("{what}: {}", verdict.why);
        if verdict.is_of_host { self.not_tried(line) } else { self.fails(line) }
    }

    fn status(&self) -> DrillStatus {
        match (self.proof.failures.is_empty(), self.proof.not_tried.is_empty()) {
            (false, _) => DrillStatus::Failed,
            (true, false) => DrillStatus::Partial,
            (true, true) => DrillStatus::Passed,
        }
    }
}

impl<'w> Trial<'w> {
    /// `only`: these sources of it; empty: all.
    fn begin(
        workplace: &'w Workplace,
        catalog: &'w Catalog,
        snapshot: &'w Snapshot,
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
        let needed = |source: &SourceResult| match &*source.kind {
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
            sources,
            is_whole,
            cluster,
            databases,
            counted,
            scratch,
        })
    }

    fn run(&self) -> Result<Vec<SourceProof>> {
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
        if source.kind == "postgres" {
            return databases::stored(self, source, found);
        }
        if source.files == 0 {
            found.holds("it holds no file");
            return Ok(());
        }
        let place = files::restored(self, number, source, found)?;
        match &*source.kind {
            "sqlite" => databases::lite(self, source, &place, found),
            "n8n" => {
                workflows::stored(&place, found)?;
                keys::tried(self, &place, found)?;
                imported::tried(self, &place, found)
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
    fn configured(&self, source: &SourceResult) -> Option<&'w Source> {
        let target = self.workplace.config.target(&self.snapshot.manifest.target)?;
        target.sources.iter().find(|s| s.name == source.name)
    }

    /// What its databases have to hold.
    fn rules(&self, source: &SourceResult) -> &'w [DrillRules] {
        self.configured(source).map_or(&[], |s| &s.drills)
    }

    /// Where the files of a source are put.
    fn place(&self, number: usize) -> PathBuf {
        self.scratch.private().join(format!("files-{number}"))
    }
}

/// The folder of what a connector gave.
fn folder(source: &SourceResult) -> Result<TreePath> {
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

/// Whether an error says something of the snapshot, and what.
fn verdict(error: &Error) -> Verdict {
    if let Error::Connect(error) = error {
        return Verdict::of(error);
    }
    let of_host = [ErrorKind::NoSpace, ErrorKind::ReadOnly, ErrorKind::Io, ErrorKind::Busy];
    let is_of_host = matches!(error.kind(), Kind::Library(kind) if of_host.contains(&kind));
    Verdict { is_of_host, why: error.to_string() }
}

/// What came of a drill that was not made.
fn of_error(error: &Error) -> DrillStatus {
    if verdict(error).is_of_host { DrillStatus::Partial } else { DrillStatus::Failed }
}

fn milliseconds(from: i128, to: i128) -> u64 {
    u64::try_from((to - from) / 1_000_000).unwrap_or(0)
}

fn shortened(mut errors: Vec<String>) -> Vec<String> {
    let more = errors.len().saturating_sub(ERRORS_MAX);
    if more > 0 {
        errors.truncate(ERRORS_MAX);
        errors.push(format!("and {more} more"));
    }
    errors
}

/// A moment as it is stored; a clock beyond the years that 64 bits can tell has no time.
fn short(nanos: i128) -> i64 {
    i64::try_from(nanos).unwrap_or_default()
}

/// Nanoseconds as a time for people.
fn shown_time(nanos: i128) -> Option<String> {
    i64::try_from(nanos).ok().and_then(rfc3339)
}
