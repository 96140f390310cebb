//! Runs of configured targets: several at once, one after the other, and what is remembered of those that fail.

use std::io::{BufRead, BufReader, Read};
use std::process::Command;

use crate::support::{Home, finish};

/// A home with a target of files, and one whose source is what a command prints.
fn home(command: &str) -> Home {
    let home = Home::new();
    home.file("srv/page.html", b"page");
    let text = format!(
        "[[target]]\nname = \"web\"\npaths = [\"{srv}\"]\n\
         [[target]]\nname = \"shop\"\naliases = [\"store\"]\n\
         [[target.source]]\nname = \"dump\"\nkind = \"command\"\ncomponent = \"database\"\ncommand = \"{command}\"\n",
        srv = home.path("srv").display(),
    );
    home.file(".config/chronos/chronos.toml", text.as_bytes());
    home
}

#[test]
fn all_targets_are_one_run_and_tell_how_fresh_they_are() {
    let home = home("echo select");
    let before = home.run(["targets", "--json"]).code(0).json();
    assert_eq!((&before[1]["target"], &before[1]["last_good"]), (&"shop".into(), &serde_json::Value::Null));
    assert_eq!(before[1]["sources"][0]["kind"], "command");
    assert!(!home.repository().exists());

    let run = home.run(["backup", "--target", "all", "--tier", "daily", "--json"]).code(0).json();
    let run_id = run["backup_id"].as_str().unwrap();
    assert!(run_id.starts_with("all_daily_"), "{run}");
    assert_eq!((&run["status"], run["backups"].as_array().unwrap().len()), (&"completed".into(), 2));
    let rows = home.run(["snapshots", "--json"]).code(0).json();
    assert!(rows.as_array().unwrap().iter().all(|r| r["metadata"]["run_id"] == run_id), "{rows}");

    let after = home.run(["targets", "--json"]).code(0).json();
    let (web, shop) = (&after[0], &after[1]);
    assert_eq!((&web["last_run"]["status"], &shop["snapshots"]), (&"completed".into(), &1.into()));
    assert_eq!(web["last_good"]["backup_id"], run["backups"][0]["backup_id"]);
    assert!(web["last_good"]["age_seconds"].as_u64().unwrap() < 3600);
    assert!(home.run(["targets"]).code(0).stdout.contains("dump (command)"));
}

#[test]
fn one_target_that_fails_keeps_no_other_from_being_taken_and_is_remembered() {
    let home = home("exit 7");
    let run = home.run(["backup", "--target", "all", "--json"]).code(3).json();
    let (web, shop) = (&run["backups"][0], &run["backups"][1]);
    assert_eq!(
        (&run["status"], &web["status"], &shop["status"]),
        (&"failed".into(), &"completed".into(), &"failed".into())
    );
    let failed = home.run(["snapshots", "--status", "failed", "--json"]).code(0).json();
    assert_eq!(failed.as_array().unwrap().len(), 1);
    assert_eq!((&failed[0]["backup_id"], &failed[0]["target"]), (&shop["backup_id"], &"shop".into()));
    assert!(failed[0]["backup_id"].as_str().unwrap().starts_with("shop_manual_"), "{failed}");
    assert!(failed[0]["error"].as_str().unwrap().contains('7'), "{failed}");

    home.run(["backup", "--target", "store"]).code(1).says("no snapshot was made");
    let failed = home.run(["snapshots", "--status", "failed", "--target", "store", "--json"]).code(0).json();
    assert_eq!(failed.as_array().unwrap().len(), 2);
    assert_ne!(failed[0]["backup_id"], failed[1]["backup_id"]);
    let shop = &home.run(["targets", "--json"]).code(0).json()[1];
    assert_eq!(
        (&shop["last_run"]["status"], &shop["last_good"]),
        (&"failed".into(), &serde_json::Value::Null)
    );
}

#[test]
fn a_target_that_nobody_configured_is_refused_before_anything_is_made() {
    let home = home("true");
    home.run(["backup", "--target", "web", "--target", "nobody"]).code(2).says("nobody is not configured");
    home.run(["backup", "srv", "--target", "web", "--target", "shop"]).code(2).says("one target");
    home.run(["backup", "--target", "all", "--type", "workflows"]).code(2).says("nothing of type workflows");
    assert!(!home.repository().exists());
}

#[test]
fn runs_of_a_target_wait_for_each_other_and_can_be_stopped_while_they_wait() {
    let home = home("cat pipe");
    let made = Command::new("mkfifo").arg(home.path("pipe")).status().unwrap();
    assert!(made.success());
    home.run(["init"]).code(0);
    let first = home.command(["backup", "--target", "shop"]).spawn().unwrap();
    // Whoever opens the pipe for writing goes on when the first run reads from it: then it has its turn.
    let pipe = std::fs::OpenOptions::new().write(true).open(home.path("pipe")).unwrap();

    let mut second = home.command(["backup", "--target", "shop"]).spawn().unwrap();
    let mut told = BufReader::new(second.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("waits its turn") {
        line.clear();
        assert!(told.read_line(&mut line).unwrap() > 0, "it did not wait");
    }
    Command::new("kill").args(["-INT", &second.id().to_string()]).status().unwrap();
    told.read_to_string(&mut line).unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(130), "{line}");

    drop(pipe);
    finish(first).code(0);
    assert_eq!(home.snapshots().len(), 1);
}

#[test]
fn a_history_that_cannot_be_read_is_told_and_keeps_no_backup_from_being_made() {
    let home = home("echo select");
    home.run(["backup", "--target", "shop"]).code(0);
    let file = home.file(".local/state/chronos/chronos.sqlite", &[b'x'; 8192]);
    home.run(["backup", "--target", "shop"]).code(0).says("is damaged");
    assert_eq!(home.snapshots().len(), 2);
    assert_eq!(std::fs::read(&file).unwrap(), [b'x'; 8192], "it was left alone");
    home.run(["targets"]).code(0).says("is damaged");
    home.run(["snapshots", "--status", "failed"]).code(4).says("move it away");
}
