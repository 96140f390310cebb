//! Restores over what is there, and the way back.

use std::fs;

use crate::support::Home;

/// Everything below a folder: path, kind, content.
fn state(home: &Home, folder: &str) -> Vec<String> {
    let list = "find \"$1\" -printf '%P %y %m %T@\\n' -type f -exec cat {} + | sort";
    let path = home.path(folder);
    let out = std::process::Command::new("sh").args(["-c", list, "sh"]).arg(path).output().unwrap();
    String::from_utf8_lossy(&out.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn a_restore_point_has_the_roots_of_what_is_restored_and_brings_it_back_exactly() {
    let home = Home::with_snapshot();
    let root = home.path("data").display().to_string();
    home.file("data/a.txt", b"changed since\n");
    home.file("data/new/later.txt", b"later\n");
    fs::remove_file(home.path("data/sub/b.json")).unwrap();
    let before = state(&home, "data");
    for strategy in ["overwrite", "replace"] {
        let args = ["restore", "latest", "--strategy", strategy, "--json"];
        let answer = home.run(args).code(0).json();
        let point = answer["restore_point"].as_str().unwrap().to_owned();
        let rows = home.run(["snapshots", "--json"]).code(0).json();
        let row = rows.as_array().unwrap().iter().find(|r| r["backup_id"] == point.as_str()).unwrap();
        assert_eq!(row["paths"], serde_json::json!([root]), "{row}");
        assert_ne!(state(&home, "data"), before);
        home.run(["restore", &point, "--strategy", "replace", "--no-restore-point"]).code(0);
        assert_eq!(state(&home, "data"), before, "after {strategy}");
    }
}

#[test]
fn a_restore_point_of_a_part_or_of_another_place_holds_that() {
    let home = Home::with_snapshot();
    let inside = home.inside("data");
    home.file("data/sub/b.json", b"other");
    let file = format!("latest:{inside}/sub/b.json");
    let answer = home.run(["restore", &file, "--strategy", "overwrite", "--json"]).code(0).json();
    let point = answer["restore_point"].as_str().unwrap().to_owned();
    let paths = |point: &str| {
        let rows = home.run(["snapshots", "--json"]).code(0).json();
        rows.as_array().unwrap().iter().find(|r| r["backup_id"] == point).unwrap()["paths"].clone()
    };
    assert_eq!(paths(&point), serde_json::json!([format!("/{inside}/sub/b.json")]));
    let args = ["restore", "latest", "--strategy", "overwrite", "--include", "sub", "--json"];
    let answer = home.run(args).code(0).json();
    let point = answer["restore_point"].as_str().unwrap().to_owned();
    assert_eq!(paths(&point), serde_json::json!([format!("/{inside}/sub")]));

    home.file("other/a.txt", b"stands here");
    home.file("other/more/extra.txt", b"too");
    let before = state(&home, "other");
    let from = format!("latest:{inside}");
    let args = ["restore", &from, "--strategy", "replace", "--to", "other", "--json"];
    let answer = home.run(args).code(0).json();
    let point = answer["restore_point"].as_str().unwrap().to_owned();
    assert_eq!(paths(&point), serde_json::json!([home.path("other").display().to_string()]));
    home.run(["restore", &point, "--strategy", "replace"]).code(0);
    assert_eq!(state(&home, "other"), before);
}

#[test]
fn a_state_before_a_rollback_is_not_what_a_backup_is_compared_with() {
    let home = Home::with_snapshot();
    home.file("data/a.txt", b"changed since\n");
    let changed = state(&home, "data");
    let answer = home.run(["restore", "latest", "--strategy", "overwrite", "--json"]).code(0).json();
    let point = answer["restore_point"].as_str().unwrap().to_owned();
    home.run(["restore", &point, "--strategy", "overwrite", "--no-restore-point"]).code(0);
    assert_eq!(state(&home, "data"), changed);
    let answer = home.run(["backup", "data", "--skip-if-unchanged", "--json"]).code(0).json();
    assert_eq!(answer["status"], "completed", "{answer}");
}
