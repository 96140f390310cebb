//! Content as it is found: sparse, zero, large, changing, vanishing, unreadable.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chronos_store::Monitor;

use super::{Stage, assert_whole, bytes, files_of, newest, nodes, noise};
use crate::backup::{BackupOptions, backup};
use crate::error::Result;
use crate::node::{Extent, NodeKind};
use crate::source::{Item, Source};

type Deed = Box<dyn FnMut() + Send>;

/// A source that does something right after it has given the entry of a certain name.
struct Meddling {
    inner: Box<dyn Source>,
    name: &'static str,
    /// Done when it is opened the first time.
    deed: Option<Deed>,
}

impl std::fmt::Debug for Meddling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meddling")
    }
}

impl Source for Meddling {
    fn name(&self) -> String {
        self.inner.name()
    }
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }
    fn paths(&self) -> Vec<String> {
        self.inner.paths()
    }
    fn is_repeatable(&self) -> bool {
        true
    }
    fn open(&mut self) -> Result<Box<dyn Iterator<Item = Item> + Send>> {
        let name = self.name;
        let mut deed = self.deed.take().unwrap_or_else(|| Box::new(|| ()));
        Ok(Box::new(self.inner.open()?.inspect(move |item| {
            if matches!(item, Item::Entry(e) if e.path.name() == name.as_bytes()) {
                deed();
            }
        })))
    }
}

pub(super) fn meddling(
    stage: &Stage,
    name: &'static str,
    deed: impl FnMut() + Send + 'static,
) -> Vec<Box<dyn Source>> {
    let inner = stage.files().pop().unwrap();
    vec![Box::new(Meddling { inner, name, deed: Some(Box::new(deed)) })]
}

fn meddled(stage: &Stage, deed: impl FnMut() + Send + 'static) -> crate::BackupReport {
    meddled_on(stage, "a", deed)
}

/// A backup during which something is done right after the entry of that name was listed.
pub(super) fn meddled_on(
    stage: &Stage,
    name: &'static str,
    deed: impl FnMut() + Send + 'static,
) -> crate::BackupReport {
    backup(&stage.open(), meddling(stage, name, deed), &BackupOptions::default()).unwrap()
}

#[test]
fn large_and_odd_sizes_come_back() {
    let stage = Stage::new();
    for (n, len) in [0, 1, 4095, 65_536, 131_072, 1_048_576, 1_048_577, 5_000_001].into_iter().enumerate() {
        stage.write(&format!("f{n}"), noise(n as u8, len));
    }
    stage.write("text.sql", "INSERT INTO t VALUES (1, 'x');\n".repeat(60_000));
    let report = stage.run();
    assert_eq!(report.files_new, 9);
    assert_whole(&stage);
}

