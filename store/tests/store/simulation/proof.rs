//! The proof at one moment, while all clients stand still: what is listed can be read, and what is required is listed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use chronos_store::backend::{Backend, MemoryBackend};
use chronos_store::{Env, ErrorKind, PruneOptions, ReadData, Repository, SessionId, SyncOptions};

use super::client::options;
use super::time::{HOUR, Time};
use super::tree;
use super::truth::Truth;
use crate::fixture::KEY;

/// Opens a place as somebody would who has nothing but the key.
fn open(place: &MemoryBackend, folder: &Path, env: &Env) -> Result<Repository, String> {
    let place: Arc<dyn Backend> = Arc::new(place.clone());
    Repository::open(place, &KEY, options(folder, env)).map_err(|e| format!("it cannot be opened: {e}"))
}

/// Reads every byte of every snapshot that a place lists; returns their sessions.
pub(super) fn listed(
    place: &MemoryBackend,
    truth: &Truth,
    folder: &Path,
    env: &Env,
) -> Result<Vec<SessionId>, String> {
    let repository = open(place, folder, env)?;
    let view = repository.view().map_err(|e| format!("nothing can be listed: {e}"))?;
    let reader = view.reader();
    let mut known = BTreeSet::new();
    for row in view.snapshots() {
        let tree = truth.snapshots.get(&row.session).ok_or(format!("nobody made {}", row.session))?.tree;
        for root in &row.roots {
            tree::compare(&reader, root, tree, &mut known).map_err(|e| format!("{}: {e}", row.session))?;
        }
    }
    Ok(view.snapshots().map(|row| row.session.clone()).collect())
}

/// The same, and everything that must be listed is.
pub(super) fn whole(
    place: &MemoryBackend,
    truth: &Truth,
    folder: &Path,
    env: &Env,
) -> Result<Vec<SessionId>, String> {
    let listed = listed(place, truth, folder, env)?;
    match truth.required().find(|session| !listed.contains(session)) {
        Some(lost) => Err(format!("{lost} was committed and is not listed")),
        None => Ok(listed),
    }
}

/// Whoever looks after a place when everybody is gone.
#[derive(Debug)]
pub(super) struct Keeper<'a> {
    pub(super) place: &'a MemoryBackend,
    pub(super) folder: &'a Path,
    pub(super) env: &'a Env,
    pub(super) time: &'a Time,
}

impl Keeper<'_> {
    fn prune(&self) -> Result<(), String> {
        let repository = open(self.place, self.folder, self.env)?;
        let options =
            PruneOptions { dead_share_max: 0.0, pack_dead_share_max: 0.0, ..PruneOptions::default() };
        // Sessions that stay silent are watched for six hours, and what waited for them goes in the prune after that.
        for _ in 0..2 {
            repository.prune(&options).map_err(|e| format!("the last prune: {e}"))?;
            self.time.pass(7 * HOUR);
        }
        let report = repository.prune(&options).map_err(|e| format!("the last prune: {e}"))?;
        let left = PruneOptions { dry_run: true, ..options };
        let left = repository.prune(&left).map_err(|e| e.to_string())?;
        if report.bytes_pending > 0 || left.packs_deleted > 0 || left.bytes_dead > 0 {
            return Err(format!("rubbish is left: {report:?} {left:?}"));
        }
        Ok(())
    }

    fn objects(&self, area: &str) -> Vec<String> {
        self.place.content().into_keys().filter(|name| name.starts_with(area)).collect()
    }

    fn check(&self) -> Result<(), String> {
        let repository = open(self.place, self.folder, self.env)?;
        let report = repository.check(ReadData::All).map_err(|e| format!("the last check: {e}"))?;
        if report.errors.is_empty() { Ok(()) } else { Err(format!("the last check: {:?}", report.errors)) }
    }

    /// All that must hold in the end: nothing is lost, nothing is damaged, all rubbish goes.
    pub(super) fn settle(&self, truth: &Truth) -> Result<(), String> {
        whole(self.place, truth, self.folder, self.env)?;
        self.prune()?;
        let left = self.objects("sess/");
        if !left.is_empty() {
            return Err(format!("sessions are left: {left:?}"));
        }
        self.check()?;
        whole(self.place, truth, self.folder, self.env).map(drop)
    }

    /// Makes a mirror independent, where somebody died who had begun to; returns what holds of it now.
    pub(super) fn promote(&self, truth: &Truth) -> Result<Truth, String> {
        match open(self.place, self.folder, self.env)?.promote() {
            // All was done but the answer.
            Err(e) if e.kind() != ErrorKind::Refused => return Err(format!("the last promote: {e}")),
            _ => {}
        }
        let listed = listed(self.place, truth, self.folder, self.env)?;
        Ok(truth.promoted(&listed))
    }

    /// A mirror of this place shows the same afterwards.
    pub(super) fn sync(&self, mirror: &MemoryBackend, truth: &Truth) -> Result<(), String> {
        let repository = open(self.place, self.folder, self.env)?;
        let report = repository.sync_to(Arc::new(mirror.clone()), &SyncOptions::default());
        let report = report.map_err(|e| format!("the last sync: {e}"))?;
        if !report.published || !report.damaged.is_empty() {
            return Err(format!("the last sync: {report:?}"));
        }
        let [here, there] = [self.place, mirror].map(|place| whole(place, truth, self.folder, self.env));
        if here? != there? {
            return Err("the mirror does not show what the repository shows".to_owned());
        }
        Keeper { place: mirror, ..*self }.check()
    }

    /// When everything is forgotten, nothing is left.
    pub(super) fn empty(&self) -> Result<(), String> {
        let repository = open(self.place, self.folder, self.env)?;
        let failed = |e: chronos_store::Error| format!("forgetting everything: {e}");
        let view = repository.view().map_err(failed)?;
        for row in view.snapshots() {
            let (session, mut marks) = (row.session.clone(), row.marks.clone());
            marks.held = false;
            let release = chronos_store::Change::Mark { marks: vec![(session.clone(), marks)] };
            let forget = chronos_store::Change::Forget { snapshots: vec![session] };
            for change in [release, forget] {
                repository.change(&|_| Ok(Some(change.clone()))).map_err(failed)?;
            }
        }
        self.prune()?;
        let left = [self.objects("packs/"), self.objects("index/")].concat();
        if left.is_empty() { Ok(()) } else { Err(format!("nothing is kept, and this is left: {left:?}")) }
    }
}
