//! Restoring onto file systems that are more than one, or that lack what a restore likes to use.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use chronos_tests::compare::{Captured, between, capture, differences};
use chronos_tests::{Mounted, Output, Program};

/// A home with the folder `from`, in a snapshot.
struct Stage {
    program: Program,
    home: PathBuf,
}

impl Stage {
    fn new(lay: impl FnOnce(&Path)) -> Self {
        let program = Program::with_repository();
        let home = program.home().canonicalize().unwrap();
        fs::create_dir(home.join("from")).unwrap();
        lay(&home.join("from"));
        program.run(["backup", "from"]).expect_code(0);
        Self { program, home }
    }

    fn from(&self) -> PathBuf {
        self.home.join("from")
    }

    fn restore_command(&self, strategy: &str, to: &Path) -> Vec<String> {
        let part = format!("latest:{}", self.from().display());
        let words = ["restore", &part, "--no-restore-point", "--strategy", strategy, "--to"];
        words.into_iter().map(str::to_owned).chain([to.display().to_string()]).collect()
    }

    /// Replaces `to` while the kernel answers those renames that `when` names with an error.
    fn restore_failing(&self, to: &Path, when: &str) -> Output {
        let inject = format!("inject=renameat:error=EIO:when={when}");
        let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat", "-e", &inject];
        let args = self.restore_command("replace", to);
        Program::finish(self.program.command_under(&strace, args).spawn().unwrap())
    }

    fn restore(&self, strategy: &str, to: &Path) -> Output {
        self.program.run(self.restore_command(strategy, to))
    }
}

fn lay(root: &Path) {
    fs::create_dir_all(root.join("sub/deep")).unwrap();
    fs::write(root.join("changed"), "of the snapshot").unwrap();
    fs::write(root.join("sub/changed"), "of the snapshot too").unwrap();
    fs::write(root.join("sub/deep/new"), vec![7; 100_000]).unwrap();
    fs::write(root.join("was a folder"), "is a file").unwrap();
    symlink("changed", root.join("link")).unwrap();
}

/// What is there before: other contents, other kinds, and more.
fn lay_old(root: &Path) {
    fs::create_dir_all(root.join("sub/extra folder")).unwrap();
    fs::create_dir_all(root.join("was a folder/full")).unwrap();
    fs::write(root.join("was a folder/full/x"), "x").unwrap();
    fs::write(root.join("changed"), "of today").unwrap();
    fs::write(root.join("sub/changed"), "of today too").unwrap();
    fs::write(root.join("sub/extra"), "extra").unwrap();
    fs::write(root.join("sub/extra folder/y"), "y").unwrap();
}

/// Kind, rights and content of each entry: what a simple file system keeps.
fn plainly(root: &Path) -> BTreeMap<PathBuf, Captured> {
    let mut found = capture(root);
    for entry in found.values_mut() {
        (entry.mtime, entry.first_name) = ((0, 0), PathBuf::new());
        entry.data.clear();
        entry.xattrs.clear();
    }
    found
}

#[test]
fn a_file_system_that_cannot_exchange_names_is_restored_onto() {
    let stage = Stage::new(lay);
    let disk = stage.home.join("ntfs");
    let _mounted = Mounted::ntfs(&disk);
    stage.restore("new-location", &disk.join("new")).expect_code(0);
    assert_eq!(plainly(&stage.from()), plainly(&disk.join("new")));
    for strategy in ["overwrite", "replace"] {
        let to = disk.join(strategy);
        lay_old(&to);
        if strategy == "overwrite" {
            fs::remove_dir_all(to.join("was a folder")).unwrap();
        }
        stage.restore(strategy, &to).expect_code(0);
        let mut found = plainly(&to);
        if strategy == "overwrite" {
            found.retain(|path, _| !path.to_str().unwrap().contains("extra"));
        }
        assert_eq!(plainly(&stage.from()), found, "{strategy}");
    }
    assert_eq!(names_left_behind(&disk), [""; 0]);
}

/// Names that a restore uses for what it builds or keeps for undoing.
fn names_left_behind(root: &Path) -> Vec<String> {
    let names = capture(root).into_keys().map(|p| p.display().to_string());
    names.filter(|n| n.contains(".chronos-restore")).collect()
}

