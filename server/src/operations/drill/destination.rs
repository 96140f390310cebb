//! A drill into a target that is marked for it: a source is put back over the live one there, as it would be on the bad day, and proven there.
//!
//! What always holds: nothing is written into a target that is not marked, into the one that is drilled, or where a place is, or may be,
//! that of any other target; no workflow becomes active there; of what was there a snapshot is made first, if that can be.

use std::collections::BTreeSet;

use chronos_connect::postgres::Client;
use chronos_connect::{Verdict, sqlite};
use chronos_snapshot::{FileOptions, SourceResult, counted};

use crate::catalog::target_name;
use crate::config::{DrillRules, Source, TargetConfig};
use crate::error::{Error, Kind, Result};
use crate::operations::Mode;
use crate::operations::backup::setting;
use crate::operations::drill::apart::{holds, shares};
use crate::operations::drill::findings::{Findings, of_words, verdict};
use crate::operations::drill::rows::Rows;
use crate::operations::drill::trial::{Trial, folder};
use crate::operations::restore::{
    Plan, RestoreRequest, Restored, StepDone, StepPlan, StepStatus, archives, database_of, restore,
};
use crate::sources::postgres_client;
use crate::values::shown;
use crate::workplace::Workplace;

/// Words by which a server tells that it cannot be reached, or that its user may not do what a restore does.
const OF_DESTINATION: [&str; 7] = [
    "connection to server",
    "permission denied",
    "must be owner",
    "must be superuser",
    "must be member",
    "not permitted",
    "restart of target",
];
/// Differences that are told.
const SHOWN: usize = 5;

/// Its name, also where nothing may be written there.
pub(super) fn name(workplace: &Workplace, drilled: &str, asked: Option<&str>) -> Option<String> {
    let config = &workplace.config;
    let configured = || config.target(drilled).and_then(|target| target.drill_into.as_deref());
    asked.or_else(configured).map(|name| target_name(config, name))
}

/// The target that the drills of `drilled` go into: the one that is asked for, else the one that is configured, else none.
///
/// # Errors
/// Nothing may be written there.
pub(super) fn meant<'w>(
    workplace: &'w Workplace,
    drilled: &str,
    asked: Option<&str>,
) -> Result<Option<&'w TargetConfig>> {
    let config = &workplace.config;
    let Some(name) = name(workplace, drilled, asked) else { return Ok(None) };
    let Some(into) = config.target(&name) else { return Err(Error::UnknownTarget { target: name }) };
    let refused = |why: String| Err(Error::Value { place: "into".to_owned(), why });
    if !into.drill_destination {
        return refused(format!(
            "target {} is not marked drill_destination = true in the configuration file: a drill writes over what a target holds only \
             where that is expendable",
            into.name
        ));
    }
    if into.name == drilled {
        return refused(format!("target {drilled} is the one that is drilled: name another, or none"));
    }
    let own = config.own_now();
    let others = config.targets.iter().chain(&own).filter(|other| other.name != into.name);
    let shared = others.into_iter().find_map(|other| shares(workplace, into, other)).or_else(|| {
        let folders = workplace.own_folders();
        folders.iter().find_map(|folder| holds(into, folder, &format!("{} of this program", shown(folder))))
    });
    if let Some(why) = shared {
        return refused(format!(
            "no drill goes into target {}: {why}. A drill writes to no place of another target",
            into.name
        ));
    }
    Ok(Some(into))
}

