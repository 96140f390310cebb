//! Sources of several parts: one that breaks is missing alone.

use super::failing::{Scripted, Step, scripted};
use super::{Stage, newest, nodes, noise};
use crate::backup::{BackupOptions, BackupReport, Requirement, backup};
use crate::error::{Error, Result};
use crate::node::NodeKind;

fn run(stage: &Stage, source: Scripted, requirement: Requirement, threads: usize) -> Result<BackupReport> {
    let requirements = [(source.name.to_owned(), requirement)].into();
    let options = BackupOptions { requirements, threads, ..BackupOptions::default() };
    backup(&stage.open(), vec![source.boxed()], &options)
}

/// Names of the files of the newest snapshot.
fn files(stage: &Stage) -> Vec<String> {
    let repository = stage.open();
    let all = nodes(&repository, &newest(&repository)).into_iter();
    all.filter(|(_, node)| matches!(node.kind, NodeKind::File(_))).map(|(path, _)| path.to_string()).collect()
}

#[test]
fn what_comes_behind_a_part_that_breaks_is_stored() {
    for threads in [1, 4] {
        let stage = Stage::new();
        let steps = [
            Step::Stream("db/1", noise(1, 300_000)),
            Step::PartBreaks("db/2", noise(2, 900_000)),
            Step::PartBreaks("db/3", Vec::new()),
            Step::Stream("db/4", noise(4, 100_000)),
        ];
        // Nobody who allows files that cannot be read means a database.
        let allowed = Requirement { read_errors_max: 5, ..Requirement::default() };
        let report = run(&stage, scripted("db", steps), allowed, threads).unwrap();
        assert!(report.is_partial() && report.status == "partial", "{report:?}");
        assert_eq!(files(&stage), ["db/1", "db/4"]);
        let each = "source db failed: connection lost";
        let source = &report.sources[0];
        assert!(source.failed && source.error.as_deref() == Some(&*format!("{each}; {each}")), "{source:?}");
        let named: Vec<&str> = report.errors.iter().map(|e| e.path.as_str()).collect();
        assert_eq!(named, ["/db/2", "/db/3", "/db"]);
    }
}

#[test]
fn if_every_part_breaks_the_source_has_failed() {
    let stage = Stage::new();
    let one = scripted("db", [Step::PartBreaks("db/1", noise(1, 300_000))]);
    let error = run(&stage, one.clone(), Requirement::default(), 1).unwrap_err();
    assert!(matches!(&error, Error::Source { why, .. } if why == "connection lost"), "{error}");
    let two = [Step::PartBreaks("db/1", vec![1]), Step::PartBreaks("db/2", vec![2])];
    let error = run(&stage, scripted("db", two), Requirement::default(), 1).unwrap_err().to_string();
    assert_eq!(error.matches("connection lost").count(), 2, "{error}");
    let absent = run(&stage, one, Requirement { optional: true, ..Requirement::default() }, 1);
    absent.unwrap_err();
    assert_eq!(stage.open().view().unwrap().snapshots().count(), 0);
}

#[test]
fn a_source_that_ends_behind_a_broken_part_tells_of_both() {
    let stage = Stage::new();
    let steps = [
        Step::Stream("db/1", vec![1]),
        Step::PartBreaks("db/2", vec![2]),
        Step::Fails("the list ended early"),
        Step::Stream("db/3", vec![3]),
    ];
    let report = run(&stage, scripted("db", steps), Requirement::default(), 1).unwrap();
    let said = report.sources[0].error.clone().unwrap();
    assert!(said.contains("connection lost; ") && said.ends_with("the list ended early"), "{said}");
    assert_eq!(files(&stage), ["db/1"]);
}
