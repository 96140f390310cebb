//! A repository, its clients, the trees that they back up, and the reference; each step is done in both and compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chronos_tests::compare::capture;
use tempfile::TempDir;

use super::TREES;
use super::engine::{Answer, BackupOrder, Engine, Failure, Order, ParentOrder, host};
use super::expected::expected;
use super::model::{Model, Tree};
use super::operations::{Backup, CLIENTS, Kind, Operation, Parent, Prune, Step, Stop};

/// Something that is not as the reference says.
pub(super) type Fault = String;

/// Names of targets; the first trees, one each, and all of them.
const TARGETS: [&str; 3] = ["one", "two", "both"];

/// The repository and the reference.
pub(super) struct World<E> {
    pub(super) engine: E,
    pub(super) model: Model,
    pub(super) home: PathBuf,
    pub(super) places: usize,
    steps: usize,
    _scratch: TempDir,
}

impl<E: Engine> World<E> {
    /// Begins with empty trees.
    pub(super) fn new(make: impl FnOnce(&Path) -> E) -> Self {
        let scratch = scratch();
        let home = scratch.path().canonicalize().unwrap();
        for tree in 0..TREES {
            fs::create_dir(home.join(format!("tree{tree}"))).unwrap();
        }
        let model = Model { keys: [0].into(), keys_made: 1, ..Model::default() };
        Self { engine: make(&home), model, home, places: 0, steps: 0, _scratch: scratch }
    }

    pub(super) fn tree(&self, number: usize) -> PathBuf {
        self.home.join(format!("tree{number}"))
    }

    /// A path where nothing is yet.
    pub(super) fn new_place(&mut self) -> PathBuf {
        self.places += 1;
        self.home.join(format!("place{}", self.places))
    }

    /// One of the keys that open it.
    pub(super) fn key(&self) -> u8 {
        let keys: Vec<u8> = self.model.keys.iter().copied().collect();
        keys[self.steps % keys.len()]
    }

    /// Does one step in both and compares.
    pub(super) fn step(&mut self, step: &Step) -> Result<(), Fault> {
        self.steps += 1;
        match &step.operation {
            Operation::Change { tree, deeds } => {
                deeds.iter().for_each(|deed| deed.apply(&self.tree(*tree)));
                self.model.untouched.clear();
                Ok(())
            }
            Operation::Restore { of, how } => match self.model.listed(*of) {
                Some(of) => self.restore(step, &of, how),
                None => Ok(()),
            },
            operation => match self.order(operation) {
                Some(order) => self.carry_out(step.client, step.stop, &order).map(drop),
                None => Ok(()),
            },
        }
    }

    /// The operation with names; none if there is nothing that it could mean.
    fn order(&self, operation: &Operation) -> Option<Order> {
        let any = |pick: &usize| self.model.any(*pick);
        Some(match operation {
            Operation::Change { .. } | Operation::Restore { .. } => return None,
            Operation::Backup(backup) => Order::Backup(self.backup(backup)?),
            Operation::Forget(pick) => Order::Forget(any(pick)?),
            Operation::Undelete(pick) => Order::Undelete(any(pick)?),
            Operation::Hold(pick) => Order::Hold(any(pick)?),
            Operation::Release(pick) => Order::Release(any(pick)?),
            Operation::Tag(pick, tags) => Order::Tag(any(pick)?, tags.clone()),
            Operation::ForgetByRule { last, target, dry_run } => {
                let target = target.map(|t| TARGETS[t].to_owned());
                self.model.past_last(*last, target.as_deref())?;
                Order::ForgetByRule { last: *last, target, dry_run: *dry_run }
            }
            Operation::Prune(prune) => Order::Prune(*prune),
            Operation::Check { read_data } => Order::Check { read_data: *read_data },
            Operation::Repair { what, dry_run } => Order::Repair { what: *what, dry_run: *dry_run },
            Operation::Rewrite { of, exclude, dry_run } => {
                Order::Rewrite { of: any(of)?, exclude: exclude.clone(), dry_run: *dry_run }
            }
            Operation::AddKey => Order::AddKey(self.model.keys_made),
            Operation::RemoveKey(pick) => {
                let keys: Vec<u8> = self.model.keys.iter().copied().collect();
                Order::RemoveKey(keys[pick % keys.len()])
            }
            Operation::LoseCache => Order::LoseCache,
            Operation::KeepCache => Order::KeepCache,
            Operation::OldCache => Order::OldCache,
            Operation::Wait { .. } if !E::CAN_WAIT => return None,
            Operation::Wait { hours } => Order::Wait { hours: *hours },
        })
    }

