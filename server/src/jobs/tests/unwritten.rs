//! Ends of runs that cannot be written at once, as on a full disk.

use chronos_tests::targets::QUIET;
use rusqlite::Connection;

use super::*;
use crate::state::{RunFilter, RunStatus};

/// A folder, and somebody who is told.
const TARGETS: &str = r#"
[events]
url = "http://127.0.0.1:1"
[[target]]
name = "shop"
paths = ["HOME/srv"]
"#;

#[test]
fn an_end_that_cannot_be_written_is_written_and_told_later() {
    let home = Home::new(&[QUIET, TARGETS].concat());
    fs::create_dir(home.path("srv")).unwrap();
    fs::write(home.path("srv/page"), "page").unwrap();
    let job = home.backup("shop");
    let tables = Connection::open(home.state().path()).unwrap();
    tables
        .execute_batch("CREATE TRIGGER full BEFORE UPDATE ON runs BEGIN SELECT RAISE(FAIL, 'no room'); END")
        .unwrap();
    let (runner, _) = home.start(RunnerOptions::default());
    until(&runner, || runner.unwritten().count() == 1);
    let key = home.workplace.key();
    assert!(home.state().queues(&key).unwrap().is_empty());
    assert_eq!(home.job(&job.id).status, JobStatus::Running);
    tables.execute_batch("DROP TRIGGER full").unwrap();
    until(&runner, || home.job(&job.id).status.is_end());
    assert_eq!(home.job(&job.id).status, JobStatus::Completed);
    let runs = home.state().runs(&RunFilter::default(), 9).unwrap();
    assert_eq!(runs.iter().map(|run| run.status).collect::<Vec<_>>(), [RunStatus::Completed]);
    assert_eq!(home.state().queues(&key).unwrap()[0].waiting, 1);
    assert_eq!(runner.unwritten().count(), 0);
}
