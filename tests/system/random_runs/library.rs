//! Uses a repository through the libraries, in memory, with faults at calls of the backend.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chronos_snapshot::{
    BackupOptions, Case, ChangeTest, Error, ErrorKind, FileOptions, FileSource, Outcome, ParentChoice,
    Patterns, RestoreOptions, RestoreStatus, RewriteMode, RewriteOptions, Snapshot, TreePath, backup,
    repair_snapshot, restore, resume_or_undo, rewrite,
};
use chronos_store::backend::{Backend, Fault, FaultBackend, FaultRule, MemoryBackend};
use chronos_store::{
    Change, Clock, CreateOptions, Env, LocalDirs, Marks, OpenOptions, PruneOptions, Random, ReadData,
    Repository, Secret, SessionOptions, Silent, SnapshotRow, SystemClock, View,
};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::engine::{Answer, BackupOrder, Engine, Failure, Order, ParentOrder, RestoreOrder, host};
use super::model::{Listing, Row};
use super::operations::{Kind, Overwrite, Repair, Stop, Strategy};

const HOUR_NANOS: u64 = 3_600_000_000_000;

/// The system's clock, so many hours later.
#[derive(Debug, Default)]
struct LaterClock(AtomicU64);

impl Clock for LaterClock {
    fn now(&self) -> i128 {
        SystemClock.now() + i128::from(self.0.load(Ordering::Relaxed) * HOUR_NANOS)
    }
    fn uptime(&self) -> Duration {
        SystemClock.uptime() + Duration::from_hours(self.0.load(Ordering::Relaxed))
    }
}

/// Numbers that look random and are the same in every run of a seed.
#[derive(Debug)]
struct Dice(Mutex<TestRng>);

impl Random for Dice {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), chronos_store::Error> {
        self.0.lock().unwrap().fill_bytes(bytes);
        Ok(())
    }
}

/// A repository in memory and its clients.
#[derive(Debug)]
pub(super) struct Library {
    objects: MemoryBackend,
    home: PathBuf,
    clock: Arc<LaterClock>,
    env: Env,
}

fn secret(key: u8) -> Secret {
    Secret::Key([key.wrapping_add(1); 32])
}

impl Library {
    /// A new repository that key 0 opens; clients have their folders in `home`.
    pub(super) fn new(home: &Path, seed: u64) -> Self {
        let clock = Arc::<LaterClock>::default();
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let (random, clock_given) = (Arc::new(Dice(Mutex::new(rng))), Arc::clone(&clock) as Arc<dyn Clock>);
        let env = Env { clock: clock_given, random, ..Env::system() };
        let library = Self { objects: MemoryBackend::new(), home: home.to_owned(), clock, env };
        let create = CreateOptions::default();
        Repository::create(Arc::new(library.objects.clone()), &secret(0), &create, library.options(0))
            .unwrap();
        library
    }

    /// The stored objects, to be damaged.
    pub(super) fn objects(&self) -> &MemoryBackend {
        &self.objects
    }

    fn folder(&self, client: usize) -> PathBuf {
        self.home.join(format!("client{client}"))
    }

    fn options(&self, client: usize) -> OpenOptions {
        let folder = self.folder(client);
        let dirs = LocalDirs { cache: folder.join("cache"), state: folder.join("state") };
        OpenOptions { dirs, env: self.env.clone(), monitor: Arc::new(Silent) }
    }

    fn open(&self, client: usize, key: u8, through: Arc<dyn Backend>) -> Result<Repository, Error> {
        Ok(Repository::open(through, &secret(key), self.options(client))?)
    }

    fn local(&self, client: usize, order: &Order) {
        let (cache, kept) = (self.folder(client).join("cache"), self.folder(client).join("kept"));
        match order {
            Order::Wait { hours } => drop(self.clock.0.fetch_add(*hours, Ordering::Relaxed)),
            Order::LoseCache => remove(&cache),
            Order::KeepCache => {
                remove(&kept);
                copy(&cache, &kept);
            }
            _ => {
                if kept.exists() {
                    remove(&cache);
                    copy(&kept, &cache);
                }
            }
        }
    }
}

