//! Services that are started again, by commands that stand in the configuration and nowhere else.

use serde_json::json;

use crate::config::TargetConfig;
use crate::error::{Error, Result};
use crate::events::ended;
use crate::operations::emergency::{
    Action, EmergencyDone, EmergencyRequest, Failure, Restarted, meant, status,
};
use crate::operations::restart::run;
use crate::operations::restore::{About, Call};
use crate::state::{RollbackStatus, RollbackType};
use crate::workplace::Workplace;

/// Runs the commands of a target, or of all.
pub(super) fn restart(
    workplace: &Workplace,
    request: &EmergencyRequest,
    name: &str,
) -> Result<EmergencyDone> {
    let targets = meant(workplace, name)?;
    let commands: Vec<(&TargetConfig, &String)> =
        targets.into_iter().filter_map(|target| Some((target, target.restart.as_ref()?))).collect();
    if commands.is_empty() {
        let why = format!("{name} has no command that restarts it: give its [[target]] a `restart`");
        return Err(Error::Value { place: "target".to_owned(), why });
    }
    let mut done = EmergencyDone::default();
    if !request.confirm {
        // Commands may hold secrets.
        done.plan =
            commands.iter().map(|(target, _)| format!("run the restart of {}", target.name)).collect();
        return Ok(done);
    }
    let about = About {
        repository: &workplace.place_id(),
        kind: RollbackType::Emergency,
        target: name,
        source: None,
        undoes: None,
    };
    let call = Call::begin(workplace, &about, &mut done.warnings)?;
    done.rollback_id = Some(call.id.clone());
    for (target, line) in commands {
        match run(workplace, target, line, &|| workplace.monitor.cancelled()) {
            Ok(output) => done.restarted.push(Restarted { target: target.name.clone(), output }),
            Err(error) => done.errors.push(Failure { id: target.name.clone(), error }),
        }
    }
    let status = status(&done.errors, !done.restarted.is_empty());
    status.word().clone_into(&mut done.status);
    let why = done.errors.first().map(|first| format!("{}: {}", first.id, first.error));
    done.message = match &why {
        None => format!("restarted: {}", names(&done)),
        Some(why) => why.clone(),
    };
    let details = json!({ "rollback_id": call.id, "restarted_count": done.restarted.len() });
    let action = Action::RestartServices;
    let event = ended(&workplace.env, action.event(), name, (status, why.as_deref()), details);
    let report = json!({ "action": action.word(), "restarted": done.restarted, "errors": done.errors });
    call.ended((status, why.as_deref()), &report, &event);
    if status == RollbackStatus::Failed {
        let report =
            json!({ "rollback_id": call.id, "action": action.word(), "target": name, "errors": done.errors });
        let cause = Box::new(Error::StepFailed(done.message));
        return Err(Error::NotRestored { rollback_id: call.id.clone(), report, cause });
    }
    Ok(done)
}

fn names(done: &EmergencyDone) -> String {
    done.restarted.iter().map(|restarted| &*restarted.target).collect::<Vec<_>>().join(", ")
}