#[test]
fn holes_and_zeros_are_kept_apart_and_stored_as_nothing() {
    let stage = Stage::new();
    let file = fs::File::create(stage.path("sparse")).unwrap();
    file.set_len(64 << 20).unwrap();
    file.write_all_at(b"begin", 1 << 20).unwrap();
    file.write_all_at(&noise(1, 100_000), 32 << 20).unwrap();
    fs::File::create(stage.path("hole")).unwrap().set_len(1 << 30).unwrap();
    stage.write("zeros", vec![0; 3_000_000]);
    let report = stage.run();
    assert!(report.bytes_added < 400_000, "{}", report.bytes_added);
    let repository = stage.open();
    let found = nodes(&repository, &newest(&repository));
    let extents = |n: &str| match &found[&stage.inside(n)].kind {
        NodeKind::File(content) => content.extents.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(extents("hole"), [Extent::Hole { len: 1 << 30 }]);
    assert_eq!(extents("zeros"), [Extent::Zero { len: 3_000_000 }]);
    assert!(matches!(extents("sparse")[..], [Extent::Hole { len: 1_048_576 }, Extent::Data { .. }, ..]));
    let sparse = bytes(&repository, &found[&stage.inside("sparse")]);
    assert!(sparse == fs::read(stage.path("sparse")).unwrap());
}

#[test]
fn a_file_that_vanishes_after_it_was_listed_is_no_error() {
    let stage = Stage::new();
    stage.write("a", "content");
    stage.write("b", "content");
    let path = stage.path("a");
    let report = meddled(&stage, move || fs::remove_file(&path).unwrap());
    assert_eq!((report.status.as_str(), report.files_new), ("completed", 1));
    assert_whole(&stage);
}

#[test]
fn a_file_that_shrinks_or_grows_is_stored_as_it_is_then() {
    let stage = Stage::new();
    stage.write("a", noise(1, 2_000_000));
    let path = stage.path("a");
    let report = meddled(&stage, move || {
        fs::File::options().write(true).open(&path).unwrap().set_len(700_000).unwrap();
    });
    assert_eq!((report.status.as_str(), report.bytes_processed), ("completed", 700_000));
    assert_whole(&stage);
    let path = stage.path("a");
    meddled(&stage, move || fs::write(&path, noise(2, 1_500_000)).unwrap());
    assert_whole(&stage);
}

#[test]
fn a_file_that_is_replaced_by_something_else_is_named() {
    let stage = Stage::new();
    stage.write("a", "content");
    let path = stage.path("a");
    let report = meddled(&stage, move || {
        fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .unwrap();
    });
    assert_eq!((report.status.as_str(), report.error_count), ("partial", 1));
    assert!(report.errors[0].error.contains("not a regular file"), "{:?}", report.errors);
}

#[test]
fn a_link_planted_on_the_way_does_not_lead_elsewhere() {
    let stage = Stage::new();
    let secret = tempfile::tempdir().unwrap();
    fs::write(secret.path().join("a"), "not for you").unwrap();
    stage.write("mine/a", "mine");
    let (mine, away, secret_path) = (stage.path("mine"), stage.path("away"), secret.path().to_owned());
    let report = meddled(&stage, move || {
        fs::rename(&mine, &away).unwrap();
        std::os::unix::fs::symlink(&secret_path, &mine).unwrap();
    });
    assert_eq!((report.status.as_str(), report.files()), ("partial", 0));
    assert!(report.errors[0].error.contains("its folder was replaced"), "{:?}", report.errors);
    fs::remove_file(stage.path("mine")).unwrap();
    fs::rename(stage.path("away"), stage.path("mine")).unwrap();
    let (file, secret_path) = (stage.path("mine/a"), secret.path().join("a"));
    let report = meddled(&stage, move || {
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(&secret_path, &file).unwrap();
    });
    assert!(report.errors[0].error.contains("not a regular file"), "{:?}", report.errors);
}

/// Cuts a file off once, when something of it was read.
#[derive(Debug)]
struct Truncating(fs::File, AtomicBool);

impl Monitor for Truncating {
    fn advance(&self, _: u64, bytes: u64) {
        if bytes > 0 && !self.1.swap(true, Ordering::Relaxed) {
            self.0.set_len(1_200_000).unwrap();
        }
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_read_again() {
    let stage = Stage::new();
    stage.write("a", noise(1, 6_000_000));
    let file = fs::File::options().write(true).open(stage.path("a")).unwrap();
    let monitor = Arc::new(Truncating(file, AtomicBool::new(false)));
    let repository = stage.over(Arc::new(stage.memory.clone()), monitor).unwrap();
    let report = backup(&repository, stage.files(), &BackupOptions::default()).unwrap();
    assert_eq!((report.status.as_str(), report.bytes_processed), ("completed", 1_200_000));
    assert!(report.bytes_read > 1_200_000);
    assert_whole(&stage);
}

/// Appends to a file whenever something of it was read.
#[derive(Debug)]
struct Appending(fs::File);

impl Monitor for Appending {
    fn advance(&self, _: u64, bytes: u64) {
        if bytes > 5 {
            (&self.0).write_all(b"x").unwrap();
        }
    }
}

#[test]
fn a_file_that_never_holds_still_is_stored_and_named() {
    let stage = Stage::new();
    stage.write("a", noise(1, 2_000_000));
    stage.write("b", "still");
    let file = fs::File::options().append(true).open(stage.path("a")).unwrap();
    let repository = stage.over(Arc::new(stage.memory.clone()), Arc::new(Appending(file))).unwrap();
    let report = backup(&repository, stage.files(), &BackupOptions::default()).unwrap();
    assert_eq!((report.status.as_str(), report.files_new, report.error_count), ("partial", 2, 1));
    assert!(report.errors[0].error.contains("changed while it was read"), "{:?}", report.errors);
    assert!(report.bytes_read > 3 * 2_000_000, "three tries");
    let snapshot = newest(&repository);
    assert!(!snapshot.is_good() && snapshot.manifest.errors.len() == 1);
    let stored = bytes(&repository, &nodes(&repository, &snapshot)[&stage.inside("a")]);
    assert_eq!(stored[..2_000_000], noise(1, 2_000_000));
    assert_eq!(stage.run().status, "completed");
    assert_whole(&stage);
}

const AS_NOBODY: &str = "CHRONOS_TEST_UNREADABLE";

#[test]
fn what_cannot_be_read_is_counted_and_named() {
    if let Some(root) = std::env::var_os(AS_NOBODY) {
        return unreadable(std::path::Path::new(&root));
    }
    let stage = Stage::new();
    stage.write("open", "1");
    stage.write("secret", "2");
    stage.write("locked/x", "3");
    let mode = |n: &str, m| fs::set_permissions(stage.path(n), fs::Permissions::from_mode(m)).unwrap();
    mode("secret", 0);
    mode("locked", 0);
    mode("", 0o755);
    if rustix::process::geteuid().is_root() {
        let program = stage.path("open-tests");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        let test = "backup::tests::content::what_cannot_be_read_is_counted_and_named";
        let output = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
            .arg(&program)
            .args(["--exact", test])
            .env(AS_NOBODY, stage.dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    } else {
        unreadable(stage.dir.path());
    }
    mode("locked", 0o755);
}

fn unreadable(root: &std::path::Path) {
    let stage = Stage::new();
    let report = backup(&stage.open(), files_of(root), &BackupOptions::default()).unwrap();
    assert_eq!((report.status.as_str(), report.error_count), ("partial", 2));
    let named: Vec<_> = report.errors.iter().map(|e| e.path.rsplit('/').next().unwrap()).collect();
    assert_eq!(named, ["locked", "secret"]);
    assert!(report.errors.iter().all(|e| e.error.contains("denied")), "{:?}", report.errors);
    assert!(report.sources[0].error.as_ref().unwrap().contains("locked"));
    assert!(report.files_new >= 1);
}