#[test]
fn a_restore_that_fails_on_such_a_file_system_is_undone() {
    let stage = Stage::new(lay);
    let disk = stage.home.join("ntfs");
    let _mounted = Mounted::ntfs(&disk);
    let to = disk.join("to");
    lay_old(&to);
    let before = capture(&to);
    let mut failed = 0;
    for n in 1..100 {
        let ran = stage.restore_failing(&to, &format!("{n}"));
        match ran.code {
            0 => break,
            1 => assert!(ran.stderr.contains("the target is as it was before"), "call {n}: {}", ran.stderr),
            _ => panic!("call {n}: {ran:?}"),
        }
        failed += 1;
        assert_eq!(between(&before, &capture(&to)), [""; 0], "call {n}");
    }
    assert!(failed >= 5, "{failed}");
    assert_eq!(plainly(&stage.from()), plainly(&to));
}

#[test]
fn a_restore_that_cannot_even_be_undone_says_so_and_the_next_one_undoes_it() {
    let stage = Stage::new(lay);
    let disk = stage.home.join("ntfs");
    let _mounted = Mounted::ntfs(&disk);
    let to = disk.join("to");
    lay_old(&to);
    let before = capture(&to);
    let mut not_undone = 0;
    for n in 1..100 {
        let ran = stage.restore_failing(&to, &format!("{n}+"));
        if ran.code == 0 {
            break;
        }
        assert_eq!(ran.code, 1, "call {n}: {ran:?}");
        if ran.stderr.contains("the next restore tries again") {
            not_undone += 1;
            let other = disk.join(format!("elsewhere-{n}"));
            let next = stage.restore("new-location", &other).expect_code(0);
            let told = format!("{}{}", next.stdout, next.stderr);
            assert!(told.contains("An interrupted restore was undone"), "{told}");
        }
        assert_eq!(between(&before, &capture(&to)), [""; 0], "call {n}");
    }
    assert!(not_undone >= 3, "{not_undone}");
}

#[test]
fn a_memory_stick_gets_all_that_it_can_keep_and_the_rest_is_named() {
    let stage = Stage::new(|root| {
        lay(root);
        fs::remove_file(root.join("link")).unwrap();
        fs::write(root.join("one name"), vec![5; 200_000]).unwrap();
        fs::hard_link(root.join("one name"), root.join("other name")).unwrap();
        fs::set_permissions(root.join("changed"), fs::Permissions::from_mode(0o640)).unwrap();
    });
    let disk = stage.home.join("stick");
    let _mounted = Mounted::exfat(&disk);
    for (strategy, with_owner) in [("new-location", false), ("replace", false), ("replace", true)] {
        if with_owner {
            chown(stage.from().join("changed"), Some(1000), Some(1000)).unwrap();
            stage.program.run(["backup", "from"]).expect_code(0);
        }
        let ran = stage.restore(strategy, &disk.join("to")).expect_code(0);
        let told = format!("{}{}", ran.stdout, ran.stderr);
        let wanted =
            if with_owner { "owner could not be set" } else { "mode is not kept by this file system" };
        assert!(told.contains(wanted), "{told}");
        let bytes = |of: &Path| {
            let found = plainly(of).into_iter().map(|(path, c)| (path, (c.kind, c.size, c.content)));
            found.collect::<BTreeMap<_, _>>()
        };
        assert_eq!(bytes(&stage.from()), bytes(&disk.join("to")), "{strategy}");
    }
    // Kinds that it does not know are named, one by one; all else is there.
    symlink("changed", stage.from().join("sub/link")).unwrap();
    stage.program.run(["backup", "from"]).expect_code(0);
    let ran = stage.restore("new-location", &disk.join("partial")).expect_code(3);
    assert!(
        ran.stderr.contains("sub/link: not restored") && ran.stderr.contains("not on this"),
        "{}",
        ran.stderr
    );
    assert_eq!(fs::read(disk.join("partial/other name")).unwrap(), vec![5; 200_000]);
    assert_eq!(names_left_behind(&disk), [""; 0]);
}

