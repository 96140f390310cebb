//! What sources have to give: unmet, a snapshot is never called complete.

use super::failing::{Scripted, Step, scripted};
use super::{Stage, newest, noise};
use crate::backup::{BackupOptions, Requirement, backup};
use crate::error::{Error, Result};
use crate::record::{PathError, SourcePart};
use crate::source::{AbsentSource, Item, MemorySource, Source, SourceOutcome};
use crate::{BackupReport, TreePath};

fn required(list: impl IntoIterator<Item = (&'static str, Requirement)>) -> BackupOptions {
    let requirements = list.into_iter().map(|(name, r)| (name.to_owned(), r)).collect();
    BackupOptions { requirements, ..BackupOptions::default() }
}

fn run(stage: &Stage, sources: Vec<Scripted>, wanted: Requirement) -> Result<BackupReport> {
    let sources = sources.into_iter().map(Scripted::boxed).collect();
    backup(&stage.open(), sources, &required([("db", wanted)]))
}

/// Files of 100 bytes each.
fn files(count: usize) -> Scripted {
    let names = ["db/0", "db/1", "db/2", "db/3", "db/4", "db/5", "db/6", "db/7", "db/8", "db/9"];
    let steps: Vec<Step> = names.iter().take(count).map(|name| Step::File(name, noise(1, 100))).collect();
    scripted("db", steps)
}

#[test]
fn too_few_files_or_bytes_make_a_snapshot_partial() {
    let stage = Stage::new();
    let wanted = Requirement { min_files: Some(5), min_bytes: Some(500), ..Requirement::default() };
    let enough = run(&stage, vec![files(5)], wanted.clone()).unwrap();
    assert_eq!((enough.status.as_str(), enough.error_count), ("completed", 0));
    let few = run(&stage, vec![files(4)], wanted).unwrap();
    assert_eq!((few.status.as_str(), few.error_count), ("partial", 1));
    let said = few.sources[0].error.clone().unwrap();
    assert!(said.contains("4 files, at least 5") && said.contains("400 bytes, at least 500"), "{said}");
    assert_eq!(few.errors[0], PathError { path: "/db".to_owned(), error: said });
    assert!(!few.sources[0].failed && newest(&stage.open()).status() == "partial");
}

#[test]
fn a_drop_counts_from_the_last_good_snapshot_and_not_from_a_partial_one() {
    let stage = Stage::new();
    let wanted = || Requirement { max_drop: Some(0.5), ..Requirement::default() };
    let run = |count| run(&stage, vec![files(count), scripted("other", [])], wanted()).unwrap().status;
    assert_eq!(run(10), "completed", "there is nothing to compare with");
    assert_eq!(run(4), "partial");
    assert_eq!(run(4), "partial", "the partial one is no measure");
    assert_eq!(run(5), "completed");
    assert_eq!(run(3), "completed", "of 5");
}

#[test]
fn a_drop_is_seen_although_the_target_has_another_source_by_now() {
    let stage = Stage::new();
    let wanted = || Requirement { max_drop: Some(0.5), ..Requirement::default() };
    run(&stage, vec![files(10)], wanted()).unwrap();
    let more = scripted("more", [Step::File("more/1", vec![1])]);
    let report = run(&stage, vec![files(4), more], wanted()).unwrap();
    assert!(report.sources[0].error.as_deref().unwrap().contains("60 % fewer than the 10"), "{report:?}");
    let scoped = BackupOptions { scope: vec!["one".to_owned()], ..required([("db", wanted())]) };
    let report = backup(&stage.open(), vec![files(1).boxed()], &scoped).unwrap();
    assert_eq!(report.status, "completed", "a part is not measured by the whole");
}

/// A source that knows its workflows by name too.
#[derive(Debug)]
struct Named(MemorySource);

impl Source for Named {
    fn name(&self) -> String {
        self.0.name()
    }
    fn kind(&self) -> &'static str {
        "test"
    }
    fn paths(&self) -> Vec<String> {
        vec!["/db".to_owned()]
    }
    fn open(&mut self) -> Result<Box<dyn Iterator<Item = Item> + Send>> {
        self.0.open()
    }
    fn is_repeatable(&self) -> bool {
        true
    }
    fn holds(&self, name: &str) -> bool {
        name == "Order intake"
    }
    fn outcome(&self) -> SourceOutcome {
        let part = SourcePart { file: "db/shop.dump".to_owned(), ..SourcePart::default() };
        SourceOutcome { parts: vec![part], ..SourceOutcome::default() }
    }
}

#[test]
fn what_is_required_by_name_is_found_by_path_by_part_and_by_the_source_itself() {
    let stage = Stage::new();
    let run = |names: &[&str]| {
        let mut files = MemorySource::new("db", "test");
        files.add_file(TreePath::new("db/workflows/12.json").unwrap(), *b"{}", crate::Time::default());
        let wanted = Requirement {
            required: names.iter().map(|n| (*n).to_owned()).collect(),
            ..Requirement::default()
        };
        backup(&stage.open(), vec![Box::new(Named(files))], &required([("db", wanted)])).unwrap()
    };
    assert_eq!(run(&["12", "workflows/12.json", "shop", "Order intake"]).status, "completed");
    let report = run(&["12", "13", "order intake"]);
    assert_eq!(report.status, "partial");
    assert_eq!(
        report.sources[0].error.as_deref(),
        Some("it does not hold \"13\", \"order intake\", as is required")
    );
}

