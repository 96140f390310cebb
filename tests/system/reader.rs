//! The independent reader of `tests/reader` reads what the program writes, and both read repositories of old for ever.

use std::fmt::Write;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use chronos_snapshot::{
    BackupOptions, BackupReport, FileOptions, FileSource, RestoreOptions, Snapshot, backup, listed, restore,
};
use chronos_store::backend::{Fault, FaultBackend, FaultRule, LocalBackend, Method};
use chronos_store::{
    Change, CreateOptions, Env, LocalDirs, OpenOptions, Repository, Secret, Silent, SyncOptions,
};
use chronos_tests::{Program, compare, reader_python, repository_root};

const KEY: [u8; 32] = [11; 32];

fn options(home: &Path) -> OpenOptions {
    let dirs = LocalDirs { cache: home.join("cache"), state: home.join("state") };
    OpenOptions { dirs, env: Env::system(), monitor: Arc::new(Silent) }
}

fn create(home: &Path) -> Repository {
    let backend = Arc::new(LocalBackend::new(home.join("repository")));
    let key = home.join("key");
    fs::write(&key, format!("# a key\n{}\n", "0b".repeat(32))).unwrap();
    Repository::create(backend, &Secret::Key(KEY), &CreateOptions::default(), options(home)).unwrap()
}

fn back_up(repository: &Repository, tree: &Path) -> BackupReport {
    let files = FileOptions { roots: vec![tree.to_owned()], ..FileOptions::default() };
    let source = Box::new(FileSource::new(files).unwrap());
    backup(repository, vec![source], &BackupOptions::default()).unwrap()
}

fn snapshots(repository: &Repository) -> Vec<Snapshot> {
    listed(&repository.view().unwrap()).0
}

fn python(repository: &Path, secret: &[&str], args: &[&str]) -> Output {
    let mut command = Command::new(reader_python());
    command.arg(repository_root().join("tests/reader/chronos_reader.py")).arg(repository);
    command.args(secret).args(args).output().unwrap()
}

