//! Ids, manifests, lists of errors.

use super::{Stage, newest};
use crate::backup::report::MANIFEST_ERRORS_MAX;
use crate::backup::{BackupOptions, backup};
use crate::record::PathError;
use crate::source::{Item, Source};

#[test]
fn ids_of_one_second_are_numbered() {
    let stage = Stage::new();
    stage.write("a", "1");
    let time = Some(1_700_000_000_123_456_789);
    let options = BackupOptions { time, tier: "pre_deploy".to_owned(), ..BackupOptions::default() };
    let ids: Vec<_> = (0..3).map(|_| stage.run_with(&options).backup_id).collect();
    let base = "files_pre-deploy_20231114_221320";
    assert_eq!(ids, [base.to_owned(), format!("{base}_2"), format!("{base}_3")]);
    assert_eq!(newest(&stage.open()).manifest.created_at, "2023-11-14T22:13:20.123456789Z");
}

/// Gives nothing but problems.
#[derive(Debug)]
struct Broken(usize);

impl Source for Broken {
    fn name(&self) -> String {
        "broken".to_owned()
    }
    fn kind(&self) -> &'static str {
        "test"
    }
    fn paths(&self) -> Vec<String> {
        vec!["/broken".to_owned()]
    }
    fn is_repeatable(&self) -> bool {
        true
    }
    fn open(&mut self) -> crate::Result<Box<dyn Iterator<Item = Item> + Send>> {
        let problem = |n| Item::Problem(PathError { path: format!("/broken/{n}"), error: "no".to_owned() });
        Ok(Box::new((0..self.0).map(problem)))
    }
}

#[test]
fn a_long_list_of_errors_is_stored_beside_the_tree() {
    let stage = Stage::new();
    let count = MANIFEST_ERRORS_MAX + 50;
    let report = backup(&stage.open(), vec![Box::new(Broken(count))], &BackupOptions::default()).unwrap();
    assert_eq!((report.error_count, report.errors.len()), (count as u64, count));
    let repository = stage.open();
    let snapshot = newest(&repository);
    let manifest = &snapshot.manifest;
    assert_eq!((manifest.errors.len(), manifest.error_count), (MANIFEST_ERRORS_MAX, count as u64));
    let reader = repository.view().unwrap().reader();
    assert_eq!(crate::read_errors(&reader, manifest).unwrap(), report.errors);
}

#[test]
fn bad_options_are_refused_before_anything_is_written() {
    let stage = Stage::new();
    stage.write("a", "1");
    let before = stage.memory.content();
    let options = BackupOptions { target: "No/Target".to_owned(), ..BackupOptions::default() };
    backup(&stage.open(), stage.files(), &options).unwrap_err();
    backup(&stage.open(), Vec::new(), &BackupOptions::default()).unwrap_err();
    assert_eq!(stage.memory.content(), before);
}

#[test]
fn two_backups_at_once_are_two_snapshots() {
    let stage = Stage::new();
    for n in 0..20 {
        stage.write(&format!("f{n}"), super::noise(n, 100_000));
    }
    let time = Some(1_700_000_000_000_000_000);
    let options = BackupOptions { time, ..BackupOptions::default() };
    let (repository, sources, other) = (stage.open(), stage.files(), stage.files());
    let (a, b) = std::thread::scope(|scope| {
        let a = scope.spawn(|| backup(&repository, sources, &options).unwrap());
        let b = scope.spawn(|| backup(&stage.open(), other, &options).unwrap());
        (a.join().unwrap(), b.join().unwrap())
    });
    assert_ne!(a.backup_id, b.backup_id);
    let (listed, _) = crate::listed(&stage.open().view().unwrap());
    assert_eq!(listed.len(), 2);
    super::assert_whole(&stage);
}
