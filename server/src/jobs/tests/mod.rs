//! Jobs: what follows from an outcome, what schedules ask for, and the whole life of jobs with a real repository.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "tests")]

mod due;
mod life;
mod outcomes;
mod unwritten;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chronos_store::{Env, Silent};
use tempfile::TempDir;

use super::*;
use crate::state::{JobFilter, JobStatus, State};
use crate::workplace::{Choices, Variables, Workplace};

/// Longest that anything here may take.
const LIMIT: Duration = Duration::from_mins(1);

/// Plain words.
const WORDS: Words = Words {
    sentence: ToString::to_string,
    document: |error| serde_json::json!({ "detail": error.to_string(), "backup_id": error.backup_id() }),
};

/// A home with a repository and these targets, in whose text HOME is its folder.
struct Home {
    dir: TempDir,
    workplace: Workplace,
}

impl Home {
    fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(".config/chronos");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("chronos.toml"), config.replace("HOME", dir.path().to_str().unwrap())).unwrap();
        let workplace = workplace(dir.path());
        workplace.open_or_create().unwrap();
        Self { dir, workplace }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn state(&self) -> State {
        State::open(&self.workplace.places.state).unwrap()
    }

    fn backup(&self, target: &str) -> JobView {
        enqueue(&self.workplace, &backup(target), Patience::Queued).unwrap()
    }

    fn job(&self, id: &str) -> JobView {
        show(&self.workplace, id).unwrap()
    }

    fn start(&self, options: RunnerOptions) -> (Runner, Arc<Told>) {
        let told = Arc::new(Told::default());
        let workplace = self.workplace.clone();
        let open = move || workplace.open().map(|opened| opened.repository);
        let observers = vec![Arc::clone(&told) as Arc<dyn Observer>];
        (Runner::start(&self.workplace, (options, WORDS), observers, open).unwrap(), told)
    }
}

fn workplace(home: &Path) -> Workplace {
    let home_variable = ("HOME".to_owned(), home.as_os_str().to_owned());
    let variables = Variables::of([home_variable]);
    Workplace::find(Choices::default(), variables, Env::system(), Arc::new(Silent)).unwrap()
}

fn backup(target: &str) -> Task {
    Task::Backup(Box::new(BackupTask {
        targets: vec![target.to_owned()],
        tier: "manual".to_owned(),
        backup_type: "full".to_owned(),
        ..BackupTask::default()
    }))
}

/// The jobs that an observer was told of.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<JobView>>);

impl Observer for Told {
    fn ended(&self, job: &JobView) {
        self.0.lock().unwrap().push(job.clone());
    }
}

/// Waits until something holds; looks whenever something may have changed.
#[track_caller]
fn until(runner: &Runner, mut holds: impl FnMut() -> bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut seen = runner.seen();
    let waited = runtime.block_on(async {
        let wait = async {
            while !holds() {
                seen.changed().await.unwrap();
            }
        };
        tokio::time::timeout(LIMIT, wait).await
    });
    assert!(waited.is_ok(), "not within {LIMIT:?}");
}
