//! What a restore into live systems did, or would do, as people read it.

use chronos_server::operations::restore::{Plan, Restored};
use chronos_snapshot::counted;

use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::size;

/// Names of one list that are shown; all with `-v`.
const SHOWN: usize = 20;

/// Shows it; the document is told by the caller.
pub(crate) fn show(app: &App, restored: &Restored) -> Result<(), Failure> {
    let out = &app.output;
    if let Some(plan) = &restored.plan {
        show_plan(app, plan)?;
        let (bytes, fingerprint) = (size(plan.bytes), &plan.fingerprint);
        out.line(format!("{bytes} to write; --fingerprint {fingerprint} holds the restore to this plan"))?;
    }
    for warning in &restored.warnings {
        out.warning(warning);
    }
    for step in &restored.steps {
        for database in &step.databases {
            let about = if database.rows_estimated { "about " } else { "" };
            let rows = database.rows.map(|rows| format!(", {about}{}", counted(rows, "row")));
            let tables = counted(database.tables, "table");
            out.summary(format!("database {}: {tables}{}", database.name, rows.unwrap_or_default()))?;
        }
        for note in &step.notes {
            out.detail(note);
        }
        for error in &step.errors {
            out.warning(format!("not restored: {}: {}", error.what, error.error));
        }
        if let Some(error) = &step.error {
            out.warning(format!("not restored: {}: {error}", step.sources.join(", ")));
        }
    }
    out.summary(&restored.message)?;
    if let (Some(id), Some(_)) = (&restored.rollback_id, &restored.pre_rollback_backup) {
        out.summary(format!("`chronos undo {id}` brings back what was there before"))?;
    }
    Ok(())
}

/// Shows what one step of several would do.
pub(crate) fn show_would(app: &App, restored: &Restored) -> Result<(), Failure> {
    let Some(plan) = &restored.plan else { return Ok(()) };
    if plan.steps.iter().all(|step| !step.has_work() && step.left_out.is_none()) {
        app.output.line("nothing to do: it is as in the snapshot")?;
    }
    show_plan(app, plan)?;
    restored.warnings.iter().for_each(|warning| app.output.warning(warning));
    Ok(())
}

/// A word as the document says it.
pub(crate) fn word(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().replace('_', " ")
}

/// How a command ends whose answer has this status.
pub(crate) fn exit(status: &str) -> Exit {
    match status {
        "partial" => Exit::Partial,
        "failed" => Exit::Failed,
        _ => Exit::Done,
    }
}

fn show_plan(app: &App, plan: &Plan) -> Result<(), Failure> {
    let shown = if app.output.is_verbose() { usize::MAX } else { SHOWN };
    for step in &plan.steps {
        let lists = [
            ("create", &step.creates),
            ("overwrite", &step.overwrites),
            ("set attributes of", &step.attributes),
            ("remove", &step.removes),
        ];
        for (what, list) in lists {
            for name in list.names.iter().take(shown) {
                app.output.line(format!("would {what} {name}"))?;
            }
            let more = list.count.saturating_sub(list.names.len().min(shown) as u64);
            if more > 0 {
                app.output.line(format!("would {what} {more} more"))?;
            }
        }
        for why in &step.not_exact {
            app.output.line(format!("not exactly as it was: {why}"))?;
        }
        if let Some(why) = &step.left_out {
            app.output.line(format!("would leave out {}: {why}", step.sources.join(", ")))?;
        }
    }
    Ok(())
}
