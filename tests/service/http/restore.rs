//! `POST /restore/{id}`: files back in place and into new places, what is refused, and what the history says of it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chronos_tests::compare::capture;
use chronos_tests::targets::QUIET;
use chronos_tests::{Answer, HttpServer, Program, Response, Service, configure};
use serde_json::{Value, json};

/// Longest that anything here may take.
const LIMIT: Duration = Duration::from_mins(1);

/// A shop of a folder and a command, one like it, and hooks that do what files tell them to.
const CONFIG: &str = r#"
[service]
restore_root = "HOME/root"

[[target]]
name = "shop"
aliases = ["store"]
paths = ["HOME/shop"]
exclude = ["*.log"]
[[target.source]]
name = "dump"
kind = "command"
component = "database"
command = "cat HOME/dump.sql"
filename = "shop.sql"

[[target]]
name = "dev"
paths = ["HOME/dev"]

[[hook]]
on = ["before_restore"]
policy = "veto"
command = "cat > HOME/before; test ! -e HOME/veto || { echo not today; exit 1; }; test ! -e HOME/move || echo more >> HOME/shop/same; while test -e HOME/hang; do sleep 0.1; done"

[[hook]]
on = ["before_backup"]
policy = "veto"
command = "test ! -e HOME/no-backup || { echo no room; exit 1; }"

[[hook]]
on = ["after_restore", "on_failure"]
command = "cat > HOME/after"
"#;

fn program(more: &str) -> Program {
    let program = Program::with_repository();
    configure(&program, &[more, QUIET, CONFIG].concat());
    let home = program.home();
    fs::create_dir_all(home.join("shop/sub/deep")).unwrap();
    fs::create_dir_all(home.join("root")).unwrap();
    for (name, text) in [
        ("dump.sql", "select 1;"),
        ("shop/page", "page"),
        ("shop/same", "same"),
        ("shop/sub/part", "part"),
        ("shop/sub/deep/x", "x"),
    ] {
        fs::write(home.join(name), text).unwrap();
    }
    symlink("page", home.join("shop/link")).unwrap();
    program
}

