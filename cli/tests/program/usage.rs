//! Help, completions, manual pages, configuration, explanations.

use crate::support::Home;

const COMMANDS: [&str; 40] = [
    "init",
    "backup",
    "snapshots",
    "ls",
    "find",
    "cat",
    "diff",
    "versions",
    "restore",
    "export",
    "rollback",
    "undo",
    "recover",
    "rebuild",
    "emergency",
    "history",
    "verify",
    "check",
    "forget",
    "probe",
    "prune",
    "cleanup",
    "delete",
    "undelete",
    "hold",
    "release",
    "tag",
    "rewrite",
    "stats",
    "repair",
    "sync",
    "copy",
    "keys",
    "kit",
    "config",
    "schedule",
    "drill",
    "doctor",
    "completions",
    "man",
];

#[test]
fn every_command_explains_itself() {
    let home = Home::new();
    let all = home.run(["--help"]).code(0).stdout;
    assert!(all.contains("Exit codes"));
    for command in COMMANDS {
        assert!(all.contains(&format!("\n  {command} ")), "{command} is not listed");
        let help = home.run([command, "--help"]).code(0).stdout;
        assert!(help.contains("Usage: chronos"), "{help}");
        let page = home.run(["man", command]).code(0).stdout;
        assert!(page.contains(".TH"), "{page}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(home.run(["completions", shell]).code(0).stdout.contains("chronos"));
    }
    home.run(["--version"]).code(0);
    home.run(["nonsense"]).code(2);
    home.run(["backup", "--tier", "never", "x"]).code(2);
}

#[test]
fn explain_names_the_rule_that_decided() {
    let home = Home::new();
    home.file("data/a.tmp", b"x");
    let ran = home.run(["backup", "data", "--exclude", "*.tmp", "--explain", "data/a.tmp"]).code(0);
    assert!(ran.stdout.contains("left out") && ran.stdout.contains("*.tmp"), "{}", ran.stdout);
    assert!(!home.repository().exists(), "an explanation backs nothing up");
}

#[test]
fn a_configured_target_is_backed_up_by_its_name_or_alias() {
    let home = Home::new();
    home.file("srv/a", b"1");
    home.file("srv/b.tmp", b"1");
    home.file(
        ".config/chronos/chronos.toml",
        b"[[target]]\nname = \"shop\"\naliases = [\"store\"]\npaths = [\"../../srv\"]\nexclude = [\"*.tmp\"]\n\
          [[target.source]]\nname = \"dump\"\nkind = \"command\"\ncommand = \"echo rows\"\nfilename = \"shop.sql\"\n",
    );
    home.run(["config", "check"]).code(0);
    home.run(["backup", "--target", "store"]).code(0);
    let rows = home.run(["snapshots", "--json"]).code(0).json();
    assert_eq!(rows[0]["target"], "shop");
    assert_eq!(rows[0]["file_count"], 2);
    assert_eq!(home.run(["cat", "latest:store:shop.sql"]).code(0).stdout, "rows\n");
    home.run(["backup", "--target", "unknown"]).code(2).says("not configured");
}

#[test]
fn a_mistyped_key_is_named_with_the_nearest_one() {
    let home = Home::new();
    home.file("c.toml", b"[repositry]\n");
    home.run(["-c", "c.toml", "snapshots"]).code(2).says("did you mean repository");
    home.run(["config", "init", "new.toml"]).code(0);
    home.run(["config", "check", "new.toml"]).code(0);
    home.run(["config", "init", "new.toml"]).code(1);
}

#[test]
fn the_variables_of_existing_deployments_name_the_repository() {
    let home = Home::new();
    home.file("data/a", b"1");
    home.run(["-r", "repo", "init"]).code(0);
    for variable in ["CHRONOS_REPO", "BACKUP_PATH", "CRONOS_BACKUP_DIR"] {
        let ran = home.command(["snapshots"]).env(variable, home.path("repo")).output().unwrap();
        assert_eq!(ran.status.code(), Some(0), "{variable}");
    }
}