    fn backup(&self, backup: &Backup) -> Option<BackupOrder> {
        Some(BackupOrder {
            target: TARGETS[backup.target].to_owned(),
            roots: trees_of(TARGETS[backup.target]).map(|tree| self.tree(tree)).collect(),
            parent: match backup.parent {
                Parent::Newest => ParentOrder::Newest,
                Parent::None => ParentOrder::None,
                Parent::Given(pick) => ParentOrder::Named(self.model.any(pick)?),
            },
            kind: backup.kind,
            read_all: backup.read_all,
            threads: backup.threads,
        })
    }

    /// Carries an order out and compares what is listed with the reference.
    pub(super) fn carry_out(
        &mut self,
        client: usize,
        stop: Option<Stop>,
        order: &Order,
    ) -> Result<Option<Answer>, Fault> {
        if let Order::AddKey(_) = order {
            self.model.keys_made += 1;
        }
        let now = match order {
            Order::Backup(order) => {
                trees_of(&order.target).map(|tree| (tree, Arc::new(capture(&self.tree(tree))))).collect()
            }
            _ => BTreeMap::new(),
        };
        let expected = expected(&self.model, order, &host(client), &now);
        let written = self.engine.mark();
        let key = self.key();
        let answer = match self.engine.run(client, key, order, stop) {
            Ok(_) if expected.refused => return Err("it was not refused".to_owned()),
            Ok(answer) => Some(answer),
            Err(Failure::Refused(_)) if expected.refused => Some(Answer::default()),
            Err(Failure::Stopped) if stop.is_some() => None,
            Err(failure) => return Err(format!("{failure:?}")),
        };
        if expected.quiet && stop.is_none_or(|s| s.power.is_none()) && self.engine.mark() != written {
            return Err("something was written to the repository".to_owned());
        }
        let possible = if expected.refused {
            vec![self.model.clone().into()]
        } else {
            expected.possible(&self.model, answer.as_ref())
        };
        let before = std::mem::take(&mut self.model);
        self.model = self.settle(client, order, &before, possible)?;
        if let (Some(answer), false) = (&answer, expected.refused) {
            self.judge(order, answer, &now, &before)?;
        }
        Ok(answer)
    }

    /// Which of the models is true, by what this client and another one see.
    fn settle(
        &mut self,
        client: usize,
        order: &Order,
        before: &Model,
        possible: Vec<super::model::Possible>,
    ) -> Result<Model, Fault> {
        let key = match order {
            Order::RemoveKey(key) if self.opens(client, *key)? => return Ok(before.clone()),
            Order::AddKey(key) if !self.opens(client, *key)? => return Ok(before.clone()),
            _ => possible[0].model.keys.first().copied().unwrap_or_default(),
        };
        let listing = self.engine.listing(client, key).map_err(|e| format!("{e:?}"))?;
        let other = self.engine.listing((client + 1) % CLIENTS, key).map_err(|e| format!("{e:?}"))?;
        if listing != other {
            return Err(format!("two clients see different things: {listing:?} and {other:?}"));
        }
        let mut misfits = Vec::new();
        for one in possible {
            match one.fit(&listing) {
                Ok(model) => return Ok(model),
                Err(why) => misfits.push(why),
            }
        }
        Err(format!("the list is not what it must be: {}", misfits.join("\nor ")))
    }

    fn opens(&mut self, client: usize, key: u8) -> Result<bool, Fault> {
        match self.engine.listing(client, key) {
            Ok(_) => Ok(true),
            Err(Failure::WrongKey) => Ok(false),
            Err(failure) => Err(format!("{failure:?}")),
        }
    }