impl Trial<'_> {
    /// Puts a source into the destination and proves it there; `false`: it has no place there, which is told.
    pub(super) fn put(
        &self,
        into: &TargetConfig,
        source: &SourceResult,
        found: &mut Findings,
    ) -> Result<bool> {
        let request = RestoreRequest {
            backup: self.snapshot.manifest.backup_id.clone(),
            sources: Some(vec![source.name.clone()]),
            target: Some(into.name.clone()),
            mode: Mode::dry(true),
            // What it holds is expendable.
            force: true,
            is_inactive: true,
            ..RestoreRequest::default()
        };
        let repository = &self.catalog.repository;
        let planned = match restore(self.workplace, repository, &request) {
            Ok(planned) => planned.plan.unwrap_or_default(),
            Err(error) => return not_put(error, found).map(|()| true),
        };
        if let Some(why) = left_out(&planned) {
            found.holds(format!(
                "target {} does not take it, and it is tried in the scratch place: {why}",
                into.name
            ));
            return Ok(false);
        }
        match restore(self.workplace, repository, &RestoreRequest { mode: Mode::Apply, ..request }) {
            Ok(restored) => self.tell(into, source, &restored, found)?,
            Err(error) => not_put(error, found)?,
        }
        Ok(true)
    }

    /// What became of each step, and what it holds now.
    fn tell(
        &self,
        into: &TargetConfig,
        source: &SourceResult,
        restored: &Restored,
        found: &mut Findings,
    ) -> Result<()> {
        let notes = restored.steps.iter().flat_map(|step| &step.notes);
        restored.warnings.iter().chain(notes).for_each(|note| found.holds(note.clone()));
        for step in &restored.steps {
            let count = match step.status {
                StepStatus::Unchanged => "it was there as it is stored".to_owned(),
                _ => format!("{} put back", counted(step.restored, noun(step))),
            };
            found.holds(format!("{} of target {}: {count}, read back and compared", step.place, into.name));
            for workflow in step.workflows.iter().filter(|workflow| workflow.error.is_none()) {
                for what in workflow.differences.iter().take(SHOWN) {
                    found.holds(format!("workflow {} is shown otherwise there: {what}", workflow.id));
                }
            }
            let first = step.error.iter().filter(|_| step.errors.is_empty()).cloned();
            let each = step.errors.iter().map(|lacks| format!("{}: {}", lacks.what, lacks.error));
            first.chain(each).for_each(|why| blame(found, &why));
            let is_back = matches!(step.status, StepStatus::Completed | StepStatus::Unchanged);
            let live = step.into.first().and_then(|name| into.sources.iter().find(|s| s.name == *name));
            let Some(live) = live.filter(|_| is_back) else { continue };
            match &*step.kind {
                "postgres" => self.prove_databases(source, live, found)?,
                "sqlite" => self.prove_lite(source, live, found)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The databases of a server of the destination hold what those that were stored have to.
    fn prove_databases(&self, source: &SourceResult, live: &Source, found: &mut Findings) -> Result<()> {
        let client: Client = postgres_client(live, &setting(self.workplace, &FileOptions::default()))?;
        let all = archives(&self.tree, &client, &folder(source)?)?;
        let (limit, is_alone) = (self.time_limit(Some(source)), all.len() == 1);
        let mut names = BTreeSet::new();
        for (_, _, name) in all {
            let Some(database) = database_of(live, &client, &name, is_alone) else { continue };
            let rules = DrillRules::of_database(self.rules(source), &name);
            client.prove(&database, &rules, limit, &mut found.proof);
            match client.rows(&database, limit) {
                Ok(rows) => self.compare_there(source, &name, rows, found),
                Err(error) => found.blame(&format!("the rows of database {name}"), &Verdict::of(&error)),
            }
            names.insert(name);
        }
        self.name_what_is_missing(source, &names, found);
        Ok(())
    }

    /// Rows that are fewer than they were: those who use the destination may have removed them since.
    fn compare_there(&self, source: &SourceResult, database: &str, rows: Rows, found: &mut Findings) {
        let mut there = Findings::default();
        self.compare_rows(source, database, rows, &mut there);
        there.proof.facts.into_iter().for_each(|fact| found.holds(fact));
        there.proof.failures.into_iter().for_each(|why| found.not_tried(why));
    }

    /// The same of an SQLite database, of which a copy is asked: those who use it may have been started.
    fn prove_lite(&self, source: &SourceResult, live: &Source, found: &mut Findings) -> Result<()> {
        let place = live.path.clone().unwrap_or_default();
        let rules = DrillRules::of_database(self.rules(source), &source.name);
        let (proof, rows) = sqlite::prove_live(&place, &self.scratch.private(), &rules)?;
        found.add(proof);
        self.compare_there(source, &source.name, rows, found);
        self.name_what_is_missing(source, &BTreeSet::from([source.name.clone()]), found);
        Ok(())
    }
}

/// Why nothing of a plan is put back.
fn left_out(plan: &Plan) -> Option<String> {
    let why: Option<Vec<&str>> = plan.steps.iter().map(|step: &StepPlan| step.left_out.as_deref()).collect();
    why.map(|all| all.join("; "))
}

/// What is counted of a step.
fn noun(step: &StepDone) -> &'static str {
    match &*step.kind {
        "n8n" => "workflow",
        "postgres" | "sqlite" => "database",
        _ => "file",
    }
}

/// Notes why nothing was put back: what the destination does not do says nothing of the snapshot.
fn not_put(error: Error, found: &mut Findings) -> Result<()> {
    if error.kind() == Kind::Library(chronos_snapshot::ErrorKind::Interrupted) {
        return Err(error);
    }
    let cause = match error {
        Error::NotRestored { cause, .. } => *cause,
        other => other,
    };
    let is_damage = cause.kind() == Kind::Library(chronos_snapshot::ErrorKind::Damaged);
    let of_cause = verdict(&cause);
    let is_told_by_server = matches!(cause, Error::Connect(_) | Error::StepFailed(_));
    let is_of_host =
        !is_damage && (of_cause.is_of_host || !is_told_by_server || speaks_of_destination(&of_cause.why));
    found.blame("it was not put back", &Verdict { is_of_host, why: of_cause.why });
    Ok(())
}

/// Notes something that is not back.
fn blame(found: &mut Findings, why: &str) {
    let verdict = of_words(why);
    if verdict.is_of_host || speaks_of_destination(why) {
        found.not_tried(verdict.why);
    } else {
        found.fails(verdict.why);
    }
}

fn speaks_of_destination(why: &str) -> bool {
    OF_DESTINATION.iter().any(|words| why.contains(words))
}
