//! Trees and everything that looks into them, on real repositories in memory.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashSet;
use std::sync::Arc;

use chronos_snapshot::{
    Aspect, BackupOptions, ByteRange, Case, Change, ExportFormat, ExportOptions, MemorySource, Node,
    NodeKind, Patterns, RewriteMode, RewriteOptions, Snapshot, Source, Time, Tree, TreeBuilder, TreePath,
    backup, listed, locate, resolve, rewrite, versions,
};
use chronos_store::backend::{Backend, MemoryBackend};
use chronos_store::{
    CreateOptions, Env, LocalDirs, OpenOptions, Repository, Secret, Session, SessionOptions, Silent,
};
use tempfile::TempDir;

struct Stage {
    repository: Repository,
    _local: TempDir,
}

fn stage() -> Stage {
    let local = tempfile::tempdir().unwrap();
    let dirs = LocalDirs { cache: local.path().join("cache"), state: local.path().join("state") };
    let options = OpenOptions { dirs, env: Env::system(), monitor: Arc::new(Silent) };
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let secret = Secret::Key([7; 32]);
    let repository = Repository::create(backend, &secret, &CreateOptions::default(), options).unwrap();
    Stage { repository, _local: local }
}

fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

fn session_options() -> SessionOptions {
    SessionOptions { client: "c".into(), level: 3 }
}

impl Stage {
    /// Backs up files given as name and content.
    fn save(&self, files: &[(&str, &str)]) -> Snapshot {
        let mut source = MemorySource::new("memory", "files");
        for (name, text) in files {
            source.add_file(path(name), *text, Time { seconds: 1_700_000_000, nanos: 5 });
        }
        let sources: Vec<Box<dyn Source>> = vec![Box::new(source)];
        let report = backup(&self.repository, sources, &BackupOptions::default()).unwrap();
        let all = self.snapshots();
        all.into_iter().find(|s| Some(s.id) == report.snapshot).unwrap()
    }

    fn snapshots(&self) -> Vec<Snapshot> {
        let (snapshots, errors) = listed(&self.repository.view().unwrap());
        assert!(errors.is_empty());
        snapshots
    }

    fn tree(&self, snapshot: &Snapshot) -> Tree {
        Tree::new(self.repository.view().unwrap().reader(), snapshot.manifest.tree)
    }

    fn names(&self, snapshot: &Snapshot) -> Vec<String> {
        self.tree(snapshot).range(&TreePath::root()).map(|e| e.unwrap().0.to_string()).collect()
    }
}

fn folder(n: u32) -> Node {
    Node {
        kind: NodeKind::Dir,
        mode: n % 0o1000,
        uid: n,
        gid: 0,
        user: None,
        group: Some("users".into()),
        mtime: Time { seconds: i64::from(n), nanos: n },
        ctime: Time::default(),
        dev: 1,
        inode: u64::from(n),
        links: 1,
        xattrs: Vec::new(),
    }
}

fn entries(n: u32) -> impl Iterator<Item = (TreePath, Node)> {
    (0..n).map(|n| (path(&format!("a/{n:06}")), folder(n)))
}

fn build(session: &Session, entries: impl Iterator<Item = (TreePath, Node)>) -> chronos_store::ChunkId {
    let mut builder = TreeBuilder::new(session);
    for (path, node) in entries {
        builder.add(&path, &node).unwrap();
    }
    builder.finish().unwrap()
}

#[test]
fn a_tree_in_a_repository_is_read_back_and_shared_by_the_next_session() {
    let stage = stage();
    let session = stage.repository.begin(session_options()).unwrap();
    let root = build(&session, entries(5000));
    session.commit(&[root], b"{}").unwrap();
    let reader = stage.repository.view().unwrap().reader();
    let tree = Tree::new(reader.clone(), root);
    assert!(tree.range(&TreePath::root()).map(Result::unwrap).eq(entries(5000)));
    assert_eq!(tree.get(&path("a/002500")).unwrap(), Some(folder(2500)));

    let session = stage.repository.begin(session_options()).unwrap();
    let changed = entries(5000).map(|(p, n)| if p == path("a/002500") { (p, folder(7)) } else { (p, n) });
    let new = build(&session, changed);
    let stats = session.stats();
    // Two or three levels: a new reference list on each, new attributes in the leaf.
    assert!((3..=4).contains(&stats.chunks_new), "{stats:?}");
    session.commit(&[new], b"{}").unwrap();
    let newer = Tree::new(stage.repository.view().unwrap().reader(), new);
    let found: Vec<_> = tree.diff(&newer, &TreePath::root()).collect::<Result<_, _>>().unwrap();
    assert_eq!(found.iter().map(|d| d.path.to_string()).collect::<Vec<_>>(), ["a/002500"]);
    let session = stage.repository.begin(session_options()).unwrap();
    assert_eq!(build(&session, entries(5000)), root);
    assert_eq!(session.stats().chunks_new, 0);
    session.close().unwrap();
}