    /// Compares what the answer says.
    fn judge(
        &self,
        order: &Order,
        answer: &Answer,
        now: &BTreeMap<usize, Arc<Tree>>,
        before: &Model,
    ) -> Result<(), Fault> {
        if !answer.findings.is_empty() {
            return Err(format!("nothing is damaged, but: {:?}", answer.findings));
        }
        match order {
            Order::AddKey(key) if !self.model.keys.contains(key) => {
                Err("the new key does not open it".to_owned())
            }
            Order::RemoveKey(key) if self.model.keys.contains(key) => {
                Err("the old key still opens it".to_owned())
            }
            Order::Backup(order) => {
                if answer.partial {
                    return Err("the backup says that something could not be read".to_owned());
                }
                let scope = (self.scope_host(answer), order.target.clone());
                let last = before.untouched.get(&scope).filter(|name| before.is_listed(name));
                // The times of folders above the roots are taken from the parent.
                if order.parent == ParentOrder::Newest
                    && order.kind != Kind::DryRun
                    && last.is_some()
                    && !answer.unchanged
                {
                    return Err(format!(
                        "nothing was touched since {last:?}, but something is said to differ"
                    ));
                }
                let Some(name) = &answer.backup_id else { return Ok(()) };
                match self.model.kept.get(name) {
                    Some(kept) if kept.trees == *now => Ok(()),
                    _ => Err(format!("{name} is not what was there")),
                }
            }
            _ => Ok(()),
        }
    }

    /// The host of the snapshot that was made or found.
    fn scope_host(&self, answer: &Answer) -> String {
        let kept = answer.backup_id.as_ref().and_then(|name| self.model.kept.get(name));
        kept.map(|k| k.row.host.clone()).unwrap_or_default()
    }

    /// At the end everything that is there restores, deleted snapshots too; and once all is forgotten the space comes back.
    pub(super) fn finish(&mut self) -> Result<(), Fault> {
        let deleted = |model: &Model| -> Vec<String> {
            model.kept.iter().filter(|(_, k)| k.row.deleted).map(|(name, _)| name.clone()).collect()
        };
        for name in deleted(&self.model) {
            self.carry_out(0, None, &Order::Undelete(name))?;
        }
        self.carry_out(1, None, &Order::Check { read_data: true })?;
        let names: Vec<String> = self.model.kept.keys().cloned().collect();
        for name in &names {
            self.whole(0, None, name, false)?;
        }
        for name in names {
            if self.model.is_held(&name) {
                self.carry_out(2, None, &Order::Release(name.clone()))?;
            }
            self.carry_out(2, None, &Order::Forget(name))?;
        }
        let all = Prune { dry_run: false, keep_hours: 0, repack_bytes_max: None, dead_percent_max: 0 };
        for client in 0..CLIENTS {
            self.carry_out(client, None, &Order::Prune(all))?;
        }
        self.space_is_back(all)
    }

    /// Sessions that were stopped elsewhere are given up after a while.
    fn space_is_back(&mut self, all: Prune) -> Result<(), Fault> {
        for _ in 0..2 {
            if E::CAN_WAIT {
                self.carry_out(0, None, &Order::Wait { hours: 7 })?;
            }
            self.carry_out(0, None, &Order::Prune(all))?;
        }
        let left: Vec<_> =
            self.engine.mark().into_iter().filter(|(name, _)| name.starts_with("packs/")).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("space is not given back: {left:?}")) }
    }
}

/// A folder in memory, where that keeps extended attributes: what the disk does is not asked here.
fn scratch() -> TempDir {
    let in_memory = tempfile::tempdir_in("/dev/shm");
    let keeps = in_memory.as_ref().is_ok_and(|dir| xattr::set(dir.path(), "user.probe", b"x").is_ok());
    if keeps { in_memory.unwrap() } else { tempfile::tempdir().unwrap() }
}

/// The trees of a target.
pub(super) fn trees_of(target: &str) -> std::ops::Range<usize> {
    match TARGETS.iter().position(|t| *t == target) {
        Some(number) if number < TREES => number..number + 1,
        _ => 0..TREES,
    }
}