#[test]
fn a_file_system_mounted_inside_the_target_is_restored_into() {
    let stage = Stage::new(|root| {
        lay(root);
        fs::write(root.join("one name"), "of two").unwrap();
        fs::hard_link(root.join("one name"), root.join("sub/other name")).unwrap();
        fs::hard_link(root.join("one name"), root.join("third name")).unwrap();
    });
    for strategy in ["replace", "overwrite"] {
        let to = stage.home.join(strategy);
        fs::create_dir_all(to.join("sub")).unwrap();
        let _mounted = Mounted::new(&["-t", "tmpfs", "-o", "size=8m", "tmpfs"], &to.join("sub"));
        lay_old(&to);
        if strategy == "overwrite" {
            fs::remove_dir_all(to.join("was a folder")).unwrap();
            fs::remove_dir_all(to.join("sub/extra folder")).unwrap();
            fs::remove_file(to.join("sub/extra")).unwrap();
        }
        stage.restore(strategy, &to).expect_code(0);
        assert_ne!(fs::metadata(&to).unwrap().dev(), fs::metadata(to.join("sub")).unwrap().dev());
        // A file cannot have names on two file systems; each name has the content, those on one are one file.
        let linked = |line: &&String| !line.contains("other name: linked with");
        let found = differences(&stage.from(), &to);
        assert_eq!(found.iter().filter(linked).count(), 0, "{strategy}: {found:?}");
        assert_eq!(fs::read_to_string(to.join("sub/other name")).unwrap(), "of two");
        assert_eq!(fs::metadata(to.join("one name")).unwrap().nlink(), 2);
    }
}

#[test]
fn what_is_mounted_where_the_snapshot_has_nothing_stays() {
    let stage = Stage::new(lay);
    let to = stage.home.join("to");
    lay_old(&to);
    let at = to.join("mounted");
    let _mounted = Mounted::new(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"], &at);
    fs::write(at.join("kept"), "kept").unwrap();
    let ran = stage.restore("replace", &to).expect_code(0);
    let told = format!("{}{}", ran.stdout, ran.stderr);
    assert!(told.contains("/to/mounted: another file system is mounted there"), "{told}");
    let found = differences(&stage.from(), &to);
    assert_eq!(found, ["mounted: only in the second", "mounted/kept: only in the second"]);
}

#[test]
fn what_is_mounted_where_the_snapshot_has_a_file_stops_a_restore_before_anything_is_changed() {
    let stage = Stage::new(lay);
    let to = stage.home.join("to");
    lay_old(&to);
    let at = to.join("link");
    let _mounted = Mounted::new(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"], &at);
    fs::write(at.join("kept"), "kept").unwrap();
    let before = capture(&to);
    let ran = stage.restore("replace", &to).expect_code(1);
    assert!(ran.stderr.contains("/to/link holds what must not be removed"), "{}", ran.stderr);
    assert_eq!(between(&before, &capture(&to)), [""; 0]);
}

#[test]
fn a_layered_file_system_as_containers_have_it_is_restored_onto() {
    let stage = Stage::new(lay);
    let base = Mounted::new(&["-t", "tmpfs", "-o", "size=16m", "tmpfs"], &stage.home.join("layers"));
    for name in ["lower", "upper", "work"] {
        fs::create_dir(stage.home.join("layers").join(name)).unwrap();
    }
    // Folders of the lower layer cannot be renamed without `redirect_dir`.
    lay_old(&stage.home.join("layers/lower/to"));
    let options = "lowerdir=layers/lower,upperdir=layers/upper,workdir=layers/work,redirect_dir=off"
        .replace("layers", stage.home.join("layers").to_str().unwrap());
    let merged = stage.home.join("merged");
    let mounted = Mounted::new(&["-t", "overlay", "-o", &options, "overlay"], &merged);
    let to = merged.join("to");
    let before = capture(&to);
    let ran = stage.restore("replace", &to).expect_code(1);
    assert!(ran.stderr.contains("sub/extra folder: Invalid cross-device link"), "{}", ran.stderr);
    assert!(ran.stderr.contains("the target is as it was before"), "{}", ran.stderr);
    assert_eq!(between(&before, &capture(&to)), [""; 0]);
    // Without folders of the lower layer in the way all goes well.
    fs::remove_dir_all(to.join("sub/extra folder")).unwrap();
    fs::remove_dir_all(to.join("was a folder")).unwrap();
    stage.restore("replace", &to).expect_code(0);
    assert_eq!(differences(&stage.from(), &to), [""; 0]);
    drop(mounted);
    drop(base);
}
