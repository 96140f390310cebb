//! Sources that fail, before they begin or on the way: the others go on, and nothing half gets into a snapshot.

use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use super::{Stage, bytes, newest, nodes, noise};
use crate::backup::{BackupOptions, Outcome, backup};
use crate::error::{Error, ErrorKind, Result};
use crate::node::{Node, NodeKind, Time};
use crate::record::SourcePart;
use crate::source::{AbsentSource, Entry, Item, MemorySource, Origin, Source, SourceOutcome};
use crate::{BackupReport, TreePath};

/// One step of a scripted source.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A file whose content is known.
    File(&'static str, Vec<u8>),
    /// A stream that ends well.
    Stream(&'static str, Vec<u8>),
    /// A part of several that breaks after this.
    PartBreaks(&'static str, Vec<u8>),
    /// A stream that breaks after this.
    Breaks(&'static str, Vec<u8>),
    /// The end.
    Fails(&'static str),
}

/// What was done with sources, in order.
pub(super) type Log = Arc<Mutex<Vec<String>>>;

/// Gives what it was told to.
#[derive(Clone, Debug, Default)]
pub(super) struct Scripted {
    pub(super) name: &'static str,
    pub(super) steps: Vec<Step>,
    pub(super) cannot_open: Option<&'static str>,
    pub(super) outcome: SourceOutcome,
    pub(super) log: Log,
}

/// Notes when it is read first.
struct Logged<R>(R, Option<(Log, String)>);

impl<R: Read> Read for Logged<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some((log, line)) = self.1.take() {
            log.lock().unwrap().push(line);
        }
        self.0.read(buffer)
    }
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other(Error::Source { name: "db".to_owned(), why: "connection lost".to_owned() }))
    }
}

pub(super) fn scripted(name: &'static str, steps: impl Into<Vec<Step>>) -> Scripted {
    Scripted { name, steps: steps.into(), ..Scripted::default() }
}

impl Scripted {
    pub(super) fn boxed(self) -> Box<dyn Source> {
        Box::new(self)
    }

    fn item(&self, step: Step) -> Item {
        let mut holder = MemorySource::new("", "test");
        let (path, origin) = match step {
            Step::Fails(why) => return Item::Failed(why.to_owned()),
            Step::File(path, bytes) => (path, Origin::Bytes(bytes)),
            Step::Stream(path, bytes) => (path, self.stream(path, io::Cursor::new(bytes))),
            Step::Breaks(path, bytes) => (path, self.stream(path, io::Cursor::new(bytes).chain(Broken))),
            Step::PartBreaks(path, bytes) => {
                (path, Origin::Part(Box::new(io::Cursor::new(bytes).chain(Broken))))
            }
        };
        let path = TreePath::new(path).unwrap();
        // The time of a stream is that of the run.
        let seconds = if matches!(origin, Origin::Stream(_)) {
            i64::try_from(self.log.lock().unwrap().len()).unwrap()
        } else {
            5
        };
        holder.add_file(path.clone(), Vec::new(), Time { seconds, nanos: 0 });
        let last = holder.open().unwrap().last();
        let Some(Item::Entry(Entry { node, .. })) = last else { panic!("{last:?}") };
        Item::Entry(Entry { path, node, origin })
    }

    fn stream(&self, path: &str, reader: impl Read + Send + 'static) -> Origin {
        Origin::Stream(Box::new(Logged(reader, Some((Arc::clone(&self.log), format!("read {path}"))))))
    }
}

impl Source for Scripted {
    fn name(&self) -> String {
        self.name.to_owned()
    }
    fn kind(&self) -> &'static str {
        "test"
    }
    fn paths(&self) -> Vec<String> {
        vec![format!("/{}", self.name)]
    }
    fn open(&mut self) -> Result<Box<dyn Iterator<Item = Item> + Send>> {
        self.log.lock().unwrap().push(format!("open {}", self.name));
        if let Some(why) = self.cannot_open {
            return Err(Error::Source { name: self.name.to_owned(), why: why.to_owned() });
        }
        let source = self.clone();
        Ok(Box::new(self.steps.clone().into_iter().map(move |step| source.item(step))))
    }
    fn is_repeatable(&self) -> bool {
        true
    }
    fn outcome(&self) -> SourceOutcome {
        self.log.lock().unwrap().push(format!("outcome {}", self.name));
        self.outcome.clone()
    }
}

fn run(stage: &Stage, sources: Vec<Box<dyn Source>>) -> Result<BackupReport> {
    backup(&stage.open(), sources, &BackupOptions::default())
}

/// Names of the files of the newest snapshot.
fn files(stage: &Stage) -> Vec<String> {
    let repository = stage.open();
    let is_file = |(_, node): &(TreePath, Node)| matches!(node.kind, NodeKind::File(_));
    nodes(&repository, &newest(&repository)).into_iter().filter(is_file).map(|(p, _)| p.to_string()).collect()
}

