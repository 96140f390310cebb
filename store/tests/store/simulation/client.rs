//! A client: a host's folders and clock, its way to the places, and what it does there with the real engine.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chronos_store::backend::{Backend, CacheBackend, ManualPace, RetryBackend, RetryPolicy};
use chronos_store::{
    Change, Env, ErrorKind, LocalDirs, OpenOptions, PruneOptions, ReadData, Repository, Result, SessionId,
    SessionOptions, Silent, SnapshotRow, SyncOptions,
};

use super::dice::Dice;
use super::time::HOUR;
use super::tree::{self, Tree};
use super::truth::{Known, Truth};
use crate::fixture::KEY;

/// What a client can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deed {
    Backup,
    Forget,
    Undelete,
    Hold,
    Release,
    Prune,
    Sync,
    Promote,
    Restore,
    Check,
}

/// The truth of both places, shared by all clients: one at a time looks.
#[derive(Clone, Debug, Default)]
pub(super) struct Truths(Arc<Mutex<[Truth; 2]>>);

impl Truths {
    pub(super) fn lock(&self) -> MutexGuard<'_, [Truth; 2]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client as it stands between two deeds.
#[derive(Debug)]
pub(super) struct Client {
    /// Its way to each place.
    pub(super) ways: [Arc<dyn Backend>; 2],
    pub(super) env: Env,
    /// The folder of its host.
    pub(super) host: PathBuf,
    pub(super) truths: Truths,
    /// What it backs up.
    pub(super) tree: Tree,
    /// How many versions each file has.
    pub(super) versions: u64,
    /// Handles that it keeps open.
    pub(super) open: [Option<Repository>; 2],
    /// Snapshots that a mirror must show, as a sync has said.
    pub(super) due: Vec<(Known, SessionId)>,
}

/// The chain of wrappers that the program puts before a place behind a network.
pub(super) fn chain(way: Arc<dyn Backend>, copies: &std::path::Path) -> Arc<dyn Backend> {
    let pace = Arc::new(ManualPace::default());
    let policy = RetryPolicy { attempts: 2, ..RetryPolicy::default() };
    Arc::new(CacheBackend::new(Arc::new(RetryBackend::new(way, policy, pace)), copies, 1 << 30))
}

pub(super) fn options(host: &std::path::Path, env: &Env) -> OpenOptions {
    let dirs = LocalDirs { cache: host.join("cache"), state: host.join("state") };
    OpenOptions { dirs, env: env.clone(), monitor: Arc::new(Silent) }
}

impl Client {
    fn repository(&mut self, place: usize) -> Result<Repository> {
        if let Some(repository) = &self.open[place] {
            return Ok(repository.clone());
        }
        let options = options(&self.host, &self.env);
        let repository = Repository::open(Arc::clone(&self.ways[place]), &KEY, options)?;
        self.open[place] = Some(repository.clone());
        Ok(repository)
    }

    /// Does it at `place`, and leaves what it learned with the truth.
    pub(super) fn act(&mut self, deed: Deed, place: usize, dice: &mut Dice) -> Result<()> {
        let repository = self.repository(place)?;
        match deed {
            Deed::Backup => self.back_up(&repository, place, dice),
            Deed::Forget => self.forget(&repository, place, dice),
            Deed::Undelete => self.undelete(&repository, place, dice),
            Deed::Hold | Deed::Release => self.mark(&repository, place, deed == Deed::Hold, dice),
            Deed::Prune => prune(&repository, dice),
            Deed::Sync => self.sync(&repository, dice),
            Deed::Promote => self.promote(),
            Deed::Restore => self.restore(&repository, place, dice),
            Deed::Check => self.check(&repository, place, dice),
        }
    }

    fn back_up(&mut self, repository: &Repository, place: usize, dice: &mut Dice) -> Result<()> {
        self.tree.change(self.versions, dice);
        let tree = self.tree;
        let session = repository.begin(SessionOptions { client: "c".into(), level: 1 })?;
        let id = session.id().clone();
        self.truths.lock()[place].begun(&id, tree);
        let rows: Vec<SessionId> = session.view().snapshots().map(|row| row.session.clone()).collect();
        let parent = if rows.is_empty() || dice.once_in(6) {
            None
        } else {
            // The newest, more often than not.
            let parent = if dice.once_in(3) { dice.pick(&rows) } else { rows.last().unwrap() };
            let of = self.truths.lock()[place].get(parent).tree;
            tree::parent(session.view(), parent, of)?
        };
        let parent = parent.filter(|parent| session.may_reuse(&parent.session));
        let root = tree::put(&session, tree, parent.as_ref(), dice)?;
        if dice.once_in(12) {
            return session.close().map(drop);
        }
        session.commit(&[root], format!("{{\"session\": \"{id}\"}}").as_bytes())?;
        self.truths.lock()[place].committed(&id);
        Ok(())
    }

