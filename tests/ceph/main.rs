//! One repository in a real Ceph cluster, through two gateways; `scripts/test-ceph` starts it.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use chronos_remote::{Location, OpenOptions, Variables, open};
use chronos_store::backend::Backend;
use chronos_store::backend::conformance::{self, Handles};
use chronos_tests::{Program, compare::differences};

/// Machines that back up.
const WRITERS: usize = 3;
/// Snapshots that each of them makes.
const ROUNDS: usize = 8;

/// What `scripts/ceph-cluster` says of the cluster.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run scripts/test-ceph"))
}

fn variables() -> [(&'static str, String); 3] {
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"].map(|name| (name, variable(name)))
}

/// A place in the bucket, through one gateway or the other.
fn location(gateway: usize, prefix: &str) -> String {
    let gateways = variable("CEPH_GATEWAYS");
    let gateway = gateways.split(' ').cycle().nth(gateway).unwrap();
    format!("s3://backup/{prefix}?endpoint={gateway}")
}

#[test]
fn the_contract_holds_between_two_gateways() {
    let known: Variables = variables().into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    let options = OpenOptions { variables: known, ..OpenOptions::default() };
    let place = |gateway, prefix: &str| -> Arc<dyn Backend> {
        open(&Location::parse(&location(gateway, prefix)).unwrap(), &options).unwrap()
    };
    let count = AtomicUsize::new(0);
    let fresh = || -> Handles {
        let prefix = format!("contract/{}", count.fetch_add(1, Ordering::Relaxed));
        (place(0, &prefix), place(1, &prefix))
    };
    assert_eq!(conformance::run(&fresh), Ok(()));
}

/// Makes the content of a round: some files stay as they are, some are new in each round, so that a prune finds something.
fn lay(folder: &Path, writer: usize, round: usize) {
    fs::create_dir_all(folder).unwrap();
    for file in 0..12 {
        let version = if file < 4 { 0 } else { round };
        let mut bytes = vec![0; 300_000];
        let seed = format!("{writer} {file} {version}");
        blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().fill(&mut bytes);
        fs::write(folder.join(file.to_string()), bytes).unwrap();
    }
}

/// Another machine with the key of `first`.
fn machine(first: &Program, gateway: usize) -> Program {
    let program = Program::at(&location(gateway, "shared"), &variables());
    let keys = program.home().join(".config/chronos/keys");
    fs::create_dir_all(&keys).unwrap();
    for entry in fs::read_dir(first.home().join(".config/chronos/keys")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, keys.join(path.file_name().unwrap())).unwrap();
    }
    program
}

#[test]
fn three_writers_and_a_pruner_lose_nothing_when_a_storage_daemon_is_killed() {
    let first = Program::at(&location(0, "shared"), &variables());
    first.run(["init"]).expect_code(0);
    let versions = tempfile::tempdir().unwrap();
    let made = Mutex::new(BTreeMap::<String, PathBuf>::new());
    let (ended, prunes) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let write = |writer: usize| {
        let program = machine(&first, writer);
        let data = program.home().join("data");
        for round in 0..ROUNDS {
            let name = format!("w{writer}-{round}");
            lay(&data, writer, round);
            let kept = versions.path().join(&name);
            assert!(Command::new("cp").arg("-a").args([&data, &kept]).status().unwrap().success());
            let target = format!("machine-{writer}");
            let done = program.run(["backup", "data", "--target", &target, "--json"]).expect_code(0).json();
            made.lock().unwrap().insert(done["backup_id"].as_str().unwrap().to_owned(), kept);
            if made.lock().unwrap().len() == WRITERS * ROUNDS / 3 {
                kill_storage();
            }
        }
        ended.fetch_add(1, Ordering::Relaxed);
    };
    let prune = || {
        let program = machine(&first, 1);
        while ended.load(Ordering::Relaxed) < WRITERS {
            program.run(["forget", "--keep-last", "3"]).expect_code(0);
            program.run(["prune"]).expect_code(0);
            prunes.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let write = &write;
        (0..WRITERS).for_each(|writer| drop(scope.spawn(move || write(writer))));
        scope.spawn(prune);
    });
    // A machine that has seen nothing of all that.
    let other = machine(&first, 0);
    let listed = other.run(["snapshots", "--json"]).expect_code(0).json();
    let listed = listed.as_array().unwrap();
    let made = made.into_inner().unwrap();
    assert_eq!(made.len(), WRITERS * ROUNDS);
    assert!(listed.len() >= WRITERS, "{listed:?}");
    for snapshot in listed {
        let id = snapshot["backup_id"].as_str().unwrap();
        other.run(["restore", id, "--to", id]).expect_code(0);
        let program = other.home().join(id);
        let restored = find(&program, "data").unwrap_or_else(|| panic!("{id} has no folder data"));
        assert_eq!(differences(&made[id], &restored), [""; 0], "{id}");
    }
    let checked = other.run(["check", "--read-data", "--json"]).expect_code(0).json();
    let figures = format!(
        "{} snapshots by {WRITERS} machines through 2 gateways, {} prunes meanwhile, 1 of 3 storage daemons killed: {} left, all restored; check read {} packs: {}\n",
        made.len(),
        prunes.load(Ordering::Relaxed),
        listed.len(),
        checked["packs_read"],
        checked["status"],
    );
    fs::write(Path::new(&variable("CEPH_FOLDER")).join("figures"), figures).unwrap();
}

/// SIGKILL for one storage daemon of three.
fn kill_storage() {
    let pid = fs::read_to_string(Path::new(&variable("CEPH_FOLDER")).join("osd.1.pid")).unwrap();
    assert!(Command::new("kill").args(["-9", pid.trim()]).status().unwrap().success());
}

/// The folder of that name below another.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_some_and(|n| n == name) {
                return Some(path);
            }
            if let Some(found) = find(&path, name) {
                return Some(found);
            }
        }
    }
    None
}
