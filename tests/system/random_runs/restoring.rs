//! Restores of every kind, compared in full with the reference.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chronos_tests::compare::{between, capture};

use super::engine::{Engine, Order, RestoreOrder};
use super::model::Tree;
use super::operations::{How, Overwrite, Step, Stop, Strategy};
use super::trees::{self, Outcome, over};
use super::world::{Fault, World};

impl<E: Engine> World<E> {
    /// Restores a listed snapshot.
    pub(super) fn restore(&mut self, step: &Step, of: &str, how: &How) -> Result<(), Fault> {
        match how {
            How::Whole { dry_run } => self.whole(step.client, step.stop, of, *dry_run),
            How::InPlace { strategy, overwrite } => self.in_place(step, of, *strategy, *overwrite),
            How::Part { tree, spot } => {
                let (tree, wanted) = self.one_tree(of, *tree);
                let paths: Vec<&PathBuf> = wanted.keys().collect();
                let at = paths[spot % paths.len()];
                let order =
                    RestoreOrder { part: Some(joined(&self.tree(tree), at)), ..RestoreOrder::default() };
                self.elsewhere(step, of, order, &trees::part(&wanted, at))
            }
            How::Filtered { tree, name, only } => {
                let (tree, wanted) = self.one_tree(of, *tree);
                let (include, exclude) = if *only { (Some(name), None) } else { (None, Some(name)) };
                let order = RestoreOrder {
                    part: Some(self.tree(tree)),
                    include: include.cloned(),
                    exclude: exclude.cloned(),
                    ..RestoreOrder::default()
                };
                let wanted = if *only { trees::only(&wanted, name) } else { trees::without(&wanted, name) };
                self.elsewhere(step, of, order, &wanted)
            }
            How::Over { tree, other, strategy, overwrite } => {
                let Some(other) = self.model.listed(*other) else { return Ok(()) };
                self.over(step, (of, &other, *tree), *strategy, *overwrite)
            }
        }
    }

    /// A tree of a snapshot, by a number.
    fn one_tree(&self, of: &str, number: usize) -> (usize, Arc<Tree>) {
        let trees = &self.model.kept[of].trees;
        let (number, tree) = trees.iter().nth(number % trees.len()).unwrap();
        (*number, Arc::clone(tree))
    }

    /// Everything, to a new place.
    pub(super) fn whole(
        &mut self,
        client: usize,
        stop: Option<Stop>,
        of: &str,
        dry_run: bool,
    ) -> Result<(), Fault> {
        let place = self.new_place();
        let order =
            RestoreOrder { of: of.to_owned(), to: Some(place.clone()), dry_run, ..RestoreOrder::default() };
        let answer = self.carry_out(client, stop, &Order::Restore(order))?;
        if dry_run || answer.is_none() {
            return absent(&place);
        }
        for (number, wanted) in self.model.kept[of].trees.clone() {
            let found = place.join(self.tree(number).strip_prefix("/").unwrap());
            same(&wanted, &capture(&found))?;
        }
        remove(&place);
        Ok(())
    }

    /// A part of one tree, to a new place.
    fn elsewhere(&mut self, step: &Step, of: &str, order: RestoreOrder, wanted: &Tree) -> Result<(), Fault> {
        let place = self.new_place();
        let order = RestoreOrder { of: of.to_owned(), to: Some(place.clone()), ..order };
        let answer = self.carry_out(step.client, step.stop, &Order::Restore(order));
        let nothing_fits = wanted.is_empty();
        match answer {
            Ok(Some(_)) if nothing_fits => {}
            Err(why) if nothing_fits && why.starts_with("Refused") => return absent(&place),
            Ok(None) => return absent(&place),
            answer => drop(answer?),
        }
        let mut found = capture(&place);
        if nothing_fits || !wanted.contains_key(Path::new("")) {
            // The place itself is nobody's.
            found.remove(Path::new(""));
        }
        same(wanted, &found)?;
        remove(&place);
        Ok(())
    }

