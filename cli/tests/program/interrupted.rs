//! SIGINT, SIGTERM and SIGHUP in the middle of files: no snapshot, the documented code, and nothing stored twice.

use crate::support::{Home, noise};
use crate::traced::Traced;

const FILES: u8 = 6;
const LEN: usize = 4 << 20;

fn interrupted_by(signal: &str) {
    let home = Home::with_snapshot();
    for n in 0..FILES {
        home.file(&format!("big/{n}"), &noise(n, LEN));
    }
    let last = home.path(&format!("big/{}", FILES - 1));
    let ran = Traced::start(&home, &last, signal, "2", &["backup", "big", "--json"]).finish();
    assert_eq!(ran.code, 130, "{signal}: {ran:?}");
    let document = ran.json();
    assert_eq!(
        (&document["exit_code"], &document["status"]),
        (&130.into(), &"interrupted".into()),
        "{document}"
    );
    assert_eq!(home.snapshots().len(), 1, "{signal}");
    home.is_sound();
    let next = home.run(["backup", "big", "--json"]).code(0).json();
    assert_eq!((&next["status"], &next["files_new"]), (&"completed".into(), &FILES.into()));
    let added = next["bytes_added"].as_u64().unwrap();
    let total = u64::from(FILES) * LEN as u64;
    assert!(added < total / 2, "{signal}: {added} of {total} bytes were stored again");
    home.run(["restore", &format!("latest:/{}", home.inside("big")), "--to", "out"]).code(0);
    for n in 0..FILES {
        assert!(std::fs::read(home.path(&format!("out/{n}"))).unwrap() == noise(n, LEN), "{n}");
    }
    home.is_sound();
}

#[test]
fn ctrl_c_while_files_are_read() {
    interrupted_by("SIGINT");
}

#[test]
fn a_shutdown_while_files_are_read() {
    interrupted_by("SIGTERM");
}

#[test]
fn a_closed_terminal_while_files_are_read() {
    interrupted_by("SIGHUP");
}

/// A home with a snapshot of files that fill a pack, and that pack.
fn with_a_big_pack() -> (Home, std::path::PathBuf) {
    let home = Home::new();
    for n in 0..FILES {
        home.file(&format!("big/{n}"), &noise(n, LEN));
    }
    home.run(["backup", "big"]).code(0);
    let pack = home.packs().into_iter().max_by_key(|p| std::fs::metadata(p).unwrap().len()).unwrap();
    (home, pack)
}

#[test]
fn ctrl_c_during_a_restore_leaves_the_target_as_it_was() {
    let (home, _) = with_a_big_pack();
    let part = format!("latest:/{}", home.inside("big"));
    home.file("old/0", b"of today");
    for (to, strategy) in [("new", "new-location"), ("old", "replace")] {
        let args = ["restore", &part, "--to", to, "--strategy", strategy, "--no-restore-point"];
        // With the second record of its journal, which one thread writes, a restore begins to build. Packs are read by
        // several, and a second signal would end the program at once.
        let ran = Traced::signalled_at(&home, "fdatasync", 2, "SIGINT", &args).finish().code(130);
        assert!(ran.stderr.contains("the target is as it was before"), "{}", ran.stderr);
    }
    assert!(!home.path("new").exists());
    assert_eq!(std::fs::read_dir(home.path("old")).unwrap().count(), 1);
    assert_eq!(std::fs::read(home.path("old/0")).unwrap(), b"of today");
    home.run(["restore", &part, "--to", "old", "--strategy", "replace"]).code(0);
    assert!(std::fs::read(home.path("old/0")).unwrap() == noise(0, LEN));
}

#[test]
fn ctrl_c_during_an_export_leaves_no_file_that_looks_whole() {
    let (home, pack) = with_a_big_pack();
    let names = || -> Vec<_> {
        let entries = std::fs::read_dir(home.path("")).unwrap().map(|e| e.unwrap().file_name());
        entries.filter(|name| !name.as_encoded_bytes().starts_with(b".")).collect()
    };
    let before = names();
    Traced::start(&home, &pack, "SIGINT", "3", &["export", "latest", "-o", "all.tar"]).finish().code(130);
    std::fs::remove_file(home.path("trace")).unwrap();
    assert!(!home.path("all.tar").exists());
    assert_eq!(names(), before);
    home.run(["export", "latest", "-o", "all.tar"]).code(0);
}

#[test]
fn ctrl_c_while_everything_is_read_says_nothing_about_damage() {
    let (home, pack) = with_a_big_pack();
    for args in [&["check", "--read-data"][..], &["verify", "latest"]] {
        let ran = Traced::start(&home, &pack, "SIGINT", "3", args).finish().code(130);
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("amage"), "{ran:?}");
    }
    assert_eq!(home.run(["snapshots", "--json"]).json()[0]["status"], "completed");
    home.run(["verify", "latest"]).code(0);
    home.is_sound();
}
