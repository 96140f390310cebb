//! What an order must lead to, by the reference alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::engine::{Answer, BackupOrder, Order, ParentOrder};
use super::model::{Kept, Model, NEW, Possible, Row, Tree};
use super::operations::{Kind, Repair};
use super::trees::without;

/// What is known of an order beforehand.
#[derive(Debug)]
pub(super) struct Expected {
    /// It must be refused.
    pub(super) refused: bool,
    /// Nothing may be written to the repository.
    pub(super) quiet: bool,
    /// What must hold once it is carried out.
    after: Vec<Possible>,
    /// What may hold if it is stopped, besides that and what held before.
    between: Vec<Possible>,
}

impl Expected {
    fn allowed(after: Model) -> Self {
        Self { refused: false, quiet: false, after: vec![after.into()], between: Vec::new() }
    }

    fn nothing(model: &Model) -> Self {
        Self { quiet: true, ..Self::allowed(model.clone()) }
    }

    fn refused_if(mut self, refused: bool) -> Self {
        self.refused |= refused;
        self.quiet |= refused;
        self
    }

    fn loud(self) -> Self {
        Self { quiet: false, ..self }
    }

    /// What may hold now. `None`: it was stopped.
    pub(super) fn possible(&self, before: &Model, answer: Option<&Answer>) -> Vec<Possible> {
        let stopped = answer.is_none();
        let all = self.after.iter().filter(|p| match answer {
            // What may be gone is, unless it waits for somebody.
            Some(answer) => p.maybe_gone.is_empty() || answer.pending,
            None => true,
        });
        let mut all: Vec<Possible> = all.cloned().collect();
        if stopped {
            all.extend(self.between.iter().cloned());
            all.push(before.clone().into());
        }
        all
    }
}

fn edited(model: &Model, edit: impl FnOnce(&mut Model)) -> Expected {
    let mut after = model.clone();
    edit(&mut after);
    Expected::allowed(after)
}

/// What `order` of a host must lead to. `now`: the trees that a backup takes.
pub(super) fn expected(
    model: &Model,
    order: &Order,
    host: &str,
    now: &BTreeMap<usize, Arc<Tree>>,
) -> Expected {
    match order {
        Order::Backup(order) => backed_up(model, order, host, now),
        Order::Forget(name) => edited(model, |after| after.forget(name))
            .refused_if(!model.is_listed(name) || model.is_held(name)),
        Order::Undelete(name) => {
            let is_deleted = model.kept.get(name).is_some_and(|k| k.row.deleted);
            edited(model, |after| after.undelete(name)).refused_if(!is_deleted)
        }
        Order::Hold(name) | Order::Release(name) | Order::Tag(name, _) => edited(model, |after| {
            let Some(kept) = after.kept.get_mut(name) else { return };
            match order {
                Order::Tag(_, tags) => kept.row.tags.clone_from(tags),
                order => kept.row.held = matches!(order, Order::Hold(_)),
            }
        })
        .refused_if(!model.is_listed(name)),
        Order::ForgetByRule { last, target, dry_run } => {
            let gone = model.past_last(*last, target.as_deref()).unwrap_or_default();
            if *dry_run || gone.is_empty() {
                return Expected::nothing(model);
            }
            edited(model, |after| gone.iter().for_each(|name| after.forget(name)))
        }
        Order::Prune(prune) if prune.dry_run => Expected::nothing(model),
        Order::Prune(prune) => {
            let expired = model.expired(prune.keep_hours);
            let mut expected = edited(model, |after| after.kept.retain(|name, _| !expired.contains(name)));
            expected.after.push(Possible { model: model.clone(), maybe_gone: expired });
            expected
        }
        Order::Repair { what: Repair::Index, dry_run: false } => Expected::allowed(model.clone()),
        Order::Rewrite { of, exclude, dry_run } => rewritten(model, of, exclude, *dry_run),
        Order::AddKey(key) => edited(model, |after| after.keys.extend([*key])),
        Order::RemoveKey(key) => {
            edited(model, |after| after.keys.retain(|k| k != key)).refused_if(model.keys.len() < 2)
        }
        Order::Restore(_)
        | Order::Check { .. }
        | Order::Repair { .. }
        | Order::LoseCache
        | Order::KeepCache
        | Order::OldCache => Expected::nothing(model),
        Order::Wait { hours } => edited(model, |after| after.hours += hours),
    }
}

fn rewritten(model: &Model, of: &str, exclude: &str, dry_run: bool) -> Expected {
    let Some(old) = model.kept.get(of) else { return Expected::nothing(model).refused_if(true) };
    // What is deleted already cannot be rewritten.
    let refused = old.row.held || old.row.deleted;
    let trees: BTreeMap<usize, Arc<Tree>> =
        old.trees.iter().map(|(number, tree)| (*number, Arc::new(without(tree, exclude)))).collect();
    let differs = trees.iter().any(|(number, tree)| tree.len() != old.trees[number].len());
    if dry_run || !differs {
        return Expected::nothing(model).refused_if(refused);
    }
    let mut made = model.clone();
    let row = Row { held: false, deleted: false, ..old.row.clone() };
    made.untouched.remove(&(row.host.clone(), row.target.clone()));
    made.add(NEW, Kept { row, trees, time: old.time, forgotten: None });
    let mut after = made.clone();
    after.forget(of);
    Expected { between: vec![made.into()], ..Expected::allowed(after) }.refused_if(refused)
}

fn backed_up(model: &Model, order: &BackupOrder, host: &str, now: &BTreeMap<usize, Arc<Tree>>) -> Expected {
    let is_unknown = matches!(&order.parent, ParentOrder::Named(name) if !model.is_listed(name));
    let made = edited(model, |after| {
        let target = order.target.clone();
        let row = Row { target, host: host.to_owned(), deleted: false, held: false, tags: Vec::new() };
        after.untouched.insert((row.host.clone(), row.target.clone()), NEW.to_owned());
        after.add(NEW, Kept { row, trees: now.clone(), time: model.made.len(), forgotten: None });
    });
    match order.kind {
        Kind::DryRun => return Expected::nothing(model).refused_if(is_unknown),
        Kind::Always => made,
        Kind::IfChanged => {
            let unchanged = Possible::from(model.clone());
            Expected { after: made.after.into_iter().chain([unchanged]).collect(), ..made }
        }
    }
    .refused_if(is_unknown)
    // Whoever begins a session closes those that were left.
    .loud()
}