#[track_caller]
fn read(repository: &Path, secret: &[&str], args: &[&str]) -> String {
    let output = python(repository, secret, args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Bytes that neither compress nor repeat.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// A tree with one of everything that can be made without rights.
fn make_tree(tree: &Path) {
    fs::create_dir_all(tree.join("folder/empty")).unwrap();
    fs::write(tree.join("empty file"), "").unwrap();
    fs::write(tree.join("folder/small"), "hello\n").unwrap();
    fs::write(tree.join("folder/lines.log"), "2024-01-01 something happened\n".repeat(20_000)).unwrap();
    fs::write(tree.join("large"), noise(3 << 20)).unwrap();
    fs::write(tree.join("zeros"), vec![0; 300_000]).unwrap();
    let holes = File::create(tree.join("holes")).unwrap();
    holes.write_all_at(&noise(70_000), 1 << 20).unwrap();
    holes.set_len(4 << 20).unwrap();
    symlink("folder/small", tree.join("link")).unwrap();
    fs::hard_link(tree.join("large"), tree.join("folder/large too")).unwrap();
    fs::write(tree.join(std::ffi::OsStr::from_bytes(b"not \xff text")), "name").unwrap();
    fs::set_permissions(tree.join("folder/small"), fs::Permissions::from_mode(0o640)).unwrap();
    let old = UNIX_EPOCH - Duration::new(1_000_000, 123_456_789);
    File::open(tree.join("empty file")).unwrap().set_modified(old).unwrap();
}

/// The folder that holds the backed up tree below an extracted snapshot.
fn below(extracted: &Path, tree: &Path) -> PathBuf {
    extracted.join(tree.strip_prefix("/").unwrap())
}

#[test]
fn the_independent_reader_lists_and_extracts_what_we_write() {
    let home = tempfile::tempdir().unwrap();
    let (home, tree) = (home.path(), home.path().join("tree"));
    make_tree(&tree);
    let repository = create(home);
    let first = back_up(&repository, &tree);
    fs::write(tree.join("folder/new"), "new").unwrap();
    back_up(&repository, &tree);
    let forgotten =
        snapshots(&repository).into_iter().find(|s| Some(s.id) == first.snapshot).unwrap().session;
    repository.change(&|_| Ok(Some(Change::Forget { snapshots: vec![forgotten.clone()] }))).unwrap();
    fs::write(tree.join("folder/newer"), noise(100_000)).unwrap();
    // Little changes, in a file of many chunks and in one of few: they are put together from pieces.
    for (name, changes, step) in [("large", 100, 20_000), ("holes", 2, 30_000)] {
        let file = File::options().write(true).open(tree.join(name)).unwrap();
        (0..changes).for_each(|n| file.write_all_at(b"changed", (1 << 20) + n * step).unwrap());
    }
    let report = back_up(&repository, &tree);
    assert!(report.bytes_added < 300_000, "{} bytes were added", report.bytes_added);
    let last = report.snapshot.unwrap().to_string();

    let place = home.join("repository");
    let key = home.join("key");
    let secret = ["--key-file", key.to_str().unwrap()];
    let listing = read(&place, &secret, &["list"]);
    let ids: Vec<&str> = listing.lines().map(|l| l.split(' ').next().unwrap()).collect();
    let mine: Vec<String> = snapshots(&repository).iter().map(|s| s.id.to_string()).collect();
    assert_eq!(ids, mine);
    let out = home.join("out");
    read(&place, &secret, &["extract", &last, out.to_str().unwrap()]);
    assert_eq!(compare::differences(&tree, &below(&out, &tree)), Vec::<String>::new());
}

#[test]
fn the_independent_reader_tells_a_wrong_key_from_damage() {
    let home = tempfile::tempdir().unwrap();
    let (home, tree) = (home.path(), home.path().join("tree"));
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("file"), noise(10_000)).unwrap();
    back_up(&create(home), &tree);
    let (place, key) = (home.join("repository"), home.join("key"));
    let list = || python(&place, &["--key-file", key.to_str().unwrap()], &["list"]).status.code();
    assert_eq!(list(), Some(0));
    let right = fs::read(&key).unwrap();
    fs::write(&key, "22".repeat(32)).unwrap();
    assert_eq!(list(), Some(12));
    fs::write(&key, right).unwrap();
    let slot = fs::read_dir(place.join("keys")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&slot).unwrap();
    fs::write(&slot, text.replacen('0', "1", 1)).unwrap();
    assert_eq!(list(), Some(4));
}

#[test]
fn the_independent_reader_opens_a_repository_with_a_recovery_kit() {
    let program = Program::with_repository();
    let (home, place) = (program.home(), program.repository());
    fs::write(home.join("file"), "text").unwrap();
    program.run(["backup", home.join("file").to_str().unwrap()]).expect_code(0);
    fs::write(home.join("password"), "zwölf Wörter\n").unwrap();
    let [kit, password] = ["kit.html", "password"].map(|name| home.join(name).to_str().unwrap().to_owned());
    program.run(["kit", "export", "-o", &kit, "--kit-password-file", &password]).expect_code(0);
    let listed = read(place, &["--kit", &kit, "zwölf Wörter"], &["list"]);
    assert_eq!(listed.lines().count(), 1, "{listed}");
    assert_eq!(python(place, &["--kit", &kit, "another"], &["list"]).status.code(), Some(12));
    let page = fs::read_to_string(&kit).unwrap();
    fs::write(&kit, page.replace("\"host\":\"", "\"host\":\"x")).unwrap();
    assert_eq!(python(place, &["--kit", &kit, "zwölf Wörter"], &["list"]).status.code(), Some(4));
}

/// The golden repositories, one for each version of the format.
fn golden() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(repository_root().join("tests/golden")).unwrap().map(|e| e.unwrap().path()).collect();
    found.sort();
    found
}

