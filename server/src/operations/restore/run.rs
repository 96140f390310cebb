//! From a task to its end: the order of the steps, and what is told of each.

use chronos_snapshot::{SourceResult, Strategy};
use chronos_store::check_cancelled;
use serde_json::{Value, json};

use crate::config::SourceKind;
use crate::error::{Error, Result};
use crate::hooks::{Hooks, Operation};
use crate::operations::restore::acts::resume_target;
use crate::operations::restore::done::{Restored, StepDone, StepStatus};
use crate::operations::restore::plan::Plan;
use crate::operations::restore::record::{Record, turn_of};
use crate::operations::restore::safety::Safety;
use crate::operations::restore::step::{LeftOut, Step};
use crate::operations::restore::{Task, databases, files, lite, workflows};
use crate::state::State;
use crate::turn::Turn;

/// How one that was begun went.
struct Applied {
    restored: Restored,
    /// Why the first step that failed did.
    cause: Option<Error>,
}

/// Why nothing is back.
enum Ended {
    /// It was refused before anything was touched.
    Refused(Error),
    /// Its first step failed.
    Failed(Box<Applied>),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl Ended {
    fn sentence(&self) -> String {
        match self {
            Self::Refused(error) => error.to_string(),
            Self::Failed(applied) => applied.restored.message.clone(),
        }
    }
}

impl Task<'_> {
    /// Does it, or says what would be done.
    pub(super) fn run(mut self) -> Result<Restored> {
        if self.mode.is_dry() {
            let steps = self.steps()?;
            let plan = self.check_fingerprint(&steps)?;
            return Ok(self.planned(plan));
        }
        let _turns = self.turns()?;
        self.check_act()?;
        let mut warnings = std::mem::take(&mut self.warnings);
        let undone = self.undone.as_ref().map(|undone| &*undone.rollback_id);
        match resume_target(self.workplace, &self.repository.id().to_string(), &self.target, undone) {
            Ok(told) => warnings.extend(told),
            Err(error) => {
                warnings.push(format!("restores that were interrupted cannot be looked at: {error}"));
            }
        }
        let record = Record::begin(&self, &mut warnings);
        self.warnings = warnings;
        match self.hooked(&record) {
            Ok(Applied { restored, cause }) => {
                record.ended(&self, &restored, cause.as_ref());
                Ok(restored)
            }
            Err(Ended::Failed(applied)) => {
                let Applied { restored, cause } = *applied;
                record.ended(&self, &restored, cause.as_ref());
                Err(not_restored(&restored, cause.unwrap_or(Error::StepFailed(restored.message.clone()))))
            }
            Err(Ended::Refused(error)) => {
                let mut restored = self.blank(Some(&record));
                "failed".clone_into(&mut restored.status);
                restored.message = error.to_string();
                record.ended(&self, &restored, Some(&error));
                Err(not_restored(&restored, error))
            }
        }
    }

    /// Of a restore that died in the middle of it is undone what nobody has ended since.
    fn check_act(&self) -> Result<()> {
        let Some((undone, act)) = self.undone.as_ref().and_then(|undone| Some((undone, undone.act?))) else {
            return Ok(());
        };
        if State::open(&self.workplace.places.state)?.has_act(act)? {
            return Ok(());
        }
        let why = "it was brought to an end meanwhile".to_owned();
        Err(Error::NotUndoable { rollback_id: undone.rollback_id.clone(), why })
    }

    /// Nobody else restores this target meanwhile; and nobody backs up what is written to.
    fn turns(&self) -> Result<Vec<Turn>> {
        let state = &self.workplace.places.state;
        let repository = self.repository.id().to_string();
        let own = Turn::try_take(state, &repository, &turn_of(&self.target))?;
        let own = own.ok_or_else(|| Error::RestoreRunning { target: self.target.clone() })?;
        let mut turns = vec![own];
        if self.strategy != Strategy::NewLocation {
            let monitor = &**self.repository.monitor();
            turns.push(Turn::take(state, &repository, &self.target, monitor)?);
        }
        Ok(turns)
    }