    /// Over another snapshot's tree.
    fn over(
        &mut self,
        step: &Step,
        (of, other, number): (&str, &str, usize),
        strategy: Strategy,
        overwrite: Option<Overwrite>,
    ) -> Result<(), Fault> {
        let place = self.new_place();
        let (tree, old) = self.one_tree(other, number);
        let first = RestoreOrder {
            of: other.to_owned(),
            part: Some(self.tree(tree)),
            to: Some(place.clone()),
            ..RestoreOrder::default()
        };
        self.carry_out(step.client, None, &Order::Restore(first))?;
        let old_found = capture(&place);
        same(&old, &old_found)?;
        let (tree, new) = self.one_tree(of, number);
        let order = RestoreOrder {
            of: of.to_owned(),
            part: Some(self.tree(tree)),
            to: Some(place.clone()),
            strategy: Some(strategy),
            overwrite,
            ..RestoreOrder::default()
        };
        let outcome = over(&old_found, &new, strategy, overwrite);
        let partial = self.overlay(step, order, matches!(outcome, Outcome::Refused))?;
        let found = capture(&place);
        judge(&outcome, partial, &old_found, &found, strategy, overwrite)?;
        remove(&place);
        Ok(())
    }

    /// Over what is there now.
    fn in_place(
        &mut self,
        step: &Step,
        of: &str,
        strategy: Strategy,
        overwrite: Option<Overwrite>,
    ) -> Result<(), Fault> {
        let mut cases = Vec::new();
        for (number, new) in self.model.kept[of].trees.clone() {
            let old = capture(&self.tree(number));
            let outcome = over(&old, &new, strategy, overwrite);
            cases.push((number, old, outcome));
        }
        let refused = cases.iter().any(|(_, _, outcome)| matches!(outcome, Outcome::Refused));
        let order = RestoreOrder {
            of: of.to_owned(),
            strategy: Some(strategy),
            overwrite,
            ..RestoreOrder::default()
        };
        let partial = self.overlay(step, order, refused)?;
        self.model.untouched.clear();
        let all = cases.iter().any(|(_, _, o)| matches!(o, Outcome::Made(_, true)));
        for (number, old, outcome) in cases {
            let outcome = match outcome {
                _ if refused => Outcome::Refused,
                Outcome::Made(tree, _) => Outcome::Made(tree, all),
                Outcome::Refused => Outcome::Refused,
            };
            judge(&outcome, partial, &old, &capture(&self.tree(number)), strategy, overwrite)?;
        }
        Ok(())
    }

    /// Restores over something. Whether something was left out; none if nothing was done.
    fn overlay(&mut self, step: &Step, order: RestoreOrder, refused: bool) -> Result<Option<bool>, Fault> {
        match self.carry_out(step.client, step.stop, &Order::Restore(order)) {
            Err(why) if refused && why.starts_with("Refused") => Ok(None),
            Ok(Some(_)) if refused => Err("it was not refused".to_owned()),
            answer => Ok(answer?.map(|a| a.partial)),
        }
    }
}

/// Compares what a restore over something made with the reference. `partial`: none if nothing was to be done.
fn judge(
    outcome: &Outcome,
    partial: Option<bool>,
    old: &Tree,
    found: &Tree,
    strategy: Strategy,
    overwrite: Option<Overwrite>,
) -> Result<(), Fault> {
    match (outcome, partial) {
        (Outcome::Made(wanted, left), Some(partial)) => {
            if *left != partial {
                return Err(format!("partial is {partial}, but {left} is wanted"));
            }
            let loose = |tree| trees::loosened(tree, strategy, overwrite);
            same(&loose(wanted), &loose(found))
        }
        _ => same(old, found).map_err(|why| format!("not as it was before: {why}")),
    }
}

fn joined(folder: &Path, below: &Path) -> PathBuf {
    if below.as_os_str().is_empty() { folder.to_owned() } else { folder.join(below) }
}

fn same(wanted: &Tree, found: &Tree) -> Result<(), Fault> {
    let lines = between(wanted, found);
    if lines.is_empty() { Ok(()) } else { Err(format!("wanted and found differ: {lines:#?}")) }
}

fn absent(place: &Path) -> Result<(), Fault> {
    if place.symlink_metadata().is_ok() {
        return Err(format!("{} was left there", place.display()));
    }
    Ok(())
}

fn remove(place: &Path) {
    if place.exists() {
        fs::remove_dir_all(place).unwrap();
    }
}
