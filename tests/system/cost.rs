//! What things cost, in counts: packs, objects, chunks.

use std::fs;
use std::path::{Path, PathBuf};

use chronos_tests::Program;

/// All objects of a repository on disk.
fn objects(repository: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![repository.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found
}

fn of(objects: &[PathBuf], repository: &Path, area: &str) -> usize {
    objects.iter().filter(|p| p.starts_with(repository.join(area))).count()
}

fn many_files(folder: &Path, count: usize) {
    for i in 0..count {
        let place = folder.join(format!("{:03}", i / 1000));
        if i % 1000 == 0 {
            fs::create_dir_all(&place).unwrap();
        }
        fs::write(place.join(format!("{i:06}.json")), format!("{{\"number\": {i}}}")).unwrap();
    }
}

#[test]
fn an_unchanged_backup_writes_no_pack_and_one_small_object() {
    let scratch = tempfile::tempdir().unwrap();
    many_files(scratch.path(), 3000);
    let program = Program::with_repository();
    let backup =
        || program.run([Path::new("backup"), Path::new("--json"), scratch.path()]).expect_code(0).json();
    backup();
    let before = objects(program.repository());
    let report = backup();
    let after = objects(program.repository());
    assert_eq!(report["packs_written"], 0);
    assert_eq!(report["chunks_new"], 0);
    assert_eq!(report["status"], "unchanged");
    let new: Vec<_> = after.iter().filter(|p| !before.contains(p)).collect();
    // The decision, and the empty claim on the name.
    assert_eq!(of(&after, program.repository(), "snap"), 2);
    assert_eq!(of(&after, program.repository(), "packs"), of(&before, program.repository(), "packs"));
    let bytes: u64 = new.iter().map(|p| p.metadata().unwrap().len()).sum();
    assert!(new.len() <= 2 && bytes < 4096, "{bytes} bytes in {new:?}");
}

#[test]
fn one_changed_file_of_100_000_writes_one_pack() {
    let scratch = tempfile::tempdir().unwrap();
    many_files(scratch.path(), 100_000);
    let program = Program::with_repository();
    let backup =
        || program.run([Path::new("backup"), Path::new("--json"), scratch.path()]).expect_code(0).json();
    backup();
    fs::write(scratch.path().join("050/050000.json"), "changed").unwrap();
    let report = backup();
    assert_eq!(report["packs_written"], 1);
    assert_eq!(report["files_changed"], 1);
    assert_eq!(report["files_unmodified"], 99_999);
    // The content, and one leaf and its parents, two chunks each.
    assert!(report["chunks_new"].as_u64().unwrap() <= 9, "{report}");
}

#[test]
fn no_change_costs_no_reading_of_files() {
    let scratch = tempfile::tempdir().unwrap();
    many_files(scratch.path(), 100);
    let program = Program::with_repository();
    let backup =
        || program.run([Path::new("backup"), Path::new("--json"), scratch.path()]).expect_code(0).json();
    backup();
    let report = backup();
    assert_eq!(report["files_unmodified"], 100);
    assert_eq!(report["files_changed"], 0);
    assert_eq!(report["files_new"], 0);
}

/// What one backup of `folder` asks the disk to make durable, as the kernel sees it: paths below the repository.
fn synced(program: &Program, folder: &Path) -> Vec<String> {
    let trace = program.home().join("trace");
    let calls = "trace=fsync,fdatasync,syncfs,sync,sync_file_range,msync";
    let strace =
        ["strace", "-f", "-y", "-qq", "-e", calls, "-e", "signal=none", "-o", trace.to_str().unwrap()];
    let command = program.command_under(&strace, [Path::new("backup"), folder]).spawn().unwrap();
    Program::finish(command).expect_code(0);
    let text = fs::read_to_string(trace).unwrap();
    let above = program.home().canonicalize().unwrap();
    let mut found: Vec<_> = text
        .lines()
        .filter(|line| line.contains("sync"))
        .map(|line| line.split(['<', '>']).nth(1).unwrap_or(line).replace(above.to_str().unwrap(), "~"))
        .collect();
    for path in &mut found {
        // Names that differ from run to run.
        for part in ["/packs/", "/.tmp/", "/index/m-"] {
            if let Some(at) = path.find(part) {
                let rest = path[at + part.len()..].matches('/').count();
                *path = format!("{}{part}{}", &path[..at], ["*", "*/*"][rest]);
            }
        }
    }
    found.sort();
    found
}

/// What a backup after a change of one file of `folder` waits for.
fn after_change(program: &Program, folder: &Path, version: usize) -> Vec<String> {
    fs::write(folder.join("000/000007.json"), format!("changed {version}")).unwrap();
    synced(program, folder)
}

/// The numbers are named in `docs/operations.md`.
#[test]
fn a_small_snapshot_waits_for_the_disk_five_times_if_nothing_changed_and_eight_times_if_a_file_did() {
    let scratch = tempfile::tempdir().unwrap();
    many_files(scratch.path(), 30);
    let program = Program::with_repository();
    // The first one makes folders, the second the catalogue of what the first has written.
    synced(&program, scratch.path());
    synced(&program, scratch.path());
    // The folder of decisions is synced whoever wrote there last: one of another process may rest in memory only.
    let unchanged = ["~", "~/repository", "~/repository/.tmp/*"];
    let unchanged = [&unchanged[..], &["~/repository/snap"; 2]].concat();
    assert_eq!(synced(&program, scratch.path()), unchanged);
    let packs = ["~/repository/packs", "~/repository/packs/*", "~/repository/packs/*/*"];
    let mut changed = [&unchanged[..], &packs].concat();
    changed.sort_unstable();
    assert_eq!(after_change(&program, scratch.path(), 0), changed);
    assert_eq!((unchanged.len(), changed.len()), (5, 8));
}

#[test]
fn a_small_snapshot_waits_for_the_disk_eighteen_times_if_it_tidies_up_and_nine_times_after_that() {
    let scratch = tempfile::tempdir().unwrap();
    many_files(scratch.path(), 30);
    let program = Program::with_repository();
    for version in 1..64 {
        fs::write(scratch.path().join("000/000007.json"), format!("changed {version}")).unwrap();
        program.run([Path::new("backup"), scratch.path()]).expect_code(0);
    }
    let of_repository = |paths: &[&str]| -> Vec<_> {
        let mut paths: Vec<_> = paths.iter().map(|p| format!("~/repository{p}")).collect();
        paths.push("~".to_owned());
        paths.sort();
        paths
    };
    let snapshot = ["", "/.tmp/*", "/packs", "/packs/*", "/packs/*/*", "/snap", "/snap"];
    // The tables of contents of all 64 become a run, and that is recorded. The folders of runs, states and records are new.
    let merge = ["/index/m-*", "/index", "", "/snap"];
    let record = ["/.tmp/*", "/state", "", "/.tmp/*", "/log", ""];
    let tidying = of_repository(&[&snapshot[..], &merge, &record].concat());
    assert_eq!(after_change(&program, scratch.path(), 64), tidying);
    let later = of_repository(&[&snapshot[..], &["/log"]].concat());
    for version in 65..67 {
        assert_eq!(after_change(&program, scratch.path(), version), later);
    }
    assert_eq!((tidying.len(), later.len()), (18, 9));
}

#[test]
fn what_a_killed_backup_left_in_memory_is_synced_before_another_relies_on_it() {
    let scratch = tempfile::tempdir().unwrap();
    many_files(scratch.path(), 30);
    let program = Program::with_repository();
    synced(&program, scratch.path());
    fs::write(scratch.path().join("000/000007.json"), "changed").unwrap();
    // At the first wait for bytes of a file the pack has its name already.
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync"];
    let strace = [&strace[..], &["-e", "inject=fdatasync:signal=SIGKILL:when=1"]].concat();
    let command = program.command_under(&strace, [Path::new("backup"), scratch.path()]).spawn().unwrap();
    assert_eq!(Program::finish(command).code, -1);
    let found = synced(&program, scratch.path());
    assert_eq!(found.iter().filter(|p| *p == "~/repository/packs/*/*").count(), 1, "{found:?}");
    assert_eq!(found.iter().filter(|p| *p == "~/repository/packs/*").count(), 1, "{found:?}");
}