#[test]
fn a_source_that_cannot_be_opened_makes_the_snapshot_partial() {
    let stage = Stage::new();
    let down = Scripted { cannot_open: Some("connection refused"), ..scripted("down", []) };
    let up = scripted("up", [Step::File("up/a", b"1".to_vec())]);
    let report = run(&stage, vec![down.boxed(), up.boxed()]).unwrap();
    assert_eq!((report.status.as_str(), report.error_count, report.files_new), ("partial", 1, 1));
    let [down, up] = report.sources.as_slice() else { panic!("{:?}", report.sources) };
    assert!(down.failed && down.error.as_deref() == Some("source down failed: connection refused"));
    assert!(!up.failed && up.error.is_none());
    assert_eq!(report.errors[0].path, "/down", "so that a restore that removes what is not there spares it");
    let snapshot = newest(&stage.open());
    assert_eq!((snapshot.status(), &snapshot.manifest.sources), ("partial", &report.sources));
}

#[test]
fn a_stream_that_breaks_leaves_its_file_out_and_what_follows_in_its_source() {
    let steps = [
        Step::File("db/1", noise(1, 40_000)),
        Step::Stream("db/2", noise(2, 700_000)),
        Step::Breaks("db/3", noise(3, 900_000)),
        Step::Stream("db/4", noise(4, 100_000)),
        Step::File("db/5", noise(5, 10)),
    ];
    for threads in [1, 4] {
        let stage = Stage::new();
        let other = [
            Step::File("a", noise(6, 10)),
            Step::Stream("db/3x", noise(7, 300_000)),
            Step::File("z", vec![1]),
        ];
        let sources = vec![scripted("db", steps.clone()).boxed(), scripted("other", other).boxed()];
        let options = BackupOptions { threads, ..BackupOptions::default() };
        let report = backup(&stage.open(), sources, &options).unwrap();
        assert_eq!(report.status, "partial");
        assert_eq!(files(&stage), ["a", "db/1", "db/2", "db/3x", "z"]);
        assert_eq!((report.files_new, report.sources[0].files, report.sources[1].files), (5, 2, 3));
        assert!(report.sources[0].failed && !report.sources[1].failed);
        assert_eq!(report.sources[0].error.as_deref(), Some("source db failed: connection lost"));
        let repository = stage.open();
        let found = nodes(&repository, &newest(&repository));
        for (path, seed, len) in [("db/2", 2, 700_000), ("db/3x", 7, 300_000)] {
            assert!(bytes(&repository, &found[&TreePath::new(path).unwrap()]) == noise(seed, len));
        }
    }
}

#[test]
fn nothing_of_a_long_source_gets_in_behind_the_stream_that_broke() {
    let stage = Stage::new();
    let names: Vec<&'static str> = (0..9_000).map(|n| &*format!("m/{n:05}").leak()).collect();
    let mut steps = vec![Step::Breaks("m/", noise(3, 5_000_000))];
    steps[0] = Step::Breaks("m/00000", noise(3, 5_000_000));
    steps.extend(names[1..].iter().map(|name| Step::File(name, b"x".to_vec())));
    let other = scripted("other", [Step::File("zz", vec![1])]);
    let report = run(&stage, vec![scripted("m", steps).boxed(), other.boxed()]).unwrap();
    assert_eq!((files(&stage), report.error_count), (vec!["zz".to_owned()], 1));
}

#[test]
fn what_a_source_gave_before_it_said_that_it_failed_stays() {
    let stage = Stage::new();
    let steps = [Step::Stream("n/1", noise(1, 400_000)), Step::Fails("HTTP 500"), Step::File("n/2", vec![2])];
    let report = run(&stage, vec![scripted("n", steps).boxed()]).unwrap();
    assert_eq!((report.status.as_str(), files(&stage)), ("partial", vec!["n/1".to_owned()]));
    assert_eq!(report.sources[0].error.as_deref(), Some("source n failed: HTTP 500"));
    assert!(!newest(&stage.open()).is_good());
}

#[test]
fn when_no_source_gives_anything_whole_there_is_no_snapshot_and_each_is_named() {
    let stage = Stage::new();
    let down = Scripted { cannot_open: Some("connection refused"), ..scripted("n8n", []) };
    let absent = AbsentSource {
        name: "conf".to_owned(),
        kind: "files",
        component: "config".to_owned(),
        paths: vec!["/srv/conf".to_owned()],
        why: "not mounted".to_owned(),
    };
    let broken = scripted("db", [Step::Breaks("db/x", noise(1, 100_000))]);
    let sources: Vec<Box<dyn Source>> = vec![down.clone().boxed(), Box::new(absent), broken.boxed()];
    let error = run(&stage, sources).unwrap_err();
    assert!(matches!(&error, Error::AllFailed(failed) if failed.len() == 3) && error.kind() == ErrorKind::Io);
    let message = error.to_string();
    for part in ["n8n failed: connection refused", "conf failed: not mounted", "db failed: connection lost"] {
        assert!(message.contains(part), "{message}");
    }
    let only = run(&stage, vec![down.boxed()]).unwrap_err();
    assert!(matches!(&only, Error::Source { name, .. } if name == "n8n"), "{only}");
    assert_eq!(stage.open().view().unwrap().snapshots().count(), 0);
    let report = run(&stage, vec![scripted("n8n", [Step::File("n8n/1", vec![1])]).boxed()]).unwrap();
    assert_eq!(report.status, "completed");
}

