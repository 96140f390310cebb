//! What schedules ask for: looks what is due, and queues it.
//!
//! What always holds: a due time is queued once, also if the process dies between the queue and the note that it was seen to.

use jiff::Timestamp;

use crate::error::Result;
use crate::jobs::options::RunnerOptions;
use crate::jobs::queue::{Patience, add, short};
use crate::jobs::task::{BackupTask, CleanupTask, DrillTask, SyncTask, Task, VerifyTask};
use crate::operations::backup::default_description;
use crate::operations::offsite::{self, name_of};
use crate::operations::schedules::{Schedules, key};
use crate::schedule::{Due, Job, Schedule, plan};
use crate::state::{JobStatus, State};
use crate::workplace::Workplace;

/// What a schedule says that had nothing to do.
const NOTHING: &str = "skipped";

/// Queues what is due now; gives the time at which to look again. `claim` takes the id of a run over several targets.
pub(super) fn look(
    workplace: &Workplace,
    state: &State,
    options: &RunnerOptions,
    now: Timestamp,
    claim: &dyn Fn(&Schedule) -> Option<String>,
) -> Result<Option<Timestamp>> {
    let schedules = Schedules::watch(workplace, state, now)?;
    let busy = state.busy_schedules(&key(workplace))?;
    let plan = plan(&schedules.all, &schedules.memories(|id| busy.iter().any(|b| b == id)), now);
    for due in &plan.due {
        if let Some(schedule) = schedules.get(&due.id) {
            begin(workplace, state, options, schedule, due, now, claim)?;
        }
    }
    Ok(plan.wake())
}

/// Queues the copies that are due because of what was backed up: one for each place, however much that was.
pub(super) fn follow(workplace: &Workplace, state: &State, repository: &str) -> Result<()> {
    let schedules = Schedules::read(workplace, state)?;
    for to in offsite::due(workplace, state, &schedules.all, repository)? {
        let task = Task::Sync(SyncTask { to: Some(to), check: false });
        add(workplace, state, &task, Patience::Queued, None)?;
    }
    Ok(())
}

fn begin(
    workplace: &Workplace,
    state: &State,
    options: &RunnerOptions,
    schedule: &Schedule,
    due: &Due,
    now: Timestamp,
    claim: &dyn Fn(&Schedule) -> Option<String>,
) -> Result<()> {
    let repository = key(workplace);
    let queued = state.jobs_due(&repository, &schedule.id, short(due.at.as_nanosecond()))?;
    let is_queued = |task: &Task| queued.iter().any(|(target, _)| target.as_deref() == task.target());
    let places = workplace.config.offsite.iter().map(name_of).collect::<Result<Vec<_>>>()?;
    let tasks = tasks(schedule, due, options, claim, &places);
    for task in tasks.iter().filter(|task| !is_queued(task)) {
        add(workplace, state, task, Patience::Queued, Some((&schedule.id, due.at)))?;
    }
    tracing::info!(schedule = schedule.id, due = %due.at, catches_up = due.catches_up(), jobs = tasks.len(), "due");
    state.begin_schedule(&repository, &schedule.id, due.at, now)?;
    if tasks.is_empty() {
        state.end_schedule(&repository, &schedule.id, due.at, NOTHING)?;
    }
    Ok(())
}

/// What a schedule asks for: a job for each target, so that none waits for another.
pub(super) fn tasks(
    schedule: &Schedule,
    due: &Due,
    options: &RunnerOptions,
    claim: &dyn Fn(&Schedule) -> Option<String>,
    places: &[String],
) -> Vec<Task> {
    let whole = || vec![None];
    let each = || schedule.targets.iter().cloned().map(Some).collect::<Vec<_>>();
    let targets = if schedule.targets.is_empty() { whole() } else { each() };
    match schedule.job {
        Job::Backup => {
            // What only looks whether something changed is no moment of all targets.
            let is_run = schedule.targets.len() > 1 && !schedule.on_change;
            let run_id = is_run.then(|| claim(schedule)).flatten();
            let task = |target: &String| {
                Task::Backup(Box::new(BackupTask {
                    targets: vec![target.clone()],
                    tier: schedule.tier.clone(),
                    backup_type: schedule.backup_type.clone(),
                    description: default_description(&schedule.tier),
                    on_change: schedule.on_change,
                    run_id: run_id.clone(),
                    ..BackupTask::default()
                }))
            };
            schedule.targets.iter().map(task).collect()
        }
        Job::Verify => {
            let share = Some(share(schedule, due, options));
            let task = |target| Task::Verify(VerifyTask { target, share, ..VerifyTask::default() });
            targets.into_iter().map(task).collect()
        }
        Job::Cleanup => {
            let targets = schedule.targets.clone();
            vec![Task::Cleanup(CleanupTask { targets, scheduled: true, dry_run: false })]
        }
        Job::Drill => {
            let task = |target| Task::Drill(DrillTask { target, ..DrillTask::default() });
            targets.into_iter().map(task).collect()
        }
        Job::Sync => {
            let task = |to: &String| Task::Sync(SyncTask { to: Some(to.clone()), check: false });
            places.iter().map(task).collect()
        }
    }
}

/// How much is read at this due time, so that everything is read within the time that is set: what was missed is made up for.
fn share(schedule: &Schedule, due: &Due, options: &RunnerOptions) -> f64 {
    let Some(next) = schedule.times.after(due.at) else { return 1.0 };
    let gap = next.duration_since(due.first).unsigned_abs().as_secs_f64();
    let within = options.verify_within.as_secs_f64();
    if gap >= within { 1.0 } else { gap / within }
}

/// Notes how a due time ended, once all of its jobs have.
pub(super) fn ended(workplace: &Workplace, state: &State, id: &str, due: i64) -> Result<()> {
    let repository = key(workplace);
    let jobs = state.jobs_due(&repository, id, due)?;
    let worst = jobs.iter().map(|(_, status)| *status).max_by_key(|status| rank(*status));
    let Some(worst) = worst.filter(|_| jobs.iter().all(|(_, status)| status.is_end())) else { return Ok(()) };
    let due = Timestamp::from_nanosecond(i128::from(due)).unwrap_or_default();
    state.end_schedule(&repository, id, due, worst.word())
}

fn rank(status: JobStatus) -> u8 {
    match status {
        JobStatus::Failed => 6,
        JobStatus::Interrupted => 5,
        JobStatus::Partial => 4,
        JobStatus::Cancelled => 3,
        JobStatus::Completed => 2,
        JobStatus::Running => 1,
        JobStatus::Queued => 0,
    }
}
