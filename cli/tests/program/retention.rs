//! Forgetting, bringing back, holding, tagging, rewriting, pruning.

use crate::support::Home;

fn three(home: &Home) -> Vec<String> {
    for (n, day) in ["2026-01-01", "2026-01-02", "2026-01-03"].iter().enumerate() {
        home.file("data/n", n.to_string().as_bytes());
        home.run(["backup", "data", "--time", &format!("{day}T12:00:00Z")]).code(0);
    }
    home.snapshots()
}

#[test]
fn forget_says_why_and_undelete_brings_back_until_a_prune() {
    let home = Home::new();
    let ids = three(&home);
    let plan = home.run(["forget", "--keep-last", "1", "--dry-run", "--json"]).code(0).json();
    assert_eq!(plan["kept"].as_array().unwrap().len(), 1);
    assert_eq!(plan["removed"].as_array().unwrap().len(), 2);
    for list in ["kept", "removed"] {
        for row in plan[list].as_array().unwrap() {
            assert!(!row["reasons"].as_array().unwrap().is_empty() && row["backup_id"].is_string());
            assert!(row["snapshot"].is_string() && row["created_at"].is_string());
        }
    }
    assert_eq!(home.snapshots().len(), 3, "a dry run removes nothing");
    home.run(["forget", "--keep-last", "1"]).code(0);
    assert_eq!(home.snapshots(), [ids[0].clone()]);
    home.run(["undelete", &ids[1]]).code(0);
    assert_eq!(home.snapshots().len(), 2);
    home.run(["prune"]).code(0);
    home.run(["undelete", &ids[2]]).code(1);
    assert_eq!(home.snapshots().len(), 2);
    home.is_sound();
}

#[test]
fn what_a_check_found_damaged_is_no_good_snapshot_until_it_is_verified() {
    let home = Home::new();
    three(&home);
    let before = home.packs();
    home.file("data/new", &crate::support::noise(7, 300_000));
    home.run(["backup", "data", "--time", "2026-01-04T12:00:00Z"]).code(0);
    let ids = home.snapshots();
    let pack = home.packs().into_iter().find(|pack| !before.contains(pack)).unwrap();
    let aside = pack.with_extension("aside");
    std::fs::rename(&pack, &aside).unwrap();
    home.run(["check"]).code(4);
    home.run(["forget", "--keep-last", "1"]).code(0);
    assert!(home.snapshots().contains(&ids[1]), "the newest that is whole stays");
    std::fs::rename(&aside, &pack).unwrap();
    home.run(["check", "--read-data"]).code(0);
    let damaged = |home: &Home| {
        let rows = home.run(["snapshots", "--json"]).code(0).json();
        rows.as_array().unwrap().iter().filter(|row| row["status"] == "corrupted").count()
    };
    assert_eq!(damaged(&home), 1);
    home.run(["verify", &ids[0]]).code(0);
    assert_eq!(damaged(&home), 0);
    home.run(["forget", "--keep-last", "1"]).code(0);
    assert_eq!(home.snapshots(), [ids[0].clone()]);
    home.is_sound();
}

#[test]
fn a_check_marks_only_what_cannot_be_restored_and_tells_of_damage_in_the_trash() {
    let home = Home::new();
    home.file("data/a-kept", &crate::support::noise(1, 2_000_000));
    let old = home.file("data/b-old", &crate::support::noise(2, 2_000_000));
    home.run(["backup", "data", "--time", "2026-01-01T12:00:00Z"]).code(0);
    let pack = home.packs().into_iter().max_by_key(|pack| pack.metadata().unwrap().len()).unwrap();
    std::fs::remove_file(old).unwrap();
    home.run(["backup", "data", "--time", "2026-01-02T12:00:00Z"]).code(0);
    let whole = std::fs::read(&pack).unwrap();
    // The files are read side by side, so that any order of their frames may come about; half of all bits are of the old one.
    let is_in_old = |place: usize| {
        let mut bytes = whole.clone();
        bytes[whole.len() / 32 * place] ^= 1;
        std::fs::remove_file(&pack).unwrap();
        std::fs::write(&pack, &bytes).unwrap();
        home.run(["restore", "latest", "--to", &format!("out-{place}")]).code == 0
    };
    assert!((1..32).any(is_in_old));
    home.run(["check", "--read-data"]).code(4);
    let rows = home.run(["snapshots", "--json"]).code(0).json();
    let status = |n: usize| rows[n]["status"].as_str().unwrap().to_owned();
    assert_eq!([status(0), status(1)], ["completed", "corrupted"]);
    home.run(["verify", "latest"]).code(0);
    home.run(["delete", &home.snapshots()[1]]).code(0);
    assert!(home.run(["check", "--read-data"]).code(4).stdout.contains("packs/"));
}