    fn forget(&self, repository: &Repository, place: usize, dice: &mut Dice) -> Result<()> {
        let view = repository.view()?;
        let Some(row) = one_of(view.snapshots(), dice) else { return Ok(()) };
        let before = self.truths.lock()[place].forget_begins(&row.session);
        let change = Change::Forget { snapshots: vec![row.session.clone()] };
        let outcome = repository.change(&|_| Ok(Some(change.clone()))).map(drop);
        let is_refused = outcome.as_ref().is_err_and(|e| e.kind() == ErrorKind::Refused);
        self.truths.lock()[place].forget_ended(&row.session, &before, outcome.is_ok(), is_refused);
        ignore(outcome, ErrorKind::Refused)
    }

    fn undelete(&self, repository: &Repository, place: usize, dice: &mut Dice) -> Result<()> {
        let view = repository.view()?;
        let Some(row) = one_of(view.trash(), dice) else { return Ok(()) };
        let before = self.truths.lock()[place].get(&row.session);
        let change = Change::Undelete { snapshots: vec![row.session.clone()] };
        let outcome = repository.change(&|_| Ok(Some(change.clone()))).map(drop);
        if outcome.is_ok() {
            self.truths.lock()[place].undeleted(&row.session, &before);
        }
        ignore(outcome, ErrorKind::Refused)
    }

    fn mark(&self, repository: &Repository, place: usize, held: bool, dice: &mut Dice) -> Result<()> {
        let view = repository.view()?;
        let Some(row) = one_of(view.snapshots().filter(|row| row.marks.held != held), dice) else {
            return Ok(());
        };
        let before = self.truths.lock()[place].get(&row.session);
        if !held {
            self.truths.lock()[place].release_begins(&row.session);
        }
        let mut marks = row.marks.clone();
        marks.held = held;
        let change = Change::Mark { marks: vec![(row.session.clone(), marks)] };
        let outcome = repository.change(&|_| Ok(Some(change.clone()))).map(drop);
        if !held {
            self.truths.lock()[place].release_ended(&row.session);
        } else if outcome.is_ok() {
            self.truths.lock()[place].held(&row.session, &before);
        }
        ignore(outcome, ErrorKind::Refused)
    }

    fn sync(&mut self, repository: &Repository, dice: &mut Dice) -> Result<()> {
        let before = self.truths.lock()[0].clone();
        let delete_after = *dice.pick(&[0, 5 * HOUR.cast_signed(), 30 * 24 * HOUR.cast_signed()]);
        let options = SyncOptions { delete_after, ..SyncOptions::default() };
        let report = repository.sync_to(Arc::clone(&self.ways[1]), &options)?;
        let mut truths = self.truths.lock();
        if !report.damaged.is_empty() {
            truths[0].broken.push(format!("a sync found damage: {:?}", report.damaged));
        }
        let required = before.required().filter(|_| report.published).cloned();
        self.due = required.map(|session| (before.get(&session), session)).collect();
        Ok(())
    }

    fn promote(&mut self) -> Result<()> {
        let mirror = self.repository(1)?;
        mirror.promote()?;
        Ok(())
    }

    fn restore(&self, repository: &Repository, place: usize, dice: &mut Dice) -> Result<()> {
        let view = repository.view()?;
        let Some(row) = one_of(view.snapshots(), dice) else { return Ok(()) };
        let before = self.truths.lock()[place].get(&row.session);
        let reader = view.reader();
        let outcome = row
            .roots
            .iter()
            .try_for_each(|root| tree::compare(&reader, root, before.tree, &mut BTreeSet::new()));
        match outcome {
            // Forgotten and swept meanwhile.
            Err(e)
                if e.kind() == ErrorKind::Damaged
                    && !self.truths.lock()[place].is_still_required(&row.session, &before) =>
            {
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn check(&self, repository: &Repository, place: usize, dice: &mut Dice) -> Result<()> {
        let read = *dice.pick(&[ReadData::None, ReadData::All]);
        let report = repository.check(read)?;
        if !report.errors.is_empty() {
            self.truths.lock()[place].broken.push(format!("a check found damage: {:?}", report.errors));
        }
        Ok(())
    }
}

fn prune(repository: &Repository, dice: &mut Dice) -> Result<()> {
    let options = PruneOptions {
        keep_deleted: *dice.pick(&[0, 0, 24 * HOUR.cast_signed()]),
        dead_share_max: *dice.pick(&[0.0, 0.04, 1.0]),
        pack_dead_share_max: *dice.pick(&[0.0, 0.4]),
        ..PruneOptions::default()
    };
    repository.prune(&options).map(drop)
}

fn one_of<'v>(rows: impl Iterator<Item = &'v SnapshotRow>, dice: &mut Dice) -> Option<&'v SnapshotRow> {
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() { None } else { Some(*dice.pick(&rows)) }
}

fn ignore(outcome: Result<()>, kind: ErrorKind) -> Result<()> {
    match outcome {
        Err(e) if e.kind() == kind => Ok(()),
        outcome => outcome,
    }
}
