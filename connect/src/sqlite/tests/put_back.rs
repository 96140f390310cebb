//! Databases that come back, and what is left if they do not.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use super::*;
use crate::error::{Error, Result};
use crate::process::Process;
use crate::sqlite::{Check, Kept, PutBack, put_back};

fn options(stage: &Stage) -> PutBack {
    PutBack {
        database: stage.live(),
        size: 0,
        attributes: None,
        stop: Some(told(stage, "stop", "")),
        start: Some(told(stage, "start", "")),
        kept: Kept::Nothing,
        check: Check::Full,
        required: Vec::new(),
    }
}

/// A command that writes down that it ran.
fn told(stage: &Stage, word: &str, more: &str) -> Process {
    let log = stage.scratch().join("log");
    fs::create_dir_all(stage.scratch()).unwrap();
    Process::new(["sh".to_owned(), "-c".to_owned(), format!("echo {word} >> {}; {more}", log.display())])
}

fn log(stage: &Stage) -> String {
    fs::read_to_string(stage.scratch().join("log")).unwrap_or_default().replace('\n', " ")
}

fn content(bytes: &[u8]) -> impl FnOnce(&mut dyn io::Write) -> Result<()> {
    move |w| w.write_all(bytes).map_err(|e| Error::file("x", e))
}

/// A live database that has changed since it was read; and what was read.
fn changed(journal: &str) -> (Stage, Vec<u8>) {
    let stage = Stage::new(journal, 300);
    let bytes = stage.read();
    add(&stage.connect(), 50);
    (stage, bytes)
}

#[test]
fn a_database_comes_back_as_it_was_with_its_owner_and_mode() {
    for journal in ["wal", "delete"] {
        let (stage, bytes) = changed(journal);
        fs::set_permissions(stage.live(), fs::Permissions::from_mode(0o660)).unwrap();
        if rustix::process::getuid().is_root() {
            chown(stage.live(), Some(1234), Some(4321)).unwrap();
        }
        let before = fs::metadata(stage.live()).unwrap();
        let report = put_back(&options(&stage), content(&bytes)).unwrap();
        assert_eq!((report.old, report.checked.tables.len()), (None, 2));
        let now = fs::metadata(stage.live()).unwrap();
        assert_eq!((now.mode(), now.uid(), now.gid()), (before.mode(), before.uid(), before.gid()));
        assert_eq!(
            (stage.names(), log(&stage)),
            (vec!["agents.sqlite".to_owned()], "stop start ".to_owned())
        );
        assert!(fs::read(stage.live()).unwrap() == bytes);
        assert_eq!(count(&stage.connect()), (300, 300), "{journal}");
    }
}

/// A process died with part of its work in the log alone: SQLite would apply that to the database that takes its place.
#[test]
fn the_log_of_the_old_one_never_gets_into_the_new_one() {
    let (stage, bytes) = changed("wal");
    let writer = stage.connect();
    writer.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    add(&writer, 100);
    let (database, wal) =
        (fs::read(stage.live()).unwrap(), fs::read(stage.dir.path().join("agents.sqlite-wal")).unwrap());
    drop(writer);
    fs::write(stage.live(), database).unwrap();
    fs::write(stage.dir.path().join("agents.sqlite-wal"), wal).unwrap();
    let report = put_back(&PutBack { kept: Kept::Old, ..options(&stage) }, content(&bytes)).unwrap();
    assert_eq!(count(&stage.connect()), (300, 300));
    assert_eq!(count(&Connection::open(report.old.unwrap()).unwrap()), (450, 450));
}

#[test]
fn a_damaged_live_database_is_replaced_and_its_log_goes_with_it() {
    let (stage, bytes) = changed("wal");
    fs::write(stage.live(), vec![1; 4096]).unwrap();
    fs::write(stage.dir.path().join("agents.sqlite-wal"), vec![2; 500]).unwrap();
    put_back(&options(&stage), content(&bytes)).unwrap();
    assert_eq!((stage.names(), count(&stage.connect())), (vec!["agents.sqlite".to_owned()], (300, 300)));
}

#[test]
fn a_database_that_is_gone_comes_back() {
    let (stage, bytes) = changed("wal");
    fs::remove_file(stage.live()).unwrap();
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    put_back(&PutBack { attributes: Some((0o640, uid, gid)), ..options(&stage) }, content(&bytes)).unwrap();
    assert_eq!(fs::metadata(stage.live()).unwrap().mode() & 0o777, 0o640);
    assert_eq!(count(&stage.connect()), (300, 300));
}

#[test]
fn what_is_damaged_or_lacks_a_table_is_not_swapped_in() {
    let (stage, bytes) = changed("wal");
    let before = fs::read(stage.live()).unwrap();
    let cut = put_back(&options(&stage), content(&bytes[..bytes.len() / 2])).unwrap_err();
    assert!(cut.to_string().contains("damaged") || cut.to_string().contains("malformed"), "{cut}");
    let lacking = PutBack { required: vec!["users".into()], ..options(&stage) };
    let said = put_back(&lacking, content(&bytes)).unwrap_err().to_string();
    assert!(said.contains("users") && said.contains("nothing was changed"), "{said}");
    let unread = put_back(&options(&stage), |_| Err(Error::Invalid("not readable".into()))).unwrap_err();
    assert_eq!(unread.to_string(), "not readable");
    assert!(fs::read(stage.live()).unwrap() == before && stage.names() == ["agents.sqlite"]);
    assert_eq!(log(&stage), "", "nobody was stopped");
}

#[test]
fn a_database_that_is_still_in_use_is_left_alone_and_its_users_are_started() {
    for journal in ["wal", "delete"] {
        let (stage, bytes) = changed(journal);
        let user = stage.connect();
        user.execute_batch("BEGIN IMMEDIATE").unwrap();
        let said = put_back(&options(&stage), content(&bytes)).unwrap_err().to_string();
        assert!(said.contains("still in use") && said.contains("as it was before"), "{said}");
        assert_eq!(log(&stage), "stop start ");
        user.execute_batch("COMMIT").unwrap();
        assert_eq!(count(&user), (350, 350));
    }
}

#[test]
fn what_cannot_be_stopped_is_not_touched_and_started_all_the_same() {
    let (stage, bytes) = changed("wal");
    let options = PutBack { stop: Some(told(&stage, "stop", "exit 7")), ..options(&stage) };
    let said = put_back(&options, content(&bytes)).unwrap_err().to_string();
    assert!(said.contains("exit status: 7"), "{said}");
    assert_eq!((log(&stage), count(&stage.connect())), ("stop start ".to_owned(), (350, 350)));
}

#[test]
fn if_its_users_do_not_start_with_the_new_one_the_old_one_comes_back() {
    let (stage, bytes) = changed("wal");
    let more = format!("[ $(grep -c start {}) = 2 ]", stage.scratch().join("log").display());
    let options = PutBack { start: Some(told(&stage, "start", &more)), ..options(&stage) };
    let said = put_back(&options, content(&bytes)).unwrap_err().to_string();
    assert!(said.contains("as it was before"), "{said}");
    assert_eq!(log(&stage), "stop start stop start ");
    assert_eq!((stage.names(), count(&stage.connect())), (vec!["agents.sqlite".to_owned()], (350, 350)));
}