#[test]
fn a_backup_is_looked_into() {
    let stage = stage();
    let long = "line\n".repeat(100_000);
    let first = stage.save(&[("d/a.txt", "one"), ("d/b.json", "{\"x\":1}"), ("e/long.log", &long)]);
    let second = stage.save(&[("d/a.txt", "two"), ("d/b.json", "{\"x\":2}"), ("f", "")]);
    assert_eq!(stage.names(&first), ["d", "d/a.txt", "d/b.json", "e", "e/long.log"]);
    let (old, new) = (stage.tree(&first), stage.tree(&second));
    let mut out = Vec::new();
    old.cat(&path("e/long.log"), ByteRange { start: 3, end: 400_003 }, &mut out).unwrap();
    assert_eq!(out, long.as_bytes().get(3..400_003).unwrap());
    let patterns = Patterns::new(["*.txt", "*.log"], Case::Sensitive).unwrap();
    assert_eq!(old.search(&TreePath::root(), &patterns).count(), 2);

    let found: Vec<_> = old.diff(&new, &TreePath::root()).collect::<Result<_, _>>().unwrap();
    let brief: Vec<_> = found.iter().map(|d| (d.path.to_string(), d.change)).collect();
    let expected = [
        ("d/a.txt", Change::Changed),
        ("d/b.json", Change::Changed),
        ("e", Change::Removed),
        ("e/long.log", Change::Removed),
        ("f", Change::Added),
    ];
    assert_eq!(brief, expected.map(|(p, c)| (p.to_owned(), c)));
    assert!(found.iter().filter(|d| d.change == Change::Changed).all(|d| d.aspects == [Aspect::Content]));
    assert_eq!(old.diff_json(&new, &path("d/b.json")).unwrap().unwrap().len(), 1);

    let reader = stage.repository.view().unwrap().reader();
    let found = versions(&reader, &stage.snapshots(), &path("d/a.txt"));
    assert_eq!(found.versions.len(), 2);
    let (located, inside) = locate(&stage.snapshots(), "latest:/d").unwrap();
    assert_eq!((located.snapshot.id, inside), (second.id, Some(path("d"))));

    let options = ExportOptions { format: ExportFormat::Tar, base: path("d"), level: None };
    let report = new.export(&options, &mut Vec::new(), &Silent).unwrap();
    assert_eq!((report.entries, report.bytes), (2, 10));
}

#[test]
fn a_rewritten_snapshot_lacks_what_was_excluded_and_replaces_the_old_one() {
    let stage = stage();
    let old = stage.save(&[("d/secret/key", "abc"), ("d/ok", "fine"), ("d/x.pem", "1234567")]);
    let mut options = RewriteOptions {
        exclude: Patterns::new(["secret/", "*.pem"], Case::Sensitive).unwrap(),
        mode: RewriteMode::DryRun,
        session: session_options(),
        apart: HashSet::default(),
    };
    let plan = rewrite(&stage.repository, &old, &options).unwrap();
    assert_eq!((plan.excluded.len(), plan.files, plan.dirs, plan.bytes), (2, 2, 1, 10));
    assert_eq!(plan.snapshot, None);
    options.mode = RewriteMode::Write;
    let report = rewrite(&stage.repository, &old, &options).unwrap();
    let all = stage.snapshots();
    let [new] = all.as_slice() else { unreachable!("the old one is forgotten") };
    assert_eq!(report.snapshot, Some((new.id, format!("{}_2", old.manifest.backup_id))));
    assert_eq!(stage.names(new), ["d", "d/ok"]);
    assert_eq!(new.manifest.created_at, old.manifest.created_at);
    assert_eq!((new.manifest.files, new.manifest.size_bytes), (1, 4));
    let mut out = Vec::new();
    stage.tree(new).cat(&path("d/ok"), ByteRange::ALL, &mut out).unwrap();
    assert_eq!(out, b"fine");
    assert_eq!(resolve(&all, "latest").unwrap().snapshot.id, new.id);
    let again = rewrite(&stage.repository, new, &options).unwrap();
    assert_eq!((again.excluded.len(), again.snapshot), (0, None));
}
