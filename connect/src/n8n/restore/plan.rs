//! What a restore would do; nothing is changed.

use std::collections::{BTreeMap, BTreeSet};

use chronos_store::{Monitor, check_cancelled};
use serde_json::Value;

use crate::error::Result;
use crate::n8n::error::Error;
use crate::n8n::instance::Instance;
use crate::n8n::restore::compare::{Difference, differences};
use crate::n8n::restore::references::{called, referenced, rewrite};
use crate::n8n::restore::{Action, Plan, Planned, RestoreOptions, Stored};
use crate::n8n::version::Era;
use crate::n8n::workflow::{fingerprint, published_unseen, text_of};

/// Compares each stored workflow with the live one.
pub fn plan(
    instance: &Instance,
    stored: &dyn Stored,
    options: &RestoreOptions,
    monitor: &dyn Monitor,
) -> Result<Plan> {
    let version = instance.version()?;
    let ids = stored.ids();
    monitor.phase("plan");
    monitor.total(ids.len() as u64, 0);
    let known = &options.known_ids;
    let there = if known.is_empty() { BTreeMap::new() } else { instance.workflow_names()? };
    let mut known = ids_now(known, &|id| there.contains_key(id));
    // One that the snapshot has under the id of another is that one.
    known.retain(|_, now| !ids.contains(now));
    let mut plan = Plan { version, ids: known, workflows: Vec::new(), errors: Vec::new() };
    for id in ids {
        check_cancelled(monitor).map_err(chronos_snapshot::Error::from)?;
        match planned(instance, &plan, stored, &id, options) {
            Ok(planned) => plan.workflows.push(planned),
            Err(PlanError::Server(error)) if error.is_of_the_server() => return Err(error.into()),
            Err(PlanError::Server(error)) => plan.errors.push((id, error.to_string())),
            Err(PlanError::Stored(error)) => plan.errors.push((id, error.to_string())),
        }
        monitor.advance(1, 0);
    }
    if !keeps_ids(instance, options) && plan.version.era < Era::Late2 {
        touch_what_names_new_ids(&mut plan.workflows);
    }
    plan.workflows = in_order(std::mem::take(&mut plan.workflows));
    Ok(plan)
}

/// Whether a way in is the command line, which takes ids and all fields over.
fn keeps_ids(instance: &Instance, options: &RestoreOptions) -> bool {
    options.command.is_some() || matches!(instance, Instance::Command(_))
}

enum PlanError {
    Server(Error),
    Stored(crate::error::Error),
}

fn planned(
    instance: &Instance,
    plan: &Plan,
    stored: &dyn Stored,
    id: &str,
    options: &RestoreOptions,
) -> Result<Planned, PlanError> {
    let mut wanted = stored.load(id).map_err(PlanError::Stored)?;
    let mut live_id = id.to_owned();
    if let Some(known) = plan.ids.get(id) {
        live_id.clone_from(known);
    }
    let live = instance.workflow(&live_id).map_err(PlanError::Server)?;
    let (calls, names) = (called(&wanted), referenced(&wanted));
    rewrite(&mut wanted, &plan.ids);
    let (action, differences) = match &live {
        None => (Action::Created, Vec::new()),
        Some(live) => {
            let found = differences(&wanted, live, plan.version.era);
            let is_over_api = matches!(instance, Instance::Api(_));
            let can = |d: &Difference| {
                (d.can_change && is_over_api) || (d.can_import && keeps_ids(instance, options))
            };
            let action = if found.iter().any(can) { Action::Updated } else { Action::Unchanged };
            (action, found.into_iter().map(|d| d.what).collect())
        }
    };
    let name = text_of(&wanted, "name").unwrap_or_default().into_owned();
    let active = wanted.get("active").and_then(Value::as_bool).unwrap_or_default();
    let live = live.as_ref().map(fingerprint);
    let published_unseen =
        published_unseen(&wanted).filter(|_| plan.version.era >= Era::Early2).map(str::to_owned);
    let id = id.to_owned();
    Ok(Planned { id, live_id, live, name, action, differences, active, published_unseen, calls, names })
}

