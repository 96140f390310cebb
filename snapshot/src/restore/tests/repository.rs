//! Through a real repository: real trees come back as they were, to a new place and over a changed one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chronos_store::backend::{BackendExt, Fault, FaultBackend, FaultRule, MemoryBackend};
use chronos_store::{CreateOptions, Env, LocalDirs, OpenOptions, Repository, Secret, Silent};

use super::compare::{between, capture, differences};
use super::{options, path};
use crate::record::Snapshot;
use crate::restore::options::{RestoreOptions, Strategy};
use crate::restore::report::RestoreStatus;
use crate::restore::restore;
use crate::source::{FileOptions, FileSource};
use crate::{BackupOptions, TreePath, backup, listed};

/// A repository in memory.
struct Store {
    local: tempfile::TempDir,
    memory: MemoryBackend,
}

impl Store {
    fn new() -> Self {
        let store = Self { local: tempfile::tempdir().unwrap(), memory: MemoryBackend::new() };
        let backend = Arc::new(store.memory.clone());
        Repository::create(backend, &Secret::Key([7; 32]), &CreateOptions::default(), store.options())
            .unwrap();
        store
    }

    fn options(&self) -> OpenOptions {
        let dirs = LocalDirs { cache: self.at("cache"), state: self.at("state") };
        OpenOptions { dirs, env: Env::system(), monitor: Arc::new(Silent) }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.local.path().join(name)
    }

    fn open(&self) -> Repository {
        Repository::open(Arc::new(self.memory.clone()), &Secret::Key([7; 32]), self.options()).unwrap()
    }

    /// Backs a folder up and returns the snapshot.
    fn take(&self, root: &Path) -> (Repository, Snapshot) {
        let files = FileOptions { roots: vec![root.to_owned()], threads: 1, ..FileOptions::default() };
        let repository = self.open();
        backup(&repository, vec![Box::new(FileSource::new(files).unwrap())], &BackupOptions::default())
            .unwrap();
        let (snapshots, errors) = listed(&repository.view().unwrap());
        assert!(errors.is_empty(), "{errors:?}");
        (repository, snapshots.into_iter().next().unwrap())
    }
}

#[test]
fn etc_comes_back() {
    let store = Store::new();
    let (repository, snapshot) = store.take(Path::new("/etc"));
    let to = store.at("to");
    let report = restore(&repository, &snapshot, &options(Strategy::NewLocation, &to)).unwrap();
    assert_eq!(report.status, RestoreStatus::Completed, "{:?}", report.errors);
    assert_eq!(report.notes, [""; 0]);
    assert_eq!(differences(Path::new("/etc"), &to.join("etc")), [""; 0]);
}

#[test]
fn the_original_place_ends_as_the_snapshot_and_its_neighbours_stay() {
    let store = Store::new();
    let root = store.at("data/root").canonicalize().unwrap_or_else(|_| store.at("data/root"));
    fs::create_dir_all(root.join("sub")).unwrap();
    fs::write(root.join("sub/file"), vec![5; 300_000]).unwrap();
    let (repository, snapshot) = store.take(&root);
    let copy = store.at("copy");
    restore(&repository, &snapshot, &options(Strategy::NewLocation, &copy)).unwrap();
    let copy = copy.join(root.strip_prefix("/").unwrap());
    fs::write(root.join("sub/file"), "changed").unwrap();
    fs::write(root.join("sub/extra"), "extra").unwrap();
    fs::create_dir(root.join("extra")).unwrap();
    fs::write(root.parent().unwrap().join("neighbour"), "stays").unwrap();
    let in_place = RestoreOptions { strategy: Strategy::Replace, ..RestoreOptions::default() };
    let report = restore(&repository, &snapshot, &in_place).unwrap();
    assert_eq!((report.status, report.path.as_path()), (RestoreStatus::Completed, Path::new("/")));
    assert_eq!(report.plan.removes.len(), 2, "{:?}", report.plan.removes);
    assert_eq!(differences(&copy, &root), [""; 0]);
    assert_eq!(fs::read_to_string(root.parent().unwrap().join("neighbour")).unwrap(), "stays");

    fs::remove_file(root.join("sub/file")).unwrap();
    let part = TreePath::from_absolute(&root).unwrap().join(b"sub").unwrap();
    let merge = RestoreOptions { path: part, strategy: Strategy::Merge, ..RestoreOptions::default() };
    assert_eq!(restore(&repository, &snapshot, &merge).unwrap().files_restored, 1);
    assert_eq!(fs::read(root.join("sub/file")).unwrap(), vec![5; 300_000]);
}

#[test]
fn stopped_at_any_call_of_the_backend_the_target_is_as_it_was_and_the_next_restore_works() {
    let store = Store::new();
    let root = store.at("data");
    fs::create_dir_all(root.join("sub")).unwrap();
    for n in 0..6_u8 {
        let mut bytes = vec![0; 30_000];
        blake3::Hasher::new().update(&[n]).finalize_xof().fill(&mut bytes);
        fs::write(root.join(format!("sub/{n}")), bytes).unwrap();
    }
    let (_, snapshot) = store.take(&root);
    for n in 0.. {
        let place = store.at(&format!("to {n}"));
        fs::create_dir_all(place.join("of today")).unwrap();
        fs::write(place.join("of today/file"), "of today").unwrap();
        let before = capture(&place);
        // Nothing is cached: the backend is asked for everything.
        fs::remove_dir_all(store.at("cache")).unwrap_or_default();
        let faulty = FaultBackend::new(Arc::new(store.memory.clone()));
        let shared = Arc::new(faulty.clone());
        let repository = Repository::open(shared, &Secret::Key([7; 32]), store.options()).unwrap();
        faulty.add(FaultRule::at_call(n, if n % 2 == 0 { Fault::StopBefore } else { Fault::StopAfter }));
        let replace = options(Strategy::Replace, &place);
        let ended = restore(&repository, &snapshot, &replace);
        if faulty.stopped() {
            ended.unwrap_err();
            assert_eq!(between(&before, &capture(&place)), [""; 0], "stopped at {n}");
        }
        let report = restore(&store.open(), &snapshot, &replace).unwrap();
        assert_eq!(report.status, RestoreStatus::Completed, "stopped at {n}: {:?}", report.errors);
        let back = place.join(root.strip_prefix("/").unwrap());
        assert_eq!(differences(&root, &back), [""; 0], "stopped at {n}");
        assert!(!place.join("of today").exists());
        if !faulty.stopped() {
            assert!(n > 5, "{n}");
            break;
        }
    }
}

#[test]
fn a_repository_without_its_packs_gives_what_the_tree_still_names() {
    let store = Store::new();
    let root = store.at("data");
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("file"), vec![9; 100_000]).unwrap();
    let (repository, snapshot) = store.take(&root);
    drop(repository);
    for entry in store.memory.list_all("packs/").unwrap() {
        chronos_store::backend::Backend::remove(&store.memory, &entry.name).unwrap();
    }
    fs::remove_dir_all(store.at("cache")).unwrap();
    let to = store.at("to");
    let report = Repository::open(Arc::new(store.memory.clone()), &Secret::Key([7; 32]), store.options())
        .map_err(crate::Error::from)
        .and_then(|repository| restore(&repository, &snapshot, &options(Strategy::NewLocation, &to)));
    match report {
        Ok(report) => assert_eq!(report.status, RestoreStatus::Damaged),
        Err(e) => assert_eq!(e.kind(), crate::ErrorKind::Damaged, "{e}"),
    }
    assert!(!to.join(path("file").to_string()).exists());
}