fn backed_up(service: &Service) -> String {
    let made = service.post("/backup", r#"{"target": "shop"}"#).expect(200);
    made["backup_id"].as_str().unwrap().to_owned()
}

/// Changes one file, removes a folder, adds a file and one that is never backed up.
fn damage(home: &Path) {
    fs::write(home.join("shop/page"), "defaced").unwrap();
    fs::remove_dir_all(home.join("shop/sub")).unwrap();
    fs::write(home.join("shop/extra"), "extra").unwrap();
    fs::write(home.join("shop/debug.log"), "log").unwrap();
}

fn restore(service: &Service, id: &str, body: &Value) -> Answer {
    service.post(&format!("/restore/{id}"), &body.to_string())
}

fn emergencies(service: &Service) -> usize {
    service.get("/backups?tier=emergency").expect(200)["backups"].as_array().unwrap().len()
}

fn history(service: &Service) -> Vec<Value> {
    service.get("/history").expect(200)["history"].as_array().unwrap().clone()
}

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_damaged_folder_comes_back_and_can_be_had_again_as_it_was_damaged() {
    let (tells, told) = channel();
    let tells = Mutex::new(tells);
    let bus = HttpServer::start(move |request| {
        let event: Value = serde_json::from_slice(&request.body).unwrap();
        tells.lock().unwrap().send(event).unwrap();
        Response::json(200, &json!({}))
    });
    let service = Service::start(program(&format!("[events]\nurl = \"{}\"\n", bus.url())), &[]);
    let home = service.path("");
    let whole = capture(&home.join("shop"));
    let id = backed_up(&service);
    damage(&home);
    let damaged = capture(&home.join("shop"));

    // A dry run says it all and touches nothing.
    let dry =
        restore(&service, &id, &json!({"components": ["files"], "dry_run": true, "strategy": "replace"}));
    let dry = dry.expect(200);
    assert_eq!(
        (&dry["status"], &dry["rollback_id"], &dry["dry_run"]),
        (&json!("planned"), &Value::Null, &json!(true))
    );
    let step = &dry["plan"]["steps"][0];
    assert!(
        step["overwrites"]["names"].as_array().unwrap().contains(&json!(home.join("shop/page"))),
        "{step}"
    );
    assert_eq!(step["removes"]["count"], 2, "{step}");
    assert!(step["creates"]["count"].as_u64().unwrap() >= 3 && step["bytes"].as_u64().unwrap() > 0, "{step}");
    assert_eq!(capture(&home.join("shop")), damaged);
    assert_eq!((emergencies(&service), history(&service).len()), (0, 0));
    assert!(!home.join("before").exists());

    // In place: what came since stays.
    let done = restore(&service, &id, &json!({"components": ["files"]})).expect(200);
    assert_eq!((&done["status"], &done["error_count"]), (&json!("completed"), &json!(0)), "{done}");
    assert_eq!(
        (text(home.join("shop/page")), text(home.join("shop/sub/deep/x"))),
        ("page".into(), "x".into())
    );
    assert_eq!(
        (text(home.join("shop/extra")), text(home.join("shop/debug.log"))),
        ("extra".into(), "log".into())
    );
    let safety = done["pre_rollback_backup"].as_str().unwrap().to_owned();
    assert_eq!(service.get(&format!("/backups/{safety}")).expect(200)["tier"], "emergency");
    let [row] = &*history(&service) else { panic!("one row") };
    assert_eq!(
        (
            &row["rollback_id"],
            &row["target"],
            &row["rollback_type"],
            &row["status"],
            &row["source_backup_id"]
        ),
        (&done["rollback_id"], &json!("shop"), &json!("backup_restore"), &json!("completed"), &json!(id))
    );
    assert_eq!(row["pre_rollback_backup"], json!(safety));
    assert!(row["completed_at"].is_string() && row["error_message"].is_null());
    let asked: Value = serde_json::from_str(&text(home.join("before"))).unwrap();
    assert_eq!((&asked["backup_id"], &asked["strategy"]), (&json!(id), &json!("overwrite")));
    let after: Value = serde_json::from_str(&text(home.join("after"))).unwrap();
    assert_eq!((&after["hook"], &after["status"]), (&json!("after_restore"), &json!("completed")));
    let event = found(&told, "restore_completed");
    assert_eq!((&event["target"], &event["source_agent"]), (&json!("shop"), &json!("HADES")));
    for field in ["rollback_id", "backup_id", "restored_count", "error_count"] {
        assert_eq!(event["details"][field], done[field], "{event}");
    }

    // Exactly: what came since goes too, and lives on in the snapshot of before.
    let exact = restore(&service, &id, &json!({"components": ["files"], "strategy": "replace"})).expect(200);
    assert_eq!(capture(&home.join("shop")), whole, "{exact}");
    let before = exact["pre_rollback_backup"].as_str().unwrap();
    restore(&service, before, &json!({"strategy": "replace"})).expect(200);
    assert_eq!(
        (text(home.join("shop/extra")), text(home.join("shop/debug.log"))),
        ("extra".into(), "log".into())
    );
    // What is as in the snapshot already needs no snapshot of before.
    let count = emergencies(&service);
    let again = restore(&service, before, &json!({"strategy": "merge"})).expect(200);
    assert_eq!((&again["status"], &again["steps"][0]["status"]), (&json!("completed"), &json!("unchanged")));
    assert_eq!(emergencies(&service), count);
}

/// The next event of a kind.
fn found(told: &Receiver<Value>, action: &str) -> Value {
    loop {
        let event = told.recv_timeout(LIMIT).unwrap();
        if event["action"] == action {
            return event;
        }
    }
}

#[test]
fn what_cannot_go_back_is_named_and_a_lost_folder_comes_back_whole() {
    let service = Service::start(program(""), &[]);
    let home = service.path("");
    let (id, whole) = (backed_up(&service), capture(&home.join("shop")));
    fs::remove_dir_all(home.join("shop")).unwrap();
    // A command cannot take back what it gave; the rest is done.
    let part = restore(&service, &id, &json!({})).expect(200);
    assert_eq!((&part["status"], &part["error_count"]), (&json!("partial"), &json!(1)), "{part}");
    assert_eq!(part["steps"][1]["sources"], json!(["dump"]));
    assert_eq!(part["steps"][1]["status"], "left_out");
    assert!(part["message"].as_str().unwrap().contains("new_location"), "{part}");
    assert_eq!(capture(&home.join("shop")), whole);
    assert!(part["pre_rollback_backup"].is_null(), "nothing was there: {part}");
    let alone = restore(&service, &id, &json!({"components": ["database"]}));
    assert!(alone.problem(409).contains("new_location"));
    // What nobody waits for is a job, which leaves what would have been answered.
    let body = json!({"components": ["files"], "strategy": "replace", "wait": false});
    let job = restore(&service, &id, &body).expect(202);
    let job = super::jobs::ended(&service, job["id"].as_str().unwrap());
    assert_eq!(
        (&job["status"], &job["result"]["status"]),
        (&json!("completed"), &json!("completed")),
        "{job}"
    );
    assert_eq!(job["result"]["rollback_id"], history(&service)[0]["rollback_id"]);
    // Into another target of the same kind.
    let dev = restore(&service, &id, &json!({"components": ["files"], "target": "dev"})).expect(200);
    assert_eq!((&dev["status"], &dev["target"]), (&json!("completed"), &json!("dev")), "{dev}");
    assert_eq!(capture(&home.join("dev")), whole);
}

#[test]
fn a_new_place_lies_below_the_root_or_needs_a_token() {
    let program = program("");
    let tokens = program.home().join("tokens");
    let made =
        program.run(["tokens", "add", "me", "--role", "restore", "--token-file", tokens.to_str().unwrap()]);
    let bearer = format!("Bearer {}", made.expect_code(0).stdout.trim());
    let service = Service::start(program, &["--token-file", tokens.to_str().unwrap()]);
    let home = service.path("").canonicalize().unwrap();
    let (id, whole) = (backed_up(&service), capture(&home.join("shop")));

    let done = restore(&service, &id, &json!({"strategy": "new_location"})).expect(200);
    assert_eq!(
        (&done["status"], &done["pre_rollback_backup"]),
        (&json!("completed"), &Value::Null),
        "{done}"
    );
    let place = Path::new(done["path"].as_str().unwrap());
    assert!(place.starts_with(home.join("root/restores")), "{done}");
    assert!(place.file_name().unwrap().to_str().unwrap().starts_with(&format!("restore_{id}_")), "{done}");
    let below = |place: &Path| place.join(service.path("shop").strip_prefix("/").unwrap());
    assert_eq!(capture(&below(place)), whole);
    assert_eq!(text(place.join("shop.sql")), "select 1;");
    // One source alone, at a place that is named.
    let one = json!({"restore_target_path": "mine", "components": ["dump"]});
    restore(&service, &id, &one).expect(200);
    assert_eq!(fs::read_dir(home.join("root/mine")).unwrap().count(), 1);
    assert!(restore(&service, &id, &one).problem(409).contains("not empty"));

    fs::create_dir(home.join("outside")).unwrap();
    symlink(home.join("outside"), home.join("root/out")).unwrap();
    let at = |path: &str| json!({"strategy": "new_location", "restore_target_path": path});
    let outside = home.join("outside/new");
    for path in [outside.to_str().unwrap(), "out/new", "out"] {
        assert!(restore(&service, &id, &at(path)).problem(403).contains("token"), "{path}");
    }
    for path in ["../outside/new", "a/../../outside", "a/.."] {
        assert!(restore(&service, &id, &at(path)).problem(422).contains(".."), "{path}");
    }
    assert_eq!(fs::read_dir(home.join("outside")).unwrap().count(), 0);
    let body = at(outside.to_str().unwrap()).to_string();
    service.call("POST", &format!("/restore/{id}"), &[("authorization", &bearer)], body).expect(200);
    assert_eq!(capture(&below(&outside)), whole);
    // Over what is there, a place is nothing that a caller says.
    let ignored = json!({"strategy": "overwrite", "restore_target_path": "/etc", "components": ["files"]});
    let ignored = restore(&service, &id, &ignored).expect(200);
    assert!(
        ignored["warnings"][0].as_str().unwrap().contains("restore_target_path (--to) is ignored"),
        "{ignored}"
    );
}

#[test]
fn what_is_wrong_with_a_request_is_said_before_anything_is_touched() {
    let service = Service::start(program(""), &[]);
    let id = backed_up(&service);
    for (name, body, status, part) in [
        ("shop_manual_20200101_000000", json!({}), 404, "not"),
        (&*id, json!({"target": "nowhere"}), 404, "nowhere"),
        (&*id, json!({"strategy": "sideways"}), 422, "new-location"),
        (&*id, json!({"component": ["files"]}), 422, "components"),
        (&*id, json!({"components": ["workflows"]}), 422, "database, dump, files"),
        (&*id, json!({"components": "files"}), 422, "components"),
    ] {
        let said = restore(&service, name, &body).problem(status);
        assert!(said.contains(part), "{body}: {said}");
    }
    assert_eq!((emergencies(&service), history(&service).len()), (0, 0));
}

#[test]
fn without_a_snapshot_of_before_or_against_a_veto_nothing_is_touched() {
    let service = Service::start(program(""), &[]);
    let home = service.path("");
    let id = backed_up(&service);
    damage(&home);
    let damaged = capture(&home.join("shop"));
    let body = json!({"components": ["files"]});

    service.file("veto", "");
    let said = restore(&service, &id, &body);
    assert!(said.problem(409).contains("not today"));
    let row = &history(&service)[0];
    assert_eq!((&row["status"], &row["rollback_id"]), (&json!("failed"), &said.json()["rollback_id"]));
    assert!(row["error_message"].as_str().unwrap().contains("not today"), "{row}");
    fs::remove_file(home.join("veto")).unwrap();

    service.file("no-backup", "");
    let said = restore(&service, &id, &body).problem(409);
    assert!(said.contains("no room") && said.contains("nothing was touched"), "{said}");
    fs::remove_file(home.join("no-backup")).unwrap();

    // Somebody writes between the plan and its execution.
    service.file("move", "");
    let said = restore(&service, &id, &body).problem(409);
    assert!(said.contains("/shop") && said.contains("nothing was touched"), "{said}");
    fs::write(home.join("shop/same"), "same").unwrap();
    assert_eq!(text(home.join("shop/page")), "defaced");
    assert_eq!(capture(&home.join("shop")).len(), damaged.len());
    assert_eq!(history(&service).len(), 3);
}

#[test]
fn one_that_is_killed_is_interrupted_after_the_next_start_and_two_do_not_meet() {
    let program = program("");
    let service = Service::start(program, &[]);
    let id = backed_up(&service);
    damage(&service.path(""));
    let damaged = capture(&service.path("shop"));
    service.file("hang", "");
    let url = format!("{}/restore/{id}", service.url());
    let ended = Arc::new(Mutex::new(()));
    let asking = Arc::clone(&ended);
    let waiting = std::thread::spawn(move || {
        let _ended = asking.lock().unwrap();
        // It is killed before it can answer.
        drop(chronos_tests::http_client().post(url).body(r#"{"components": ["files"]}"#).send());
    });
    let before = service.path("before");
    let limit = std::time::Instant::now() + LIMIT;
    while !before.exists() {
        assert!(std::time::Instant::now() < limit);
        std::thread::yield_now();
    }
    assert!(
        restore(&service, &id, &json!({"components": ["files"]})).problem(409).contains("another restore")
    );
    assert_eq!(history(&service)[0]["status"], "running");
    let program = service.killed();
    waiting.join().unwrap();
    fs::remove_file(program.home().join("hang")).unwrap();

    let service = Service::start(program, &[]);
    let [row] = &*history(&service) else { panic!("one row") };
    assert_eq!(row["status"], "interrupted", "{row}");
    assert!(row["completed_at"].is_string(), "{row}");
    assert_eq!(capture(&service.path("shop")), damaged);
    restore(&service, &id, &json!({"components": ["files"], "strategy": "replace"})).expect(200);
    assert_eq!(history(&service).len(), 2);
}
