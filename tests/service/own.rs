//! The built-in target `chronos`: the configuration, the files that it names, and the state of this host.

use std::fs;

use chronos_tests::targets::{NOTES, QUIET};
use chronos_tests::{Program, Service, configure};
use serde_json::{Value, json};

/// A home whose configuration names a file of tokens, one of a secret, and a key file of the repository.
fn home() -> Program {
    let home = Program::with_repository();
    let keys = home.home().join(".config/chronos/keys");
    let key = fs::read_dir(&keys).unwrap().next().unwrap().unwrap().path();
    configure(
        &home,
        &format!(
            "[service]\ntoken_file = \"tokens\"\n[events]\nurl = \"http://127.0.0.1:1\"\ntoken = {{ file = \"{}\" }}\n\
             [[notify]]\nname = \"hermes\"\nurl = \"http://127.0.0.1:1\"\ntoken = {{ file = \"HOME/secret\" }}\n{NOTES}",
            key.display()
        ),
    );
    fs::write(home.home().join(".config/chronos/tokens"), "").unwrap();
    fs::write(home.home().join("secret"), "s3cret\n").unwrap();
    fs::create_dir(home.home().join("notes")).unwrap();
    fs::write(home.home().join("notes/a"), "a").unwrap();
    home
}

#[track_caller]
fn typed(home: &Program, words: &[&str]) -> Value {
    home.run(words.iter().chain(&["--json"])).expect_code(0).json()
}

#[test]
fn it_holds_what_a_new_host_needs_and_never_what_opens_the_repository() {
    let home = home();
    typed(&home, &["backup", "--target", "notes"]);
    let made = typed(&home, &["backup", "--target", "chronos"]);
    assert_eq!(made["status"], "completed", "{made}");
    let listed = home.run(["find", "**"]).expect_code(0).stdout;
    let path = |below: &str| home.home().join(below).display().to_string().trim_start_matches('/').to_owned();
    for file in [".config/chronos/chronos.toml", ".config/chronos/tokens", "secret"] {
        assert!(listed.contains(&path(file)), "{file}: {listed}");
    }
    assert!(!listed.contains(".key"), "{listed}");
    let out = home.home().join("out");
    home.run(["restore", "latest:chronos:state", "--to", out.to_str().unwrap()]).expect_code(0);
    let database = fs::read_dir(&out).unwrap().next().unwrap().unwrap().path();
    let state = rusqlite::Connection::open(database).unwrap();
    let of_notes: i64 =
        state.query_row("SELECT count(*) FROM runs WHERE target = 'notes'", [], |row| row.get(0)).unwrap();
    assert_eq!(of_notes, 1);
}

#[test]
fn it_is_none_of_all_and_its_name_is_taken() {
    let home = home();
    let all = typed(&home, &["backup", "--target", "all"]);
    assert!(!all.to_string().contains("chronos_"), "{all}");
    let refused = |args: &[&str], words: &str| {
        let told = home.run(args).expect_code(2);
        assert!(told.stderr.contains(words), "{}", told.stderr);
    };
    refused(&["backup", "notes", "--target", "chronos"], "built-in target");
    for text in ["name = \"chronos\"", "name = \"other\"\naliases = [\"chronos\"]"] {
        let file = home.home().join("other.toml");
        fs::write(&file, format!("[[target]]\n{text}\npaths = [\"/etc\"]\n")).unwrap();
        refused(&["-c", "other.toml", "config", "check"], "built-in target");
    }
    let without = Program::with_repository();
    let told = without.run(["backup", "--target", "chronos"]).expect_code(2);
    assert!(told.stderr.contains("not configured"), "{}", told.stderr);
}

#[test]
fn its_configuration_is_taken_when_it_has_changed_and_has_schedules_and_rules_of_its_own() {
    let home = home();
    let take = |words: &[&str]| {
        let args =
            ["backup", "--target", "chronos", "--type", "config", "--tier", "auto", "--skip-if-unchanged"];
        typed(&home, &[&args, words].concat())["status"].clone()
    };
    assert_eq!([take(&[]), take(&[])], ["completed", "unchanged"]);
    fs::write(home.home().join("secret"), "another\n").unwrap();
    assert_eq!(take(&[]), "completed");
    assert_eq!(typed(&home, &["snapshots"]).as_array().unwrap().len(), 2);
    let reasons = typed(&home, &["forget", "--target", "chronos", "--dry-run"]).to_string();
    assert!(reasons.contains("20"), "the rule of its own: {reasons}");
    let schedules = |home: &Program| -> Vec<Value> {
        let listed = typed(home, &["schedule", "list"]);
        let all = listed["schedules"].as_array().unwrap_or_else(|| listed.as_array().unwrap());
        all.iter().map(|row| row["id"].clone()).collect()
    };
    let listed = schedules(&home);
    assert!(listed.contains(&json!("chronos")) && listed.contains(&json!("chronos-config")), "{listed:?}");
    configure(&home, QUIET);
    assert_eq!(schedules(&home), [json!("never")]);
}

#[test]
fn a_file_that_the_configuration_names_and_that_comes_later_is_taken_by_a_running_service() {
    let home = home();
    let secret = home.home().join("secret");
    fs::remove_file(&secret).unwrap();
    let service = Service::start(home, &[]);
    let taken = || {
        let made = service.post("/backup", r#"{"target": "chronos"}"#).expect(200);
        let id = made["backup_id"].as_str().unwrap().to_owned();
        service.get(&format!("/backups/{id}")).expect(200)["paths"].to_string().contains("/secret")
    };
    assert!(!taken());
    fs::write(&secret, "s3cret\n").unwrap();
    assert!(taken());
}
