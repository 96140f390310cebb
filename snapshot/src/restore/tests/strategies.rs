//! Each strategy with each overwrite mode, on one target.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use super::compare::{between, capture};
use super::{Memory, Scratch, options, path};
use crate::error::Error;
use crate::restore::options::{Overwrite, RestoreOptions, RestorePoint, Strategy};
use crate::restore::report::RestoreStatus;

fn put(at: &Path, text: &str, seconds: i64) {
    fs::write(at, text).unwrap();
    stamp(at, seconds);
}

fn stamp(at: &Path, seconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, at, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Names and contents of the files below a folder.
fn texts(root: &Path) -> BTreeMap<String, String> {
    let files = capture(root).into_iter().filter(|(_, c)| c.kind == "file");
    files.map(|(p, _)| (p.display().to_string(), fs::read_to_string(root.join(&p)).unwrap())).collect()
}

/// The snapshot has `S` in every file, the target `T`.
fn pair(scratch: &Scratch) -> (Memory, std::path::PathBuf) {
    let from = scratch.made("from");
    let to = scratch.made("to");
    for folder in [&from, &to] {
        fs::create_dir(folder.join("d")).unwrap();
    }
    for (name, snapshot, target) in [
        ("d/missing", Some(100), None),
        ("d/same look", Some(100), Some(100)),
        ("older there", Some(100), Some(50)),
        ("newer there", Some(100), Some(150)),
        ("d/extra", None, Some(10)),
    ] {
        for (folder, text, at) in [(&from, "S", snapshot), (&to, "T", target)] {
            if let Some(at) = at {
                put(&folder.join(name), text, at);
            }
        }
    }
    fs::create_dir(to.join("extra folder")).unwrap();
    put(&to.join("extra folder/file"), "T", 10);
    stamp(&from.join("d"), 77);
    (Memory::of_folder(&from), to)
}

#[test]
fn what_is_there_afterwards() {
    use Overwrite::{Always, IfChanged, IfNewer, Never};
    // missing, same look, older there, newer there, extra
    let table = [
        (Strategy::Overwrite, None, "SSSST"),
        (Strategy::Overwrite, Some(Always), "SSSST"),
        (Strategy::Overwrite, Some(IfChanged), "STSST"),
        (Strategy::Overwrite, Some(IfNewer), "STSTT"),
        (Strategy::Overwrite, Some(Never), "STTTT"),
        (Strategy::Replace, None, "SSSS-"),
        (Strategy::Replace, Some(Always), "SSSS-"),
        (Strategy::Replace, Some(IfChanged), "STSS-"),
        (Strategy::Merge, None, "STTTT"),
        (Strategy::Merge, Some(Always), "SSSST"),
        (Strategy::Merge, Some(IfChanged), "STSST"),
        (Strategy::Merge, Some(IfNewer), "STSTT"),
        (Strategy::Merge, Some(Never), "STTTT"),
    ];
    for (strategy, overwrite, expected) in table {
        let scratch = Scratch::new();
        let (memory, to) = pair(&scratch);
        let report =
            scratch.restore(&memory, &RestoreOptions { overwrite, ..options(strategy, &to) }).unwrap();
        assert_eq!(report.status, RestoreStatus::Completed, "{:?}", report.errors);
        let texts = texts(&to);
        let names = ["d/missing", "d/same look", "older there", "newer there", "d/extra"];
        let found: String = names.iter().map(|n| texts.get(*n).map_or("-", String::as_str)).collect();
        assert_eq!(found, expected, "{strategy:?} {overwrite:?}");
        assert_eq!(to.join("extra folder").exists(), strategy != Strategy::Replace);
        let hidden =
            capture(&to).into_keys().filter(|p| p.display().to_string().contains(".chronos")).count();
        assert_eq!(hidden, 0, "nothing is left behind");
        if strategy == Strategy::Replace && overwrite != Some(IfChanged) {
            assert_eq!(super::content::differs(&scratch.at("from"), &to), [""; 0]);
        }
    }
}

#[test]
fn replace_does_not_go_with_modes_that_keep() {
    let scratch = Scratch::new();
    let (memory, to) = pair(&scratch);
    for overwrite in [Some(Overwrite::IfNewer), Some(Overwrite::Never)] {
        let wrong = RestoreOptions { overwrite, ..options(Strategy::Replace, &to) };
        assert!(matches!(scratch.restore(&memory, &wrong), Err(Error::Invalid(_))));
    }
}

#[test]
fn replace_keeps_what_filters_leave_out() {
    let scratch = Scratch::new();
    let (memory, to) = pair(&scratch);
    put(&to.join("extra folder/keep.log"), "T", 10);
    let filtered = RestoreOptions { exclude: vec!["*.log".to_owned()], ..options(Strategy::Replace, &to) };
    scratch.restore(&memory, &filtered).unwrap();
    assert!(to.join("extra folder/keep.log").exists());
    assert!(!to.join("extra folder/file").exists());
    assert!(!to.join("d/extra").exists());
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let scratch = Scratch::new();
    let (memory, to) = pair(&scratch);
    let before = capture(&to);
    let dry = RestoreOptions { dry_run: true, ..options(Strategy::Replace, &to) };
    let report = scratch.restore(&memory, &dry).unwrap();
    assert_eq!(report.status, RestoreStatus::Planned);
    let plan = &report.plan;
    assert_eq!(plan.creates, [path("d/missing")]);
    assert_eq!(plan.overwrites, [path("d/same look"), path("newer there"), path("older there")]);
    assert_eq!(plan.attributes, [path("d")]);
    assert_eq!(plan.removes, [path("extra folder"), path("d/extra")]);
    assert_eq!(plan.bytes, 4);
    assert_eq!(between(&before, &capture(&to)), [""; 0]);
    let absent = RestoreOptions { dry_run: true, ..options(Strategy::NewLocation, &scratch.at("new")) };
    assert_eq!(scratch.restore(&memory, &absent).unwrap().plan.creates.len(), 5);
    assert!(!scratch.at("new").exists() && !scratch.at("state").exists());
}

#[test]
fn the_restore_point_comes_first_and_its_error_stops() {
    let scratch = Scratch::new();
    let (memory, to) = pair(&scratch);
    let before = capture(&to);
    let seen = Arc::new(Mutex::new(0));
    let count = Arc::clone(&seen);
    let fails = RestorePoint(Arc::new(move |plan| {
        *count.lock().unwrap() += plan.overwrites.len();
        Err(Error::Refused("no room".to_owned()))
    }));
    let guarded = RestoreOptions { restore_point: Some(fails), ..options(Strategy::Overwrite, &to) };
    assert_eq!(scratch.restore(&memory, &guarded).unwrap_err().to_string(), "no room");
    assert_eq!(*seen.lock().unwrap(), 3);
    assert_eq!(between(&before, &capture(&to)), [""; 0]);
    let makes = RestorePoint(Arc::new(|_| Ok(Some("point".to_owned()))));
    let guarded = RestoreOptions { restore_point: Some(makes), ..options(Strategy::Overwrite, &to) };
    assert_eq!(scratch.restore(&memory, &guarded).unwrap().restore_point.as_deref(), Some("point"));
}

#[test]
fn a_full_folder_where_a_file_goes_stops_an_overwrite() {
    let scratch = Scratch::new();
    let (memory, to) = pair(&scratch);
    fs::remove_file(to.join("older there")).unwrap();
    fs::create_dir(to.join("older there")).unwrap();
    fs::write(to.join("older there/mine"), "").unwrap();
    let before = capture(&to);
    let error = scratch.restore(&memory, &options(Strategy::Overwrite, &to)).unwrap_err();
    assert!(error.to_string().contains("not empty"), "{error}");
    assert_eq!(between(&before, &capture(&to)), [""; 0]);
    scratch.restore(&memory, &options(Strategy::Replace, &to)).unwrap();
    assert_eq!(fs::read_to_string(to.join("older there")).unwrap(), "S");
}
