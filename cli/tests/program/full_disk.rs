//! Disks that are really full: under the repository, the target of a restore, the cache, the state.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::support::{Home, Mounted, noise};

fn small_disk(at: &Path, size: &str) -> Mounted {
    Mounted::new(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], at)
}

/// Writes a file until not one byte more has room.
fn fill(folder: &Path) {
    let mut file = std::fs::File::create(folder.join("filler")).unwrap();
    for len in [1 << 16, 1] {
        while file.write_all(&vec![1; len]).is_ok() {}
    }
    assert_eq!(file.write(b"1").unwrap_err().kind(), std::io::ErrorKind::StorageFull);
}

#[test]
fn a_full_disk_is_freed_by_forgetting_and_pruning() {
    let home = Home::new();
    let disk = home.path("disk");
    let _mounted = small_disk(&disk, "40m");
    let repo = ["-r", "disk/repo"];
    let run = |args: &[&str]| home.run(repo.iter().chain(args));
    run(&["init"]).code(0);
    for seed in [1, 2] {
        home.file("data/noise", &noise(seed, 6 << 20));
        run(&["backup", "data"]).code(0);
    }
    // Gives a prune the chance to set its reserve aside.
    run(&["prune"]).code(0);
    fill(&disk);
    home.file("data/noise", &noise(3, 6 << 20));
    run(&["backup", "data"]).code(1).says("space");
    let ids =
        |n: usize| assert_eq!(run(&["snapshots", "--json"]).code(0).json().as_array().unwrap().len(), n);
    ids(2);
    run(&["verify", "latest"]).code(0);
    run(&["check", "--read-data"]).code(0);
    run(&["forget", "--keep-last", "1"]).code(0);
    ids(1);
    let freed = run(&["prune", "--json"]).code(0).json()["freed_bytes"].as_u64().unwrap();
    assert!(freed > 6 << 20, "{freed}");
    run(&["check", "--read-data"]).code(0);
    std::fs::remove_file(disk.join("filler")).unwrap();
    run(&["backup", "data"]).code(0);
    run(&["check", "--read-data"]).code(0);

    // No more is left than a repository needs that never saw a full disk.
    run(&["prune"]).code(0);
    home.run(["-r", "fresh", "init"]).code(0);
    for seed in [2, 3] {
        home.file("data/noise", &noise(seed, 6 << 20));
        home.run(["-r", "fresh", "backup", "data"]).code(0);
    }
    let [stored, fresh] = ["disk/repo", "fresh"].map(|repo| pack_bytes(&home.path(repo)));
    assert!(stored <= fresh + fresh / 20, "{stored} bytes, not {fresh}");
}

/// Packs with their sizes.
fn packs(repository: &Path) -> Vec<(u64, PathBuf)> {
    let sessions = std::fs::read_dir(repository.join("packs")).unwrap();
    let packs = sessions.flat_map(|session| std::fs::read_dir(session.unwrap().path()).unwrap());
    packs.map(|pack| pack.unwrap()).map(|pack| (pack.metadata().unwrap().len(), pack.path())).collect()
}

fn pack_bytes(repository: &Path) -> u64 {
    packs(repository).iter().map(|(size, _)| size).sum()
}

#[test]
fn a_check_tells_of_damage_that_it_has_no_room_to_note() {
    let home = Home::new();
    let disk = home.path("disk");
    let _mounted = small_disk(&disk, "4m");
    let run = |args: &[&str]| home.run(["-r", "disk/repo"].iter().chain(args));
    run(&["init"]).code(0);
    home.file("data/file", &noise(1, 100_000));
    run(&["backup", "data"]).code(0);
    let (_, greatest) = packs(&disk.join("repo")).into_iter().max().unwrap();
    let pack = OpenOptions::new().read(true).write(true).open(greatest).unwrap();
    let mut byte = [0];
    pack.read_exact_at(&mut byte, 200).unwrap();
    pack.write_all_at(&[byte[0] ^ 1], 200).unwrap();
    // Kept for what must be written even then.
    std::fs::remove_file(disk.join("repo/.tmp/reserve")).unwrap();
    fill(&disk);

    let told = run(&["check", "--read-data"]).code(4);
    assert!(told.stdout.contains("packs/") && told.stderr.contains("not noted"), "{told:?}");
    std::fs::remove_file(disk.join("filler")).unwrap();
    run(&["check", "--read-data"]).code(4);
    assert_eq!(run(&["snapshots", "--json"]).code(0).json()[0]["status"], "corrupted");
}

#[test]
fn a_restore_onto_a_full_disk_is_undone() {
    let home = Home::new();
    home.file("data/a", b"of the snapshot");
    home.file("data/noise", &noise(1, 6 << 20));
    home.run(["backup", "data"]).code(0);
    let disk = home.path("disk");
    let _mounted = small_disk(&disk, "4m");
    let part = format!("latest:/{}", home.inside("data"));
    home.run(["restore", &part, "--to", "disk/new"]).code(1).says("space");
    assert_eq!(std::fs::read_dir(&disk).unwrap().count(), 0);
    home.file("disk/old/a", b"of today");
    let ran = home.run(["restore", &part, "--to", "disk/old", "--strategy", "replace", "--no-restore-point"]);
    ran.code(1).says("space").says("the target is as it was before");
    assert_eq!(std::fs::read_dir(disk.join("old")).unwrap().count(), 1);
    assert_eq!(std::fs::read(disk.join("old/a")).unwrap(), b"of today");
}

#[test]
fn a_full_disk_under_the_cache_stops_nothing() {
    let home = Home::with_snapshot();
    let cache = home.path("cache");
    let _mounted = small_disk(&cache, "1m");
    fill(&cache);
    for n in 0..3 {
        home.file("data/n", &[n]);
        home.run(["backup", "data", "--cache-dir", "cache"]).code(0);
        home.run(["snapshots", "--cache-dir", "cache"]).code(0);
    }
    home.run(["check", "--read-data", "--cache-dir", "cache"]).code(0);
    home.run(["restore", "latest", "--to", "out", "--cache-dir", "cache"]).code(0);
    assert_eq!(home.snapshots().len(), 4);
    home.is_sound();
}

#[test]
fn a_full_disk_under_the_state_is_named_and_reading_goes_on() {
    let home = Home::with_snapshot();
    let state = home.path(".local/state/chronos");
    std::fs::remove_dir_all(&state).unwrap();
    let _mounted = small_disk(&state, "1m");
    fill(&state);
    home.file("data/new", b"new");
    home.run(["backup", "data"]).code(1).says(".local/state/chronos").says("No space left");
    assert_eq!(home.snapshots().len(), 1);
    home.run(["snapshots"]).code(0);
    home.run(["verify", "latest"]).code(0);
    home.run(["check", "--read-data"]).code(0);
    std::fs::remove_file(state.join("filler")).unwrap();
    home.run(["backup", "data"]).code(0);
    home.is_sound();
}
