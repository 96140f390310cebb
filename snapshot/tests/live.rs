//! A snapshot of real files compared with what became of them.
#![expect(clippy::disallowed_methods, reason = "files of a test need not survive")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use chronos_snapshot::{
    Aspect, BackupOptions, Change, FileOptions, FileSource, Source, Tree, TreePath, backup, listed,
};
use chronos_store::backend::MemoryBackend;
use chronos_store::{CreateOptions, Env, LocalDirs, OpenOptions, Repository, Secret, Silent};

fn files(root: &Path) -> Box<dyn Source> {
    let options = FileOptions { roots: vec![root.to_owned()], threads: 1, ..FileOptions::default() };
    Box::new(FileSource::new(options).unwrap())
}

fn differences(tree: &Tree, root: &Path) -> Vec<(String, Change, Vec<Aspect>)> {
    let base = TreePath::from_absolute(root).unwrap();
    let name = |path: &TreePath| String::from_utf8_lossy(path.strip(&base).unwrap()).into_owned();
    let mut source = files(root);
    tree.diff_live(&TreePath::root(), source.open().unwrap())
        .map(Result::unwrap)
        .map(|d| (name(&d.path), d.change, d.aspects))
        .collect()
}

#[test]
fn what_changed_on_disk_since_a_snapshot_is_found() {
    let (local, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dirs = LocalDirs { cache: local.path().join("cache"), state: local.path().join("state") };
    let options = OpenOptions { dirs, env: Env::system(), monitor: Arc::new(Silent) };
    let secret = Secret::Key([7; 32]);
    let backend = Arc::new(MemoryBackend::new());
    let repository = Repository::create(backend, &secret, &CreateOptions::default(), options).unwrap();

    let root = dir.path().canonicalize().unwrap();
    let at = |name: &str| root.join(name);
    fs::create_dir(at("sub")).unwrap();
    for name in ["gone", "mode", "quiet", "same", "sub/long", "touched"] {
        fs::write(at(name), "text ".repeat(20_000)).unwrap();
    }
    symlink("same", at("link")).unwrap();
    fs::hard_link(at("same"), at("twin")).unwrap();
    backup(&repository, vec![files(&root)], &BackupOptions::default()).unwrap();
    let view = repository.view().unwrap();
    let (snapshots, _) = listed(&view);
    let tree = Tree::new(view.reader(), snapshots.first().unwrap().manifest.tree);
    assert_eq!(differences(&tree, &root), []);

    let keep_time = |name: &str, change: &dyn Fn()| {
        let modified = fs::metadata(at(name)).unwrap().modified().unwrap();
        change();
        fs::File::options().write(true).open(at(name)).unwrap().set_modified(modified).unwrap();
    };
    keep_time("sub/long", &|| fs::write(at("sub/long"), "more ".repeat(20_001)).unwrap());
    // Same length, same time: only reading tells.
    keep_time("quiet", &|| fs::write(at("quiet"), "test ".repeat(20_000)).unwrap());
    keep_time("touched", &|| fs::write(at("touched"), "text ".repeat(20_000)).unwrap());
    fs::set_permissions(at("mode"), fs::Permissions::from_mode(0o600)).unwrap();
    let folder_time = fs::metadata(&root).unwrap().modified().unwrap();
    fs::remove_file(at("gone")).unwrap();
    fs::write(at("new"), "").unwrap();
    fs::remove_file(at("link")).unwrap();
    fs::create_dir(at("link")).unwrap();
    fs::File::open(&root).unwrap().set_modified(folder_time).unwrap();

    let change = |name: &str, aspect| (name.to_owned(), Change::Changed, vec![aspect]);
    assert_eq!(
        differences(&tree, &root),
        [
            ("gone".to_owned(), Change::Removed, vec![]),
            change("link", Aspect::Type),
            change("mode", Aspect::Mode),
            ("new".to_owned(), Change::Added, vec![]),
            change("quiet", Aspect::Content),
            change("sub/long", Aspect::Content),
        ]
    );
}
