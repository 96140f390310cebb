//! What is told of jobs that failed before anything else could: of all others, what they did tells itself.

use serde_json::{Value, json};

use crate::events::{Event, FAILURE, backup_failed, drill_ended, failed, record};
use crate::jobs::runner::Observer;
use crate::jobs::view::JobView;
use crate::state::{Alert, DrillStatus, JobStatus};
use crate::workplace::Workplace;

/// Hears of jobs that have ended.
#[derive(Debug)]
pub(crate) struct OfJobs(pub(crate) Workplace);

impl Observer for OfJobs {
    fn ended(&self, job: &JobView) {
        let is_failure = matches!(job.status, JobStatus::Failed | JobStatus::Interrupted);
        // One that has a name in the history has told of itself when it noted that.
        let has = |key: &str| job.result.as_ref().is_some_and(|result| result.get(key).is_some());
        // Drills and syncs tell each of themselves.
        let is_told = has("backup_id") || has("drills") || has("syncs");
        if !is_failure || is_told {
            return;
        }
        let targets = self.targets(job);
        for target in &targets {
            let kind = job.request.get("backup_type").and_then(Value::as_str).unwrap_or("full");
            let alert = match &*job.kind {
                "backup" => Alert::Raise { kind: FAILURE, target, detail: kind },
                _ => Alert::Untouched,
            };
            if let Err(error) = record(&self.0, alert, &|_| vec![self.event(job, target)]) {
                tracing::warn!(job = job.id, %error, "nobody is told how it ended");
            }
        }
    }
}

impl OfJobs {
    fn event(&self, job: &JobView, target: &str) -> Event {
        let details = json!({ "error": job.error, "job": job.id, "schedule": job.schedule });
        let env = &self.0.env;
        match &*job.kind {
            "backup" => backup_failed(env, target, details),
            "restore" => failed(env, "restore_failed", target, details),
            "cleanup" => failed(env, "cleanup_failed", target, details),
            "drill" => {
                let errors: Vec<String> = job.error.iter().cloned().collect();
                drill_ended(env, target, DrillStatus::Failed, &errors, details)
            }
            "sync" => failed(env, "sync_failed", target, details),
            _ => failed(env, "verify_failed", target, details),
        }
    }

    /// The targets of a job; a backup of none in particular is of all, and anything else of one without a name.
    fn targets(&self, job: &JobView) -> Vec<String> {
        if let Some(target) = &job.target {
            return vec![target.clone()];
        }
        let named = job.request.get("targets").and_then(Value::as_array).into_iter().flatten();
        let mut targets: Vec<String> = named.filter_map(Value::as_str).map(str::to_owned).collect();
        if targets.is_empty() && job.kind == "backup" {
            targets = self.0.config.targets.iter().map(|target| target.name.clone()).collect();
        }
        if targets.is_empty() { vec![String::new()] } else { targets }
    }
}