#[test]
fn a_name_is_taken_once_even_if_its_claim_is_lost() {
    let home = Home::new();
    home.file("data/a.txt", b"first\n");
    let backup = |content: &str| {
        home.file("data/b.txt", content.as_bytes());
        let args = ["backup", "data", "--time", "2026-01-01T12:00:00Z", "--json"];
        home.run(args).code(0).json()["backup_id"].as_str().unwrap().to_owned()
    };
    let id = "files_manual_20260101_120000";
    assert_eq!(
        [backup("1"), backup("2"), backup("3")],
        [id.to_owned(), format!("{id}_2"), format!("{id}_3")]
    );
    home.run(["delete", &format!("{id}_2")]).code(0);
    std::fs::remove_dir_all(home.repository().join("name")).unwrap();
    assert_eq!(backup("4"), format!("{id}_4"));
    std::fs::remove_dir_all(home.repository().join("name")).unwrap();
    home.run(["rewrite", id, "--exclude", "**/a.txt"]).code(0);
    let mut ids = home.snapshots();
    ids.sort();
    let wanted = ["", "_3", "_4", "_5"].map(|n| format!("{id}{n}"));
    assert!(ids.ends_with(&wanted[1..]), "{ids:?}");
    home.run(["undelete", &format!("{id}_2")]).code(0);
    home.is_sound();
}

#[test]
fn held_snapshots_stay() {
    let home = Home::new();
    let ids = three(&home);
    home.run(["hold", &ids[2]]).code(0);
    home.run(["delete", &ids[2]]).code(1).says("release");
    let cleaned = home.run(["cleanup", "--keep-last", "1", "--json"]).code(0).json();
    assert_eq!(cleaned["count"], 1);
    assert_eq!(home.snapshots(), [ids[0].clone(), ids[2].clone()]);
    home.run(["release", &ids[2]]).code(0);
    home.run(["delete", &ids[2]]).code(0);
    assert_eq!(home.snapshots(), [ids[0].clone()]);
    home.is_sound();
}

#[test]
fn tags_change_and_find_their_snapshots() {
    let home = Home::with_snapshot();
    home.run(["tag", "latest", "--add", "a", "--add", "b"]).code(0);
    home.run(["tag", "latest", "--remove", "a"]).code(0);
    let rows = home.run(["snapshots", "--tag", "b", "--json"]).code(0).json();
    assert_eq!(rows[0]["tags"], serde_json::json!(["b"]));
    assert_eq!(home.run(["snapshots", "--tag", "a", "--json"]).code(0).json(), serde_json::json!([]));
}

#[test]
fn a_secret_is_taken_out_of_a_snapshot() {
    let home = Home::with_snapshot();
    home.file("data/secret.pem", b"hush");
    home.run(["backup", "data"]).code(0);
    let dry = home.run(["rewrite", "latest", "--exclude", "*.pem", "--dry-run", "--json"]).code(0).json();
    assert_eq!(dry[0]["files"], 1);
    home.run(["rewrite", "latest", "--exclude", "*.pem"]).code(0);
    let found = home.run(["find", "*.pem", "--json"]).code(0).json();
    assert_eq!(found["matches"].as_array().unwrap().len(), 0);
    home.run(["prune"]).code(0);
    home.is_sound();
}

#[test]
fn decisions_are_told_in_the_order_of_time_and_a_mistyped_target_is_told() {
    let home = Home::new();
    home.file("data/a", b"1");
    for day in ["03", "01", "02"] {
        home.run(["backup", "data", "--time", &format!("2026-01-{day}")]).code(0);
    }
    let forgotten = home.run(["forget", "--keep-last", "1", "--dry-run", "--json"]).code(0).json();
    let removed = forgotten["removed"].as_array().unwrap().iter();
    let days: Vec<&str> = removed.map(|r| &r["created_at"].as_str().unwrap()[..10]).collect();
    assert_eq!(days, ["2026-01-01", "2026-01-02"]);
    home.run(["forget", "--target", "flies"]).code(0).says("no snapshot of target flies");
}
