//! Standard input and commands into real repositories in memory.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::io::Cursor;
use std::sync::Arc;

use chronos_snapshot::{
    BackupOptions, BackupReport, ByteRange, Error as Failed, ErrorKind, MemorySource, Snapshot, Source, Time,
    Tree, TreePath, backup, listed,
};
use chronos_store::backend::MemoryBackend;
use chronos_store::{Collect, CreateOptions, Env, LocalDirs, OpenOptions, Repository, Secret};
use tempfile::TempDir;

use super::StreamSource;
use crate::process::Process;

/// A repository, and who watches it.
struct Stage {
    repository: Repository,
    monitor: Arc<Collect>,
    /// The program's own folders.
    _local: TempDir,
}

impl Stage {
    fn new() -> Self {
        let (local, monitor) = (tempfile::tempdir().unwrap(), Arc::new(Collect::default()));
        let dirs = LocalDirs { cache: local.path().join("cache"), state: local.path().join("state") };
        let options = OpenOptions { dirs, env: Env::system(), monitor: Arc::clone(&monitor) as _ };
        let (backend, key) = (Arc::new(MemoryBackend::new()), Secret::Key([7; 32]));
        let repository = Repository::create(backend, &key, &CreateOptions::default(), options).unwrap();
        Self { repository, monitor, _local: local }
    }

    fn run(&self, sources: Vec<Box<dyn Source>>) -> Result<BackupReport, Failed> {
        backup(&self.repository, sources, &BackupOptions::default())
    }

    fn newest(&self) -> Snapshot {
        let (snapshots, errors) = listed(&self.repository.view().unwrap());
        assert!(errors.is_empty(), "{errors:?}");
        snapshots.into_iter().max_by_key(Snapshot::taken_at).unwrap()
    }

    fn bytes(&self, file: &str) -> Vec<u8> {
        let tree = Tree::new(self.repository.view().unwrap().reader(), self.newest().manifest.tree);
        let mut bytes = Vec::new();
        tree.cat(&TreePath::new(file).unwrap(), ByteRange::ALL, &mut bytes).unwrap();
        bytes
    }
}

fn shell(script: &str, path: &str) -> Vec<Box<dyn Source>> {
    let command = Process::new(["sh", "-c", script]);
    let time = Time { seconds: 1_700_000_000, nanos: 5 };
    vec![Box::new(StreamSource::command(command, TreePath::new(path).unwrap(), time).unwrap())]
}

fn stdin(content: Vec<u8>, seconds: i64) -> Vec<Box<dyn Source>> {
    let (reader, path) = (Box::new(Cursor::new(content)), TreePath::new("dumps/db.sql").unwrap());
    vec![Box::new(StreamSource::reader(reader, path, Time { seconds, nanos: 0 }).unwrap())]
}

/// Numbers, one a line, about `len` bytes.
fn numbers(from: u32, len: usize) -> Vec<u8> {
    let lines = (from..).map(|n| format!("{n}\n"));
    let mut bytes = Vec::new();
    lines
        .take_while(|line| {
            bytes.extend_from_slice(line.as_bytes());
            bytes.len() < len
        })
        .for_each(drop);
    bytes
}

#[test]
fn standard_input_becomes_one_file() {
    let stage = Stage::new();
    let content = numbers(1, 3_000_000);
    let report = stage.run(stdin(content.clone(), 5)).unwrap();
    assert_eq!((report.files_new, report.dirs, report.bytes_processed), (1, 1, content.len() as u64));
    assert!(stage.bytes("dumps/db.sql") == content);
    let manifest = stage.newest().manifest;
    assert_eq!((manifest.sources[0].kind.as_str(), &*manifest.paths[0]), ("stdin", "/dumps/db.sql"));
}

#[test]
fn the_same_stream_again_is_unchanged_whatever_the_time() {
    let stage = Stage::new();
    stage.run(stdin(numbers(1, 500_000), 5)).unwrap();
    let second = stage.run(stdin(numbers(1, 500_000), 6)).unwrap();
    assert!(second.unchanged && second.packs_written == 0 && second.files_unmodified == 1);
    let third = stage.run(stdin(numbers(2, 500_000), 7)).unwrap();
    assert!(!third.unchanged && third.files_changed == 1);
}

#[test]
fn a_command_and_other_sources_make_one_snapshot() {
    let mut files = MemorySource::new("made", "test");
    files.add_file(TreePath::new("a").unwrap(), "one", Time::default());
    let mut sources: Vec<Box<dyn Source>> = vec![Box::new(files)];
    sources.extend(shell("seq 1 100000", "numbers.txt"));
    let report = Stage::new().run(sources).unwrap();
    let counted: Vec<_> = report.sources.iter().map(|s| (s.kind.as_str(), s.files, s.size)).collect();
    assert_eq!(counted, [("test", 1, 3), ("command", 1, 588_895)]);
}

#[test]
fn a_command_that_fails_leaves_no_snapshot_and_says_why() {
    let stage = Stage::new();
    let error = stage.run(shell("echo data; echo no such database >&2; exit 3", "x")).unwrap_err();
    assert!(
        matches!(&error, Failed::Command { why, .. } if why.contains('3') && why.contains("no such database"))
    );
    let missing = Process::new(["/no/such/program"]);
    let source = StreamSource::command(missing, TreePath::new("x").unwrap(), Time::default()).unwrap();
    let error = stage.run(vec![Box::new(source)]).unwrap_err();
    assert!(error.to_string().contains("/no/such/program"), "{error}");
    assert_eq!(stage.repository.view().unwrap().snapshots().count(), 0);
}

#[test]
fn a_silent_command_can_be_interrupted() {
    let stage = Stage::new();
    stage.monitor.cancel();
    let error = stage.run(shell("sleep 1000", "x")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
}

#[test]
fn two_sources_of_one_path_are_named() {
    let mut sources = shell("echo one", "d/x");
    sources.extend(shell("echo two", "d/x"));
    let report = Stage::new().run(sources).unwrap();
    assert_eq!((report.status.as_str(), report.files_new, report.dirs), ("partial", 1, 1));
    assert!(report.errors[0].path == "/d/x" && report.sources[1].error.is_some());
}