    fn hooked(&self, record: &Record) -> Result<Applied, Ended> {
        let steps = self.steps()?;
        if steps.iter().all(|step| step.plan().left_out.is_some()) {
            let why = steps.iter().filter_map(|step| {
                let plan = step.plan();
                Some(format!("{}: {}", plan.sources.join(", "), plan.left_out.as_deref()?))
            });
            return Err(Error::NothingToRestore { why: why.collect::<Vec<_>>().join("; ") }.into());
        }
        let plan = self.check_fingerprint(&steps)?;
        let targets = [self.target.clone()];
        let hooks = Hooks::of(self.workplace, self.repository.monitor(), Operation::Restore, &targets);
        hooks.around(
            &self.about(record, &plan),
            || match self.apply(record, &steps)? {
                applied if applied.restored.status == "failed" => Err(Ended::Failed(Box::new(applied))),
                applied => Ok(applied),
            },
            |applied| serde_json::to_value(&applied.restored).unwrap_or_default(),
            Ended::sentence,
        )
    }

    /// The plan, if it is the one that somebody has seen or nobody has seen one.
    fn check_fingerprint(&self, steps: &[Box<dyn Step + '_>]) -> Result<Plan> {
        let plan = Plan::of(self, steps);
        match &self.fingerprint {
            Some(seen) if *seen != plan.fingerprint => {
                Err(Error::PlanMoved { target: self.target.clone(), now: plan.fingerprint })
            }
            _ => Ok(plan),
        }
    }

    /// What hooks are told before anything is touched.
    fn about(&self, record: &Record, plan: &Plan) -> Value {
        let m = &self.snapshot.manifest;
        json!({
            "rollback_id": record.id,
            "backup_id": m.backup_id,
            "snapshot": self.snapshot.id.to_string(),
            "strategy": self.strategy.name(),
            "to": self.place,
            "sources": self.sources.iter().map(|s| json!({ "name": s.name, "kind": s.kind })).collect::<Vec<_>>(),
            "tags": self.snapshot.tags(),
            "metadata": m.metadata,
            "plan": plan,
        })
    }

    /// The steps in their order, planned.
    fn steps(&self) -> Result<Vec<Box<dyn Step + '_>>> {
        self.repository.monitor().phase("plan");
        if self.strategy == Strategy::NewLocation {
            let mut steps = files::new_place(self)?;
            // Where its server is configured, a new place for a database is a new database.
            for source in self.sources.iter().filter(|s| self.is_new_database(s)) {
                steps.push(databases::databases(self, source)?);
            }
            return Ok(steps);
        }
        if !self.part.is_all() {
            return Ok(vec![databases::part(self)?]);
        }
        let mut missing = workflows::Missing::default();
        let mut steps = files::in_place(self)?;
        for source in self.sources.iter().filter(|s| s.kind != "files") {
            let step = match &*source.kind {
                "sqlite" => lite::database(self, source)?,
                "postgres" => databases::databases(self, source)?,
                "n8n" => match workflows::workflows(self, source, &mut missing)? {
                    Some(step) => step,
                    None => continue,
                },
                kind => {
                    let why = format!(
                        "what is of kind {kind} has no place to go back to: strategy new_location makes files of it"
                    );
                    Box::new(LeftOut(self.left_out(source, why)))
                }
            };
            steps.push(step);
        }
        missing.check()?;
        Ok(steps)
    }

    /// Whether a new place for this source is a new database.
    pub(super) fn is_new_database(&self, source: &SourceResult) -> bool {
        source.kind == "postgres" && self.source(source, SourceKind::Postgres).is_some()
    }

