//! A small repository with at least one object of every kind, and cheap copies of it to be damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use chronos_tests::compare::{Captured, capture};

use crate::support::{Home, Ran, noise};

/// The cache as it was before a snapshot was deleted and another one made.
const EARLY_CACHE: &str = "early-cache";

/// The key file of the second slot; none that is found by itself.
pub(crate) const SECOND_KEY: &str = "second.key";

/// What a tree looked like when it was backed up.
pub(crate) type Tree = BTreeMap<PathBuf, Captured>;

/// One snapshot of the repository.
pub(crate) struct Taken {
    /// Its `backup_id`.
    pub(crate) id: String,
    /// The folder that was backed up, as it was.
    pub(crate) tree: Tree,
    /// Its path inside the snapshot.
    pub(crate) inside: String,
    /// The decision that made it.
    pub(crate) decision: String,
    /// The pack that it brought, as an object name.
    pub(crate) pack: String,
}

/// The repository, its snapshots, and what lay in it once and was removed since.
pub(crate) struct Fixture {
    home: Home,
    /// Snapshots by what they are called in the tables.
    pub(crate) taken: BTreeMap<&'static str, Taken>,
    /// One that is deleted and not purged.
    pub(crate) forgotten: Option<Taken>,
    /// The run that holds the index of all but the last snapshot.
    pub(crate) run: String,
    /// The key slot that opens the repository; there is another one.
    pub(crate) slot: String,
    /// Objects that were removed again: of a deleted snapshot and of replaced runs.
    pub(crate) removed: BTreeMap<String, Vec<u8>>,
}

/// All objects of a repository: names, without what begins with a dot.
pub(crate) fn objects(repository: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(repository.join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else {
                found.insert(path.to_str().unwrap().to_owned());
            }
        }
    }
    found
}

/// The only object that begins with `prefix`.
fn only<'a>(names: impl IntoIterator<Item = &'a String>, prefix: &str) -> String {
    let found: Vec<_> = names.into_iter().filter(|n| n.starts_with(prefix)).collect();
    assert_eq!(found.len(), 1, "{prefix}: {found:?}");
    found[0].clone()
}

impl Fixture {
    /// Makes it.
    pub(crate) fn new() -> Self {
        let home = Home::in_memory();
        home.run(["init"]).code(0);
        let made = only(&objects(&home.repository()), "keys/");
        home.run(["keys", "add", "--new-key-file", SECOND_KEY]).code(0);
        // Slots are tried in the order of their names, and names say nothing.
        let slot = "keys/00000000".to_owned();
        for name in objects(&home.repository()).iter().filter(|name| name.starts_with("keys/")) {
            let to = if *name == made { &slot } else { "keys/ffffffff" };
            fs::rename(home.repository().join(name), home.repository().join(to)).unwrap();
        }
        let (taken, removed) = (BTreeMap::new(), BTreeMap::new());
        let mut fixture = Self { home, taken, forgotten: None, run: String::new(), slot, removed };
        fixture.make();
        fixture
    }

    fn make(&mut self) {
        self.home.file("data/a.txt", b"first\n");
        self.home.file("data/sub/noise", &noise(1, 40_000));
        self.home.file("data/sub/text", &b"some lines\n".repeat(2_000));
        self.take("old", "data");
        self.home.file("other/b.txt", b"second\n");
        self.home.file("other/noise", &noise(2, 30_000));
        self.take("other", "other");
        // Only attributes change: its pack holds nothing but a tree.
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o640);
        fs::set_permissions(self.home.path("data/a.txt"), readable).unwrap();
        self.take("touched", "data");
        self.home.file("gone/noise", &noise(3, 20_000));
        self.take("deleted", "gone");
        self.home.file("trash/noise", &noise(5, 20_000));
        self.take("forgotten", "trash");
        self.home.run(["repair", "index"]).code(0);
        copy_all(&self.home.path(".cache"), &self.home.path(EARLY_CACHE));
        let before = self.all();
        let deleted = self.taken.remove("deleted").unwrap();
        self.home.run(["delete", &deleted.id]).code(0);
        self.home.run(["prune"]).code(0);
        self.home.run(["repair", "index"]).code(0);
        self.home.run(["prune"]).code(0);
        let now = objects(&self.home.repository());
        self.removed = before.into_iter().filter(|(name, _)| !now.contains(name)).collect();
        self.run = only(&now, "index/");
        let forgotten = self.taken.remove("forgotten").unwrap();
        self.home.run(["delete", &forgotten.id]).code(0);
        self.forgotten = Some(forgotten);
        self.home.run(["tag", &self.taken["old"].id, "--add", "kept"]).code(0);
        self.home.file("data/new", &noise(4, 10_000));
        self.take("new", "data");
        self.interrupt();
    }

    fn take(&mut self, called: &'static str, folder: &str) {
        let before = objects(&self.home.repository());
        let answer = self.home.run(["backup", folder, "--json"]).code(0).json();
        let added: Vec<_> = objects(&self.home.repository()).difference(&before).cloned().collect();
        let taken = Taken {
            id: answer["backup_id"].as_str().unwrap().to_owned(),
            tree: capture(&self.home.path(folder)),
            inside: self.home.inside(folder),
            decision: only(&added, "snap/"),
            pack: only(&added, "packs/"),
        };
        self.taken.insert(called, taken);
    }

    /// Leaves the announcement of a session that died.
    fn interrupt(&self) {
        let ended = self.home.command(["backup", "--command", "kill -9 $PPID"]).status().unwrap();
        assert_eq!(ended.signal(), Some(9));
        only(&objects(&self.home.repository()), "sess/");
    }

    fn all(&self) -> BTreeMap<String, Vec<u8>> {
        let repository = self.home.repository();
        let read = |name: String| (name.clone(), fs::read(repository.join(name)).unwrap());
        objects(&repository).into_iter().map(read).collect()
    }

    /// The folder that the snapshots of `data` are of.
    pub(crate) fn data(&self) -> PathBuf {
        self.home.path("data")
    }

    /// An object as it was before any damage.
    pub(crate) fn bytes(&self, object: &str) -> Vec<u8> {
        fs::read(self.home.repository().join(object)).unwrap()
    }

    /// A copy of the repository as this host knows it, but with an empty cache.
    pub(crate) fn copy(&self) -> Copy {
        copy(&self.home)
    }

    /// The same with what this host holds of it in its cache, now or before snapshots came and went.
    pub(crate) fn copy_with_cache(&self, early: bool) -> Copy {
        let copy = self.copy();
        let from = self.home.path(if early { EARLY_CACHE } else { ".cache" });
        copy_all(&from, &copy.home.path(".cache"));
        copy
    }
}

