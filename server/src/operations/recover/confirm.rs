//! Whether what came back works: its target is started again where that is called for, then asked until it answers.

use std::time::{Duration, Instant};

use chronos_snapshot::FileOptions;
use serde_json::json;

use crate::config::{HealthConfig, TargetConfig};
use crate::hooks::run_line;
use crate::operations::backup::setting;
use crate::operations::recover::order::Phase;
use crate::operations::recover::report::{StepReport, StepState};
use crate::operations::restart;
use crate::outgoing::{Outgoing, Verb, limit};
use crate::sources::n8n_client;
use crate::workplace::Workplace;

/// How long a target may take until it works, where nobody chose.
const LIMIT: Duration = Duration::from_mins(1);
/// How often it is asked.
const PAUSE: Duration = Duration::from_millis(500);

/// Starts the target again if its configuration or a database came back, and asks it whether it works. `next` is its next step: until the
/// last one is back the target may need what comes later, so that the answer decides nothing, and is waited for only if what comes next
/// needs it to run.
pub(super) fn confirm(workplace: &Workplace, step: &mut StepReport, next: Option<Phase>) {
    step.status = StepState::Completed;
    step.error = None;
    let Some(target) = workplace.config.target(&step.target) else { return };
    let is_of_restart =
        matches!(step.phase, Phase::Config | Phase::EventBus | Phase::Databases | Phase::Files);
    if let Some(line) = target.restart.as_ref().filter(|_| is_of_restart) {
        match restart::run(workplace, target, line, &|| workplace.monitor.cancelled()) {
            Ok(said) => step.restarted = Some(said),
            Err(why) => unconfirmed(step, format!("its restart failed: {why}")),
        }
    }
    let Some(health) = &target.health else { return };
    let is_last = next.is_none();
    let waits = next.is_none_or(Phase::needs_a_server);
    let most = if waits { limit(health.time_limit.as_deref(), LIMIT) } else { PAUSE };
    match healthy(workplace, target, health, most) {
        Ok(said) => step.health = Some(said),
        Err(why) if is_last => unconfirmed(step, format!("its health check failed: {why}")),
        Err(why) => step.health = Some(format!("not yet: {why}")),
    }
}

/// Waits until the n8n of a step let somebody in: a server that was started just now answers its health check before that. What it is that
/// keeps them, the restore will tell.
pub(super) fn wait_for_servers(workplace: &Workplace, step: &StepReport) {
    let Some(target) = workplace.config.target(&step.target) else { return };
    let most = limit(target.health.as_ref().and_then(|health| health.time_limit.as_deref()), LIMIT);
    let setting = setting(workplace, &FileOptions::default());
    let began = Instant::now();
    for source in target.sources.iter().filter(|source| step.sources.contains(&source.name)) {
        let Ok(Some(client)) = n8n_client(source, &setting) else { continue };
        while client.active_workflows().is_err() && began.elapsed() < most && !workplace.monitor.cancelled() {
            std::thread::sleep(PAUSE);
        }
    }
}

fn unconfirmed(step: &mut StepReport, why: String) {
    step.status = StepState::Unconfirmed;
    let why = match step.error.take() {
        Some(before) => format!("{before}; {why}"),
        None => why,
    };
    step.error = Some(why);
}

/// Asks until it answers or its time is over; gives what it said.
fn healthy(
    workplace: &Workplace,
    target: &TargetConfig,
    health: &HealthConfig,
    most: Duration,
) -> std::result::Result<String, String> {
    let began = Instant::now();
    loop {
        let left = most.saturating_sub(began.elapsed()).max(PAUSE);
        let said = ask(workplace, target, health, left);
        let is_over = began.elapsed() + PAUSE >= most || workplace.monitor.cancelled();
        match said {
            Err(_) if !is_over => std::thread::sleep(PAUSE),
            said => return said,
        }
    }
}

fn ask(
    workplace: &Workplace,
    target: &TargetConfig,
    health: &HealthConfig,
    left: Duration,
) -> std::result::Result<String, String> {
    if let Some(url) = &health.url {
        let way = Outgoing::new(workplace, url, None, left).map_err(|unheard| unheard.why)?;
        return way.call(Verb::Get).map_err(|unheard| unheard.why);
    }
    let line = health.command.as_deref().unwrap_or_default();
    let document = json!({ "operation": "health", "target": target.name }).to_string();
    let without = workplace.config.secret_variables();
    run_line(line, &document, &without, left, &|| workplace.monitor.cancelled())
}