/// What the snapshots of a golden repository hold: a line for each entry.
fn describe(root: &Path) -> String {
    let mut text = String::new();
    for (path, entry) in compare::capture(root) {
        let full = if path.as_os_str().is_empty() { root.to_owned() } else { root.join(&path) };
        let content = if entry.kind == "file" { fs::read(full).unwrap() } else { Vec::new() };
        let hash = content.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let path = path.as_os_str().as_bytes().escape_ascii();
        let first = entry.first_name.as_os_str().as_bytes().escape_ascii();
        let (mode, ..) = entry.rights;
        let (seconds, nanoseconds) = entry.mtime;
        writeln!(
            text,
            "{path} | {} | {mode:o} | {seconds}.{nanoseconds:09} | {} | {first} | {hash:016x}",
            entry.kind, entry.size
        )
        .unwrap();
    }
    text
}

/// Copies a folder, so that nothing can touch the original.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn repositories_of_every_version_read_the_same_for_ever() {
    let golden = golden();
    assert_eq!(golden.len(), 1, "a golden repository for each version of the format");
    for folder in golden {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("repository");
        copy(&folder.join("repository"), &place);
        let listing = read(&place, &["--password", "golden"], &["list"]);
        assert_eq!(listing, fs::read_to_string(folder.join("listing.txt")).unwrap());
        let backend = Arc::new(LocalBackend::new(&place));
        let secret = Secret::Password("golden".to_owned());
        let repository = Repository::open(backend, &secret, options(home.path())).unwrap();
        let snapshots = snapshots(&repository);
        assert_eq!(snapshots.len(), listing.lines().count());
        for (number, snapshot) in (1..).zip(&snapshots) {
            let expected = fs::read_to_string(folder.join(format!("snapshot-{number}.txt"))).unwrap();
            let (id, ours, theirs) =
                (snapshot.id.to_string(), home.path().join("ours"), home.path().join("theirs"));
            assert!(listing.contains(&id));
            let to = RestoreOptions { to: Some(ours.clone()), ..RestoreOptions::default() };
            restore(&repository, snapshot, &to).unwrap();
            read(&place, &["--password", "golden"], &["extract", &id, theirs.to_str().unwrap()]);
            for root in [ours, theirs] {
                assert_eq!(describe(&root.join("golden")), expected, "{}", root.display());
                fs::remove_dir_all(root).unwrap();
            }
        }
    }
}

#[test]
fn a_mirror_is_read_as_a_repository_without_what_a_sync_has_not_shown() {
    let home = tempfile::tempdir().unwrap();
    let (place, tree, key) = (home.path().join("mirror"), home.path().join("tree"), home.path().join("key"));
    fs::create_dir(&tree).unwrap();
    let repository = create(home.path());
    let secret = ["--key-file", key.to_str().unwrap()];
    let back_up_and_forget = |turn: usize| {
        fs::write(tree.join("file"), noise(1000 + turn)).unwrap();
        back_up(&repository, &tree);
        let oldest = snapshots(&repository).last().unwrap().session.clone();
        back_up(&repository, &tree);
        let forget = Change::Forget { snapshots: vec![oldest] };
        repository.change(&|_| Ok(Some(forget.clone()))).unwrap();
    };
    let mirror: Arc<dyn chronos_store::backend::Backend> = Arc::new(LocalBackend::new(place.clone()));
    let options = SyncOptions { delete_after: i64::MAX, ..SyncOptions::default() };
    back_up_and_forget(1);
    repository.sync_to(Arc::clone(&mirror), &options).unwrap();
    let shown = read(&place, &secret, &["list"]);
    assert_eq!(shown, read(&home.path().join("repository"), &secret, &["list"]));
    back_up_and_forget(2);
    // All that it brings is there, and it is stopped before it is shown.
    let rule = FaultRule::always(Method::Remove, "log/-sync", Fault::Error(std::io::ErrorKind::TimedOut));
    let stopped = FaultBackend::with_rule(Arc::clone(&mirror), rule);
    assert!(repository.sync_to(Arc::new(stopped), &options).is_err());
    assert_eq!(read(&place, &secret, &["list"]), shown);
    repository.sync_to(mirror, &options).unwrap();
    let after = read(&place, &secret, &["list"]);
    assert!(after != shown && after == read(&home.path().join("repository"), &secret, &["list"]));
}