    /// Safety snapshot, then one step after the other until one fails.
    fn apply(&self, record: &Record, steps: &[Box<dyn Step + '_>]) -> Result<Applied> {
        let monitor = &**self.repository.monitor();
        check_cancelled(monitor)?;
        let mut restored = self.blank(Some(record));
        steps.iter().for_each(|step| restored.take_part(step.plan()));
        record.part(self, &restored);
        let has_work = steps.iter().any(|step| step.plan().has_work());
        steps.iter().try_for_each(|step| step.hold())?;
        let safety = if has_work { Safety::make(self, steps) } else { Ok(None) };
        let safety = match safety {
            Err(error) if self.force => {
                restored.warnings.push(format!("{error}; it was done all the same, as was asked for"));
                None
            }
            made => made?,
        };
        if let Some(safety) = &safety {
            record.safety(self, safety.backup_id());
            restored.pre_rollback_backup = Some(safety.backup_id().to_owned());
        }
        let mut cause = None;
        for step in steps {
            let blank = StepDone::of(step.plan());
            if cause.is_some() || blank.status == StepStatus::LeftOut {
                restored.steps.push(blank);
                continue;
            }
            if let Err(error) = check_cancelled(monitor) {
                cause = Some(error.into());
                restored.steps.push(blank);
                continue;
            }
            let done = step.apply(safety.as_ref(), record).unwrap_or_else(|error| {
                let failed = blank.failed(error.to_string());
                cause = Some(error);
                failed
            });
            if done.status == StepStatus::Failed && cause.is_none() {
                cause = Some(done.failure());
            }
            restored.steps.push(done);
        }
        restored.sum_up();
        restored.completed_at = Some(self.now());
        Ok(Applied { restored, cause })
    }

    fn planned(&self, plan: Plan) -> Restored {
        let count =
            |of: fn(&crate::operations::restore::StepPlan) -> u64| plan.steps.iter().map(of).sum::<u64>();
        let message = format!(
            "would create {}, overwrite {}, change the attributes of {} and remove {} things of {}; nothing was changed",
            count(|s| s.creates.count),
            count(|s| s.overwrites.count),
            count(|s| s.attributes.count),
            count(|s| s.removes.count),
            self.subject(),
        );
        let mut planned = Restored { status: "planned".to_owned(), message, ..self.blank(None) };
        plan.steps.iter().for_each(|step| planned.take_part(step));
        Restored { plan: Some(plan), ..planned }
    }

    fn blank(&self, record: Option<&Record>) -> Restored {
        Restored {
            rollback_id: record.map(|r| r.id.clone()),
            dry_run: self.mode.is_dry(),
            backup_id: self.snapshot.manifest.backup_id.clone(),
            snapshot: self.snapshot.id.to_string(),
            target: self.target.clone(),
            component: self.target.clone(),
            subject: self.subject(),
            strategy: self.strategy.name().to_owned(),
            path: self.place.as_deref().map(files::shown),
            warnings: self.warnings.clone(),
            created_at: self.began.to_string(),
            ..Restored::default()
        }
    }

    /// What is put back, as a sentence names it.
    fn subject(&self) -> String {
        let names: Vec<&str> = if !self.workflows.is_empty() {
            self.workflows.iter().map(String::as_str).collect()
        } else if self.part.is_all() && self.sources.len() < self.snapshot.manifest.sources.len() {
            self.sources.iter().map(|source| &*source.name).collect()
        } else {
            return self.target.clone();
        };
        let kind = match self.workflows.len() {
            0 => "",
            1 => "workflow ",
            _ => "workflows ",
        };
        format!("{kind}{} of {}", names.join(", "), self.target)
    }

    fn now(&self) -> String {
        jiff::Timestamp::from_nanosecond(self.workplace.env.clock.now()).unwrap_or(self.began).to_string()
    }
}

fn not_restored(restored: &Restored, cause: Error) -> Error {
    Error::NotRestored {
        rollback_id: restored.rollback_id.clone().unwrap_or_default(),
        // Texts, numbers and lists can always be written.
        report: serde_json::to_value(restored).unwrap_or_default(),
        cause: Box::new(cause),
    }
}