#[test]
fn all_sources_are_opened_before_one_is_read_and_asked_when_all_is_stored() {
    let stage = Stage::new();
    let log = Log::default();
    let source = |name, path| Scripted {
        log: Arc::clone(&log),
        ..scripted(name, [Step::Stream(path, noise(1, 100_000))])
    };
    let down = Scripted { cannot_open: Some("no"), log: Arc::clone(&log), ..scripted("down", []) };
    run(&stage, vec![source("a", "a/1").boxed(), down.boxed(), source("b", "b/1").boxed()]).unwrap();
    let log = log.lock().unwrap().clone();
    assert_eq!(log[..3], ["open a", "open down", "open b"]);
    assert!(
        log[3..5].contains(&"read a/1".to_owned()) && log[3..5].contains(&"read b/1".to_owned()),
        "{log:?}"
    );
    assert_eq!(log[5..], ["outcome a", "outcome down", "outcome b"]);
}

#[test]
fn what_a_source_says_of_itself_is_kept_and_may_make_the_snapshot_partial() {
    let stage = Stage::new();
    let part = SourcePart {
        file: "n/workflows".to_owned(),
        kind: "workflows".to_owned(),
        count: Some(7),
        ..SourcePart::default()
    };
    let mut outcome =
        SourceOutcome { parts: vec![part], notes: vec!["n8n 2.8".to_owned()], incomplete: None };
    let source = |outcome: &SourceOutcome| {
        let files = [Step::File("n/workflows/1.json", vec![1])];
        vec![Scripted { outcome: outcome.clone(), ..scripted("n", files) }.boxed()]
    };
    assert_eq!(run(&stage, source(&outcome)).unwrap().status, "completed");
    let told = &newest(&stage.open()).manifest.sources[0];
    assert_eq!((&told.parts, &told.notes), (&outcome.parts, &outcome.notes));

    outcome.incomplete = Some("the list changed while it was read".to_owned());
    let report = run(&stage, source(&outcome)).unwrap();
    assert_eq!((report.status.as_str(), report.error_count, report.unchanged), ("partial", 1, false));
    assert!(!report.sources[0].failed && report.sources[0].error == outcome.incomplete);
}

#[test]
fn a_source_that_is_back_is_compared_with_the_last_good_snapshot() {
    let stage = Stage::new();
    stage.write("a", noise(1, 300_000));
    stage.write("gone/b", noise(2, 300_000));
    let log = Log::default();
    let target = |is_well: bool| -> Vec<Box<dyn Source>> {
        let dump = if is_well {
            Step::Stream("db/dump", noise(3, 300_000))
        } else {
            Step::Breaks("db/dump", vec![1])
        };
        let db = Scripted { log: Arc::clone(&log), ..scripted("db", [dump]) }.boxed();
        let files = super::files_of(&stage.path("gone")).remove(0);
        let lost: Box<dyn Source> = Box::new(AbsentSource {
            name: files.name(),
            kind: "files",
            component: files.component(),
            paths: files.paths(),
            why: "not mounted".to_owned(),
        });
        let kept = super::files_of(&stage.path("a")).remove(0);
        vec![db, if is_well { files } else { lost }, kept]
    };
    let run = |is_well| backup(&stage.open(), target(is_well), &BackupOptions::default()).unwrap();
    assert_eq!(run(true).status, "completed");
    // What was written just before a backup is read once more by the next.
    assert_eq!(run(true).status, "unchanged");
    for _ in 0..2 {
        let partial = run(false);
        assert_eq!((partial.status.as_str(), partial.files()), ("partial", 1));
    }
    let back = run(true);
    assert_eq!((back.status.as_str(), back.packs_written, back.chunks_new), ("unchanged", 0, 0));
    assert_eq!((back.files_unmodified, back.files_new), (3, 0));
    assert!(newest(&stage.open()).is_good());
}

#[test]
fn a_dry_run_tells_of_failing_sources_too() {
    let stage = Stage::new();
    let options = BackupOptions { outcome: Outcome::DryRun, ..BackupOptions::default() };
    let broken = || scripted("db", [Step::Breaks("db/x", noise(1, 100_000))]).boxed();
    let fine = scripted("up", [Step::File("up/a", b"1".to_vec())]).boxed();
    let report = backup(&stage.open(), vec![broken(), fine], &options).unwrap();
    assert!(report.dry_run && report.status == "partial" && report.sources[0].failed);
    backup(&stage.open(), vec![broken()], &options).unwrap_err();
}
