//! Standard input and commands.

use std::ffi::OsString;

use chronos_store::Collect;
use std::sync::Arc;

use super::{Stage, bytes, newest, nodes, noise};
use crate::backup::{BackupOptions, StreamSource, backup};
use crate::error::Error;
use crate::node::Time;
use crate::source::Source;
use crate::{ErrorKind, TreePath};

fn shell(script: &str, path: &str) -> Vec<Box<dyn Source>> {
    let command = ["sh", "-c", script].map(OsString::from).to_vec();
    let time = Time { seconds: 1_700_000_000, nanos: 5 };
    vec![Box::new(StreamSource::command(command, TreePath::new(path).unwrap(), time).unwrap())]
}

fn stdin(content: Vec<u8>, seconds: i64) -> Box<dyn Source> {
    let reader = Box::new(std::io::Cursor::new(content));
    Box::new(
        StreamSource::reader(reader, TreePath::new("dumps/db.sql").unwrap(), Time { seconds, nanos: 0 })
            .unwrap(),
    )
}

#[test]
fn standard_input_becomes_one_file() {
    let stage = Stage::new();
    let repository = stage.open();
    let report = backup(&repository, vec![stdin(noise(1, 3_000_000), 5)], &BackupOptions::default()).unwrap();
    assert_eq!((report.files_new, report.dirs, report.bytes_processed), (1, 1, 3_000_000));
    let snapshot = newest(&repository);
    let found = nodes(&repository, &snapshot);
    let node = &found[&TreePath::new("dumps/db.sql").unwrap()];
    assert!(bytes(&repository, node) == noise(1, 3_000_000));
    assert_eq!(
        (snapshot.manifest.sources[0].kind.as_str(), &*snapshot.manifest.paths[0]),
        ("stdin", "/dumps/db.sql")
    );
}

#[test]
fn the_same_stream_again_is_unchanged_whatever_the_time() {
    let stage = Stage::new();
    let repository = stage.open();
    let run = |seconds, content| {
        backup(&repository, vec![stdin(content, seconds)], &BackupOptions::default()).unwrap()
    };
    run(5, noise(1, 500_000));
    let second = run(6, noise(1, 500_000));
    assert!(second.unchanged && second.packs_written == 0 && second.files_unmodified == 1);
    let third = run(7, noise(2, 500_000));
    assert!(!third.unchanged && third.files_changed == 1);
}

#[test]
fn a_command_and_a_folder_make_one_snapshot() {
    let stage = Stage::new();
    stage.write("a", "one");
    let mut sources = stage.files();
    sources.extend(shell("seq 1 100000", "numbers.txt"));
    let report = backup(&stage.open(), sources, &BackupOptions::default()).unwrap();
    let counted: Vec<_> = report.sources.iter().map(|s| (s.kind.as_str(), s.files, s.size)).collect();
    assert_eq!(counted, [("files", 1, 3), ("command", 1, 588_895)]);
}

#[test]
fn a_command_that_fails_leaves_no_snapshot_and_says_why() {
    let stage = Stage::new();
    let repository = stage.open();
    let script = "echo data; echo no such database >&2; exit 3";
    let error = backup(&repository, shell(script, "x"), &BackupOptions::default()).unwrap_err();
    assert!(
        matches!(&error, Error::Command { why, .. } if why.contains('3') && why.contains("no such database"))
    );
    assert_eq!(repository.view().unwrap().snapshots().count(), 0);
    let missing = vec![OsString::from("/no/such/program")];
    let source = StreamSource::command(missing, TreePath::new("x").unwrap(), Time::default()).unwrap();
    let error = backup(&repository, vec![Box::new(source)], &BackupOptions::default()).unwrap_err();
    assert!(error.to_string().contains("/no/such/program"), "{error}");
}

#[test]
fn a_silent_command_can_be_interrupted() {
    let stage = Stage::new();
    let monitor = Arc::new(Collect::default());
    let repository = stage.over(Arc::new(stage.memory.clone()), Arc::clone(&monitor) as _).unwrap();
    monitor.cancel();
    let error = backup(&repository, shell("sleep 1000", "x"), &BackupOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
}

#[test]
fn two_sources_of_one_path_are_named() {
    let stage = Stage::new();
    let mut sources = shell("echo one", "d/x");
    sources.extend(shell("echo two", "d/x"));
    let report = backup(&stage.open(), sources, &BackupOptions::default()).unwrap();
    assert_eq!((report.status.as_str(), report.files_new, report.dirs), ("partial", 1, 1));
    assert!(report.errors[0].path == "/d/x" && report.sources[1].error.is_some());
}
