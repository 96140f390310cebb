//! Loss of power while a repository is made, a key added and another one removed: somebody can open it at each moment,
//! and a key that was reported as removed opens nothing any more.

use super::examine::Stage;
use super::recording::Recording;
use super::{Luck, images};
use crate::support::Home;

/// How many images are tried when time is short.
const SHORT: usize = 70;

#[test]
fn after_a_loss_of_power_keys_are_as_was_reported() {
    let home = Home::new();
    let mut recording = Recording::new(&home);
    let (ran, made) = recording.run(&["init"]);
    ran.code(0);
    let keys = home.path(".config/chronos/keys");
    let first = std::fs::read_dir(&keys).unwrap().next().unwrap().unwrap().path().display().to_string();
    let second = keys.join("second.key").display().to_string();
    let slot = home.run(["keys", "list", "--json"]).json()[0]["slot"].as_str().unwrap().to_owned();
    let (ran, added) = recording.run(&["keys", "add", "--new-key-file", &second]);
    ran.code(0);
    let (ran, removed) = recording.run(&["keys", "remove", &slot]);
    ran.code(0);

    let disk = recording.disk;
    let told = [made.told, added.told, removed.began, removed.told];
    let stage = Stage::new(&home);
    for (now, luck) in images(&disk, &told, SHORT) {
        stage.lay_out(&luck.image(&disk, now), luck.restarts());
        let at = format!("{luck:?} at {now} of {told:?}");
        let code = |args: &[&str]| stage.ran(args).code;
        if now >= made.told {
            assert_eq!(code(&["snapshots"]), 0, "{at}");
        }
        if now >= made.told && now < removed.began {
            assert_eq!(code(&["snapshots", "--key-file", &first]), 0, "{at}");
        }
        if now >= added.told {
            assert_eq!(code(&["snapshots", "--key-file", &second]), 0, "{at}");
        }
        if now >= removed.told {
            assert_eq!(code(&["snapshots", "--key-file", &first]), 12, "{at}");
        }
        home.file("data/a", b"1");
        assert_eq!(code(&["backup", "data"]), 0, "{at}");
        assert_eq!(code(&["check", "--read-data"]), 0, "{at}");
    }
}

#[test]
fn a_removed_key_whose_removal_is_not_synced_would_be_missed() {
    let luck = Luck::Lost;
    let home = Home::new();
    let mut recording = Recording::new(&home);
    recording.run(&["init"]).0.code(0);
    let slot = home.run(["keys", "list", "--json"]).json()[0]["slot"].as_str().unwrap().to_owned();
    recording.run(&["keys", "add", "--new-key-file", "second.key"]).0.code(0);
    let (ran, removed) = recording.run(&["keys", "remove", &slot, "--key-file", "second.key"]);
    ran.code(0);
    let stage = Stage::new(&home);
    let first = |disk: &super::Disk| {
        stage.lay_out(&luck.image(disk, removed.told), true);
        stage.ran(&["snapshots"]).code
    };
    assert_eq!(first(&recording.disk), 12);
    let unsynced = recording.disk.without_syncs_since(removed.began);
    assert_eq!(first(&unsynced), 0, "the key is back");
}