#[test]
fn a_required_source_that_gives_nothing_has_failed() {
    let stage = Stage::new();
    let other = || scripted("other", [Step::File("other/1", vec![1])]);
    let report = run(&stage, vec![files(0), other()], Requirement::default()).unwrap();
    assert_eq!(report.status, "partial");
    assert!(
        report.sources[0].failed && report.sources[0].error.as_deref().unwrap().contains("it gave nothing")
    );
    let error = run(&stage, vec![files(0)], Requirement::default()).unwrap_err();
    assert!(matches!(&error, Error::Source { name, .. } if name == "db"), "{error}");
}

#[test]
fn an_optional_source_may_be_absent_but_not_break_half_way() {
    let stage = Stage::new();
    let optional = || Requirement {
        optional: true,
        min_files: Some(1),
        required: vec!["x".to_owned()],
        ..Requirement::default()
    };
    let other = || scripted("other", [Step::File("other/1", vec![1])]);
    let down = Scripted { cannot_open: Some("refused"), ..scripted("db", []) };
    let report = run(&stage, vec![down.clone(), other()], optional()).unwrap();
    assert_eq!((report.status.as_str(), report.error_count), ("completed", 0));
    assert_eq!(report.sources[0].error.as_deref(), Some("source db failed: refused; it is optional"));
    assert_eq!(run(&stage, vec![files(0), other()], optional()).unwrap().status, "unchanged");
    let broken = scripted("db", [Step::File("db/x", vec![1]), Step::Breaks("db/y", vec![2])]);
    assert_eq!(run(&stage, vec![broken, other()], optional()).unwrap().status, "partial");
    run(&stage, vec![down.clone()], optional()).unwrap_err();
    let lost = Scripted { cannot_open: Some("lost"), ..scripted("other", []) };
    assert!(matches!(run(&stage, vec![files(0), lost], optional()), Err(Error::Source { .. })));
}

/// A file and so many problems.
#[derive(Debug)]
struct Troubled(u64);

impl Source for Troubled {
    fn name(&self) -> String {
        "db".to_owned()
    }
    fn kind(&self) -> &'static str {
        "test"
    }
    fn paths(&self) -> Vec<String> {
        vec!["/db".to_owned()]
    }
    fn open(&mut self) -> Result<Box<dyn Iterator<Item = Item> + Send>> {
        let problem = |n| Item::Problem(PathError { path: format!("/db/{n}"), error: "denied".to_owned() });
        let mut file = MemorySource::new("db", "test");
        file.add_file(TreePath::new("db/x").unwrap(), *b"x", crate::Time::default());
        Ok(Box::new((0..self.0).map(problem).chain(file.open()?)))
    }
    fn is_repeatable(&self) -> bool {
        true
    }
}

#[test]
fn as_many_things_may_be_unreadable_as_is_allowed_and_all_are_named() {
    let stage = Stage::new();
    let run = |count, max| {
        let wanted = Requirement { read_errors_max: max, ..Requirement::default() };
        backup(&stage.open(), vec![Box::new(Troubled(count))], &required([("db", wanted)])).unwrap()
    };
    let allowed = run(2, 2);
    assert_eq!((allowed.status.as_str(), allowed.error_count, allowed.errors.len()), ("completed", 2, 2));
    assert!(allowed.sources[0].error.is_some() && newest(&stage.open()).is_good());
    assert_eq!(run(2, 2).status, "unchanged");
    let more = run(3, 2);
    assert_eq!((more.status.as_str(), more.error_count), ("partial", 4));
    assert!(more.sources[0].error.as_deref().unwrap().contains("3 things could not be read, at most 2"));
    assert_eq!(run(1, 0).status, "partial", "none unless it is said");
}

#[test]
fn what_is_required_of_no_source_is_refused() {
    let stage = Stage::new();
    let before = stage.memory.content().len();
    let wanted = required([("bd", Requirement::default())]);
    let error = backup(&stage.open(), vec![files(1).boxed()], &wanted).unwrap_err();
    assert!(error.to_string().contains("source bd"), "{error}");
    let bad = required([("db", Requirement { max_drop: Some(2.0), ..Requirement::default() })]);
    backup(&stage.open(), vec![files(1).boxed()], &bad).unwrap_err();
    let (snapshots, _) = crate::listed(&stage.open().view().unwrap());
    assert!(snapshots.is_empty() && before > 0);
    let absent = AbsentSource {
        name: "db".to_owned(),
        kind: "files",
        component: "files".to_owned(),
        paths: Vec::new(),
        why: "gone".to_owned(),
    };
    let error = backup(&stage.open(), vec![Box::new(absent)], &required([])).unwrap_err();
    assert_eq!(error.to_string(), "source db failed: gone");
}