/// Under which ids the workflows are there that are not there under their own: one that was made again may have been made again since.
fn ids_now(known: &BTreeMap<String, String>, is_there: &dyn Fn(&str) -> bool) -> BTreeMap<String, String> {
    let gone = known.keys().filter(|id| !is_there(id));
    let found = gone.filter_map(|id| {
        let mut now = id;
        // A chain is no longer than there are links; a ring ends too.
        for _ in 0..known.len() {
            now = known.get(now)?;
            if is_there(now) {
                return Some((id.clone(), now.clone()));
            }
        }
        None
    });
    found.collect()
}

/// What names a workflow that will get a new id is written too.
fn touch_what_names_new_ids(workflows: &mut [Planned]) {
    let new: BTreeSet<String> =
        workflows.iter().filter(|w| w.action == Action::Created).map(|w| w.id.clone()).collect();
    for workflow in workflows.iter_mut().filter(|w| w.action == Action::Unchanged) {
        if let Some(name) = workflow.names.iter().find(|n| new.contains(*n)) {
            workflow.action = Action::Updated;
            workflow.differences.push(format!("names workflow {name}, which gets a new id"));
        }
    }
}

/// What is called comes before what calls it; of a ring, the first by its id comes last.
fn in_order(workflows: Vec<Planned>) -> Vec<Planned> {
    let mut left: BTreeMap<String, Planned> = workflows.into_iter().map(|w| (w.id.clone(), w)).collect();
    let mut ordered = Vec::with_capacity(left.len());
    // Ids from the one that calls down to the one that is called.
    let mut path: Vec<String> = Vec::new();
    while let Some(first) = left.keys().next().cloned() {
        path.push(first);
        while let Some(id) = path.last() {
            let next = left
                .get(id)
                .and_then(|w| w.calls.iter().find(|c| left.contains_key(*c) && !path.contains(c)).cloned());
            if let Some(next) = next {
                path.push(next);
            } else {
                ordered.extend(path.pop().and_then(|id| left.remove(&id)));
            }
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(id: &str, calls: &[&str], action: Action) -> Planned {
        let calls: Vec<String> = calls.iter().map(|c| (*c).to_owned()).collect();
        Planned {
            id: id.to_owned(),
            live_id: id.to_owned(),
            live: None,
            name: String::new(),
            action,
            differences: Vec::new(),
            active: false,
            published_unseen: None,
            names: calls.clone(),
            calls,
        }
    }

    fn order(workflows: &[(&str, &[&str])]) -> Vec<String> {
        let workflows = workflows.iter().map(|(id, calls)| planned(id, calls, Action::Updated)).collect();
        in_order(workflows).into_iter().map(|w| w.id).collect()
    }

    #[test]
    fn what_is_called_comes_first_also_in_a_ring() {
        assert_eq!(
            order(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[]), ("d", &["elsewhere", "d"])]),
            ["c", "b", "a", "d"]
        );
        assert_eq!(order(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"])]), ["c", "b", "a"]);
        assert_eq!(order(&[]), [""; 0]);
    }

    #[test]
    fn a_workflow_is_found_under_the_last_id_that_is_there() {
        let known = [("a", "b"), ("b", "c"), ("d", "e"), ("e", "d"), ("f", "g")];
        let known = known.map(|(id, new)| (id.to_owned(), new.to_owned())).into();
        let now = |there: &[&str]| ids_now(&known, &|id| there.contains(&id));
        let ids = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(id, new)| ((*id).to_owned(), (*new).to_owned())).collect::<BTreeMap<_, _>>()
        };
        assert_eq!(now(&["c", "f", "g"]), ids(&[("a", "c"), ("b", "c")]));
        assert_eq!(now(&["a", "b", "e"]), ids(&[("d", "e")]));
        assert_eq!(now(&[]), ids(&[]));
    }

    #[test]
    fn what_names_a_workflow_with_a_new_id_is_written_too() {
        let mut workflows = [
            planned("a", &["b"], Action::Unchanged),
            planned("b", &[], Action::Created),
            planned("c", &["d"], Action::Unchanged),
        ];
        touch_what_names_new_ids(&mut workflows);
        let actions = workflows.map(|w| w.action);
        assert_eq!(actions, [Action::Updated, Action::Created, Action::Unchanged]);
    }
}
