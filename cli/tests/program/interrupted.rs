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