/// A copy of what a home holds, with an empty cache.
fn copy(of: &Home) -> Copy {
    let home = Home::in_memory();
    fs::copy(of.path(SECOND_KEY), home.path(SECOND_KEY)).unwrap();
    for part in [".local", ".config"] {
        copy_all(&of.path(part), &home.path(part));
    }
    Copy { home }
}

/// Copies a folder. Objects of a repository never change, so their files are hard links.
fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &to);
        } else if to.components().any(|part| part.as_os_str() == "repository") {
            fs::hard_link(entry.path(), to).unwrap();
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Puts other bytes in the place of a file, or nothing.
pub(crate) fn replace(file: &Path, bytes: Option<&[u8]>) {
    if file.exists() {
        fs::remove_file(file).unwrap();
    }
    if let Some(bytes) = bytes {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
}

/// A copy of the repository in a home of its own.
pub(crate) struct Copy {
    /// Where the program runs.
    pub(crate) home: Home,
}

/// What a restore of one snapshot gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Restored {
    pub(crate) code: i32,
    /// Files that are as they were.
    pub(crate) equal: BTreeSet<PathBuf>,
}

impl Copy {
    /// The file of an object.
    pub(crate) fn file(&self, object: &str) -> PathBuf {
        self.home.repository().join(object)
    }

    /// The catalogue in its cache.
    pub(crate) fn catalogue(&self) -> PathBuf {
        let folder = self.home.path(".cache/chronos");
        let mut found = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path().join("catalogue.redb"));
        found.find(|file| file.exists()).unwrap()
    }

    /// A copy of this copy, with an empty cache.
    pub(crate) fn fork(&self) -> Self {
        copy(&self.home)
    }

    /// Runs the program; no damage may make it panic or end by a signal.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let ran = self.home.run(args);
        let known = [0, 1, 2, 3, 4, 10, 11, 12].contains(&ran.code);
        assert!(known && !ran.stderr.contains("panicked"), "{args:?}: {ran:?}");
        ran
    }

    /// Restores a snapshot: nothing in it may be wrong, and all of it must be there if the program says so.
    #[track_caller]
    pub(crate) fn restore(&self, taken: &Taken) -> (Restored, Ran) {
        let out = tempfile::tempdir_in(self.home.path("")).unwrap();
        let to = out.path().join("out");
        let ran = self.run(&["restore", &taken.id, "--to", to.to_str().unwrap()]);
        let root = to.join(&taken.inside);
        let back = if root.exists() { capture(&root) } else { Tree::new() };
        let mut equal = BTreeSet::new();
        for (path, entry) in &taken.tree {
            match back.get(path) {
                Some(found) if found == entry => drop(equal.insert(path.clone())),
                Some(found) if entry.kind == "file" => {
                    panic!("restored wrong: {}: {found:?} {ran:?}", path.display());
                }
                _ => assert_ne!(ran.code, 0, "{} is not restored, and nothing said: {ran:?}", path.display()),
            }
        }
        (Restored { code: ran.code, equal }, ran)
    }
}
