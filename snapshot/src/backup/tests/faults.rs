//! A backup stopped at any call of the backend: what was reported stays readable, and the next one works.

use std::io;
use std::sync::Arc;

use chronos_store::Monitor;
use chronos_store::Silent;
use chronos_store::backend::{Fault, FaultBackend, FaultRule, Method};

use super::{Stage, assert_whole, bytes, nodes, noise};
use crate::backup::{BackupOptions, backup};
use crate::error::Result;
use crate::node::NodeKind;
use crate::{BackupReport, ErrorKind};

fn attempt(stage: &Stage, backend: &FaultBackend) -> Result<BackupReport> {
    let repository = stage.over(Arc::new(backend.clone()), Arc::new(Silent))?;
    backup(&repository, stage.files(), &BackupOptions::default())
}

fn content(stage: &Stage, seed: u8) {
    for n in 0..5 {
        stage.write(&format!("d/f{n}"), noise(seed + n, 50_000));
    }
}

fn stopped_everywhere(fault: Fault) {
    let base = Stage::new();
    content(&base, 0);
    let first = base.run();
    content(&base, 100);
    let mut outcomes = (0, 0);
    for n in 0.. {
        let stage = base.fork();
        let backend = FaultBackend::with_rule(Arc::new(stage.memory.clone()), FaultRule::at_call(n, fault));
        let outcome = attempt(&stage, &backend);
        let reached = backend.calls() > n;
        backend.heal();
        let repository = stage.open();
        let (listed, _) = crate::listed(&repository.view().unwrap());
        for snapshot in &listed {
            for node in nodes(&repository, snapshot).values().filter(|n| matches!(n.kind, NodeKind::File(_)))
            {
                bytes(&repository, node);
            }
        }
        assert!(listed.iter().any(|s| Some(s.id) == first.snapshot), "call {n}");
        match outcome {
            Ok(report) => {
                outcomes.0 += 1;
                assert!(listed.iter().any(|s| Some(s.id) == report.snapshot), "call {n}");
            }
            Err(_) => outcomes.1 += 1,
        }
        stage.run();
        assert_whole(&stage);
        if !reached {
            break;
        }
    }
    assert!(outcomes.0 >= 1 && outcomes.1 >= 5, "{outcomes:?}");
}

#[test]
fn a_backup_may_stop_before_every_call() {
    stopped_everywhere(Fault::StopBefore);
}

#[test]
fn a_backup_may_stop_after_every_call() {
    stopped_everywhere(Fault::StopAfter);
}

#[test]
fn every_call_may_fail() {
    stopped_everywhere(Fault::Error(io::ErrorKind::Other));
}

#[test]
fn the_answer_of_every_call_may_get_lost() {
    stopped_everywhere(Fault::LostAnswer(io::ErrorKind::TimedOut));
}

/// Asks to stop once so many bytes are done.
#[derive(Debug)]
struct StopAfter(std::sync::atomic::AtomicI64);

impl Monitor for StopAfter {
    fn advance(&self, _: u64, bytes: u64) {
        self.0.fetch_sub(bytes.cast_signed(), std::sync::atomic::Ordering::Relaxed);
    }
    fn cancelled(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed) < 0
    }
}

#[test]
fn what_an_interrupted_backup_stored_is_not_stored_again() {
    let stage = Stage::new();
    for n in 0..60 {
        stage.write(&format!("f{n:02}"), noise(n, 1_000_000));
    }
    let monitor = Arc::new(StopAfter(40_000_000.into()));
    let repository = stage.over(Arc::new(stage.memory.clone()), monitor).unwrap();
    let error = backup(&repository, stage.files(), &BackupOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!(stage.open().view().unwrap().snapshots().count(), 0);
    let report = stage.run();
    assert!(report.bytes_added < 30_000_000, "{} of 60 MB were stored again", report.bytes_added);
    assert_whole(&stage);
}

#[test]
fn a_session_that_another_process_ended_is_begun_once_more() {
    let stage = Stage::new();
    stage.write("a", noise(1, 200_000));
    let memory = stage.memory.clone();
    let sources = super::content::meddling(&stage, "a", move || {
        let running =
            memory.content().into_keys().find_map(|name| Some(name.strip_prefix("sess/")?.to_owned()));
        memory.damage(&format!("snap/{}", running.unwrap()), Some(b"decided by another"));
    });
    let monitor = Arc::new(chronos_store::Collect::default());
    let repository = stage.over(Arc::new(stage.memory.clone()), Arc::clone(&monitor) as _).unwrap();
    let report = backup(&repository, sources, &BackupOptions::default()).unwrap();
    assert_eq!((report.status.as_str(), report.files_new), ("completed", 1));
    assert!(monitor.problems().iter().any(|p| p.contains("once more")), "{:?}", monitor.problems());
    assert_whole(&stage);
}

#[test]
fn a_full_disk_is_said_and_loses_nothing() {
    let stage = Stage::new();
    content(&stage, 0);
    let first = stage.run();
    content(&stage, 50);
    let full = FaultRule::always(Method::WriteNew, "packs/", Fault::Error(io::ErrorKind::StorageFull));
    let error = attempt(&stage, &FaultBackend::with_rule(Arc::new(stage.memory.clone()), full)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    let (listed, _) = crate::listed(&stage.open().view().unwrap());
    assert_eq!(listed.into_iter().map(|s| Some(s.id)).collect::<Vec<_>>(), [first.snapshot]);
    stage.run();
    assert_whole(&stage);
}
