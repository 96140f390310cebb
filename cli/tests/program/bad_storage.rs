//! Storage that is full, read-only or damaged.

use std::process::Command;

use crate::support::{Home, Mounted, noise};

#[test]
fn a_full_disk_ends_the_backup_and_keeps_what_was_there() {
    let home = Home::new();
    home.file("small/a", b"small");
    home.file("big/noise", &noise(0, 6 << 20));
    let disk = home.path("disk");
    let _mounted = Mounted::new(&["-t", "tmpfs", "-o", "size=3m", "tmpfs"], &disk);
    let repo = disk.join("repo");
    let repo = repo.to_str().unwrap();
    home.run(["-r", repo, "init"]).code(0);
    home.run(["-r", repo, "backup", "small"]).code(0);
    let ran = home.run(["-r", repo, "backup", "big"]).code(1);
    assert!(ran.stderr.contains("space") && ran.stderr.contains("are whole"), "{}", ran.stderr);
    let rows = home.run(["-r", repo, "snapshots", "--json"]).code(0).json();
    assert_eq!(rows.as_array().unwrap().len(), 1);
    home.run(["-r", repo, "verify", "latest"]).code(0);
}

#[test]
fn read_only_media_can_be_listed_restored_and_checked() {
    let home = Home::new();
    home.file("data/a.txt", b"first\n");
    let repo = home.path("media/repo");
    let repo = repo.to_str().unwrap();
    home.run(["-r", repo, "init"]).code(0);
    home.run(["-r", repo, "backup", "data"]).code(0);
    let media = home.path("media");
    let _bound = Mounted::new(&["--bind", media.to_str().unwrap()], &media);
    let status = Command::new("mount").args(["-o", "remount,ro,bind"]).arg(&media).status().unwrap();
    assert!(status.success());
    home.run(["-r", repo, "snapshots"]).code(0);
    home.run(["-r", repo, "ls", "-lR", "latest"]).code(0);
    home.run(["-r", repo, "verify", "latest"]).code(0);
    home.run(["-r", repo, "check", "--read-data"]).code(0);
    home.run(["-r", repo, "restore", "latest", "--to", "out"]).code(0);
    let back = home.path("out").join(home.inside("data/a.txt"));
    assert_eq!(std::fs::read(back).unwrap(), b"first\n");
    let ran = home.run(["-r", repo, "backup", "data"]).code(1);
    assert!(ran.stderr.to_lowercase().contains("read-only"), "{}", ran.stderr);
}

#[test]
fn what_is_readable_of_a_damaged_snapshot_is_saved() {
    let home = Home::new();
    home.file("data/a.txt", b"first\n");
    home.run(["backup", "data"]).code(0);
    home.file("data/noise", &noise(0, 3 << 20));
    home.run(["backup", "data"]).code(0);
    let pack = home.packs().into_iter().max_by_key(|p| std::fs::metadata(p).unwrap().len()).unwrap();
    damage(&pack);
    let answer = home.run(["repair", "snapshots", "--json"]).code(4).json();
    assert_eq!(answer["actions"].as_array().unwrap().len(), 1, "{answer}");
    let rows = home.run(["snapshots", "--json"]).code(0).json();
    assert_eq!(rows.as_array().unwrap().len(), 3, "the damaged one stays");
    let saved = rows.as_array().unwrap().iter().find(|r| r["status"] == "partial").unwrap();
    let saved = saved["backup_id"].as_str().unwrap();
    home.run(["restore", saved, "--to", "out"]).code(0);
    assert!(home.path("out").join(home.inside("data/a.txt")).exists());
}

fn damage(pack: &std::path::Path) {
    let mut bytes = std::fs::read(pack).unwrap();
    for byte in &mut bytes[100..160] {
        *byte ^= 0x55;
    }
    std::fs::remove_file(pack).unwrap();
    std::fs::write(pack, &bytes).unwrap();
}

#[test]
fn damage_is_found_named_and_ends_with_4() {
    let home = Home::with_snapshot();
    damage(home.packs().first().unwrap());
    let ran = home.run(["check", "--read-data", "--json"]).code(4);
    let document = ran.json();
    assert_eq!(document["status"], "damaged");
    assert!(!document["errors"].as_array().unwrap().is_empty());
    let verified = home.run(["verify", &home.snapshots()[0], "--json"]);
    assert_eq!(verified.code, 4, "{verified:?}");
}