pub(super) fn remove(folder: &Path) {
    if folder.exists() {
        fs::remove_dir_all(folder).unwrap();
    }
}

pub(super) fn copy(from: &Path, to: &Path) {
    if !from.exists() {
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

impl Engine for Library {
    const CAN_WAIT: bool = true;

    fn run(&mut self, client: usize, key: u8, order: &Order, stop: Option<Stop>) -> Result<Answer, Failure> {
        if let Order::LoseCache | Order::KeepCache | Order::OldCache | Order::Wait { .. } = order {
            self.local(client, order);
            return Ok(Answer::default());
        }
        let fault = FaultBackend::new(Arc::new(self.objects.clone()));
        if let Some(stop) = stop {
            let kind = if stop.done { Fault::StopAfter } else { Fault::StopBefore };
            fault.add(FaultRule::at_call(stop.call, kind));
        }
        let outcome =
            self.open(client, key, Arc::new(fault.clone())).and_then(|r| carry_out(&r, client, order));
        let stopped = fault.stopped();
        fault.heal();
        if let (true, Some(bits)) = (stopped, stop.and_then(|s| s.power)) {
            let keep = |name: &str| bits >> (name.bytes().map(u64::from).sum::<u64>() % 64) & 1 == 1;
            fault.lose_power(&keep).unwrap();
        }
        match outcome {
            Err(_) if stopped => {
                // A restore is undone by whoever comes next.
                let folder = self.folder(client).join("state");
                resume_or_undo(&folder).map_err(|e| Failure::Failed(format!("undoing: {e}")))?;
                Err(Failure::Stopped)
            }
            Err(e) => Err(match e.kind() {
                ErrorKind::Refused => Failure::Refused(e.to_string()),
                ErrorKind::WrongKey => Failure::WrongKey,
                _ => Failure::Failed(format!("{e:?}")),
            }),
            Ok(answer) => Ok(answer),
        }
    }

    fn listing(&mut self, client: usize, key: u8) -> Result<Listing, Failure> {
        let list = || -> Result<Listing, Error> {
            let view = self.open(client, key, Arc::new(self.objects.clone()))?.view()?;
            view.snapshots().chain(view.trash()).map(listed).collect()
        };
        list().map_err(|e| match e.kind() {
            ErrorKind::WrongKey => Failure::WrongKey,
            _ => Failure::Failed(format!("listing: {e:?}")),
        })
    }

    fn mark(&self) -> Vec<(String, u64)> {
        self.objects.content().into_iter().map(|(name, bytes)| (name, bytes.len() as u64)).collect()
    }
}

fn listed(row: &SnapshotRow) -> Result<(String, Row), Error> {
    let snapshot = Snapshot::from_row(row)?;
    let row = Row {
        target: snapshot.manifest.target.clone(),
        host: snapshot.manifest.host.clone(),
        deleted: row.marks.forgotten_at.is_some(),
        held: row.marks.held,
        tags: snapshot.tags().to_vec(),
    };
    Ok((snapshot.manifest.backup_id, row))
}

/// A snapshot that is there, deleted or not.
fn find(view: &View, name: &str) -> Result<Snapshot, Error> {
    let all = view.snapshots().chain(view.trash()).map(Snapshot::from_row);
    let mut found = all.filter(|s| s.as_ref().map_or(true, |s| s.manifest.backup_id == name));
    found.next().unwrap_or_else(|| Err(Error::Refused(format!("{name} is not there"))))
}

fn session(client: usize) -> SessionOptions {
    SessionOptions { client: host(client), level: 1 }
}

fn carry_out(repo: &Repository, client: usize, order: &Order) -> Result<Answer, Error> {
    match order {
        Order::Backup(order) => back_up(repo, client, order),
        Order::Restore(order) => bring_back(repo, order),
        Order::Forget(name) => change(repo, name, |s| Change::Forget { snapshots: vec![s.session] }),
        Order::Undelete(name) => change(repo, name, |s| Change::Undelete { snapshots: vec![s.session] }),
        Order::Hold(name) => mark(repo, name, |marks| marks.held = true),
        Order::Release(name) => mark(repo, name, |marks| marks.held = false),
        Order::Tag(name, tags) => mark(repo, name, |marks| marks.tags = Some(tags.clone())),
        Order::ForgetByRule { last, target, dry_run } => {
            super::rule::forget(repo, *last, target.as_deref(), *dry_run)
        }
        Order::Prune(prune) => {
            let report = repo.prune(&PruneOptions {
                dry_run: prune.dry_run,
                keep_deleted: (prune.keep_hours * HOUR_NANOS).cast_signed(),
                repack_bytes_max: prune.repack_bytes_max,
                dead_share_max: f64::from(prune.dead_percent_max) / 100.0,
                ..PruneOptions::default()
            })?;
            Ok(Answer { pending: report.bytes_pending > 0, ..Answer::default() })
        }
        Order::Check { read_data } => {
            let report = repo.check(if *read_data { ReadData::All } else { ReadData::None })?;
            Ok(Answer {
                findings: report.errors.iter().map(|f| format!("{f:?}")).collect(),
                ..Answer::default()
            })
        }
        Order::Repair { what, dry_run } => mend(repo, client, *what, *dry_run),
        Order::Rewrite { of, exclude, dry_run } => {
            let exclude = Patterns::new([exclude], Case::Sensitive)?;
            let mode = if *dry_run { RewriteMode::DryRun } else { RewriteMode::Write };
            let snapshot = find(&*repo.view()?, of)?;
            let options = RewriteOptions { exclude, mode, session: session(client), apart: HashSet::new() };
            let report = rewrite(repo, &snapshot, &options)?;
            Ok(Answer { backup_id: report.snapshot.map(|(_, name)| name), ..Answer::default() })
        }
        Order::AddKey(key) => {
            repo.add_key(&secret(*key), &format!("key {key}")).map(|_| done()).map_err(Into::into)
        }
        Order::RemoveKey(key) => {
            let label = format!("key {key}");
            let slots = repo.key_slots()?;
            // The first slot has no label.
            let is_it = |label_of: &str| label_of == label || *key == 0 && label_of.is_empty();
            let slot = slots.into_iter().find(|s| is_it(&s.label)).map(|s| s.slot).unwrap_or_default();
            repo.remove_key(&slot).map(|()| done()).map_err(Into::into)
        }
        Order::LoseCache | Order::KeepCache | Order::OldCache | Order::Wait { .. } => Ok(done()),
    }
}

fn done() -> Answer {
    Answer::default()
}

fn change(repo: &Repository, name: &str, change: impl Fn(Snapshot) -> Change) -> Result<Answer, Error> {
    let snapshot = find(&*repo.view()?, name)?;
    repo.change(&|_| Ok(Some(change(snapshot.clone()))))?;
    Ok(done())
}

fn mark(repo: &Repository, name: &str, edit: impl Fn(&mut Marks)) -> Result<Answer, Error> {
    change(repo, name, |snapshot| {
        let mut marks = snapshot.marks;
        edit(&mut marks);
        Change::Mark { marks: vec![(snapshot.session, marks)] }
    })
}

fn back_up(repo: &Repository, client: usize, order: &BackupOrder) -> Result<Answer, Error> {
    let parent = match &order.parent {
        ParentOrder::Newest => ParentChoice::Newest,
        ParentOrder::None => ParentChoice::None,
        ParentOrder::Named(name) => ParentChoice::Given(find(&*repo.view()?, name)?.session),
    };
    let files =
        FileOptions { roots: order.roots.clone(), threads: order.threads - 1, ..FileOptions::default() };
    let options = BackupOptions {
        target: order.target.clone(),
        host: host(client),
        parent,
        // What has changed is told by the clock of the file system, whatever this one says.
        time: Some(SystemClock.now()),
        changes: ChangeTest { read_all: order.read_all, ..ChangeTest::default() },
        outcome: match order.kind {
            Kind::Always => Outcome::Snapshot,
            Kind::IfChanged => Outcome::SnapshotIfChanged,
            Kind::DryRun => Outcome::DryRun,
        },
        session: session(client),
        threads: order.threads,
        ..BackupOptions::default()
    };
    let report = backup(repo, vec![Box::new(FileSource::new(files)?)], &options)?;
    Ok(Answer {
        backup_id: (!report.dry_run).then_some(report.backup_id),
        unchanged: report.unchanged,
        partial: report.error_count > 0,
        ..Answer::default()
    })
}

fn bring_back(repo: &Repository, order: &RestoreOrder) -> Result<Answer, Error> {
    let view = repo.view()?;
    let snapshot = find(&view, &order.of)?;
    let options = RestoreOptions {
        path: order.part.as_deref().map_or_else(|| Ok(TreePath::root()), TreePath::from_absolute)?,
        to: order.to.clone(),
        strategy: match order.strategy {
            None => chronos_snapshot::Strategy::NewLocation,
            Some(Strategy::Overwrite) => chronos_snapshot::Strategy::Overwrite,
            Some(Strategy::Replace) => chronos_snapshot::Strategy::Replace,
            Some(Strategy::Merge) => chronos_snapshot::Strategy::Merge,
        },
        overwrite: order.overwrite.map(|mode| match mode {
            Overwrite::Always => chronos_snapshot::Overwrite::Always,
            Overwrite::IfChanged => chronos_snapshot::Overwrite::IfChanged,
            Overwrite::IfNewer => chronos_snapshot::Overwrite::IfNewer,
            Overwrite::Never => chronos_snapshot::Overwrite::Never,
        }),
        include: order.include.iter().cloned().collect(),
        exclude: order.exclude.iter().cloned().collect(),
        dry_run: order.dry_run,
        threads: 2,
        ..RestoreOptions::default()
    };
    let report = restore(repo, &snapshot, &options)?;
    let partial = match report.status {
        RestoreStatus::Planned => !report.plan.problems.is_empty(),
        RestoreStatus::Completed => false,
        RestoreStatus::Partial => true,
        RestoreStatus::Damaged => {
            return Err(Error::Damaged { what: order.of.clone(), why: format!("{:?}", report.errors) });
        }
    };
    Ok(Answer { partial, ..Answer::default() })
}

fn mend(repo: &Repository, client: usize, what: Repair, dry_run: bool) -> Result<Answer, Error> {
    let report = match what {
        Repair::Index => repo.repair_index(dry_run).map(|report| report.errors)?,
        Repair::Packs => {
            let report = repo.repair_packs(dry_run)?;
            let findings = report.actions.into_iter().chain(report.errors.iter().map(|e| format!("{e:?}")));
            return Ok(Answer { findings: findings.collect(), ..Answer::default() });
        }
        Repair::Snapshots => {
            let mode = if dry_run { RewriteMode::DryRun } else { RewriteMode::Write };
            let mut findings = Vec::new();
            for row in repo.view()?.snapshots() {
                let report = repair_snapshot(repo, &Snapshot::from_row(row)?, mode, &session(client))?;
                findings.extend(report.lost.iter().map(|lost| format!("{lost:?}")));
            }
            return Ok(Answer { findings, ..Answer::default() });
        }
    };
    Ok(Answer { findings: report.iter().map(|e| format!("{e:?}")).collect(), ..Answer::default() })
}
