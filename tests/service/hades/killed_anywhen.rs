//! A rollback, its undo, and a recovery of a folder, an SQLite file and a PostgreSQL, each killed at moments that are spread over the time
//! that it takes: after the next start each part is the old or the new one, and the history says which.
//!
//! `CHRONOS_LONG` makes it many moments of each.

use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use chronos_tests::Service;
use chronos_tests::postgres::Postgres;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{asked, backed_up, service};

/// Everything that one target may have on this machine.
const SHOP: &str = r#"
[[target]]
name = "shop"
paths = ["HOME/disk/shop"]
[[target.source]]
name = "ledger"
kind = "sqlite"
path = "HOME/live/ledger.sqlite"
[[target.source]]
name = "crm"
kind = "postgres"
url = "URL"
"#;
/// The database.
const CRM: &str = "killed_anywhen";
/// Moments of each kind of call, and of a long run.
const MOMENTS: [u32; 2] = [4, 40];
/// The golden ratio: its multiples fall evenly into the time, however many there are.
const STEP: f64 = 0.618_033_988_75;

/// What every part says in the snapshot.
const KEPT: &str = "kept";

/// The target on this machine.
struct Shop {
    server: Postgres,
}

impl Shop {
    /// Every part says this.
    fn write(&self, service: &Service, text: &str) {
        service.file("disk/shop/page", text);
        service.file("disk/shop/sub/part", text);
        ledger(service).execute("UPDATE entries SET text = ?1", [text]).unwrap();
        self.server.sql(CRM, &format!("UPDATE orders SET text = '{text}'"));
    }

    /// What each part says, by the words that the history has for it.
    fn parts(&self, service: &Service) -> [(String, String); 3] {
        let read = |below: &str| fs::read_to_string(service.path(below)).unwrap();
        let files = read("disk/shop/page");
        assert_eq!(read("disk/shop/sub/part"), files, "half of the files");
        let check: String =
            ledger(service).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        let entry = ledger(service).query_row("SELECT text FROM entries", [], |row| row.get(0)).unwrap();
        let order = self.server.sql(CRM, "SELECT text FROM orders");
        [
            ("disk/shop".to_owned(), files),
            ("ledger.sqlite".to_owned(), entry),
            (format!("database {CRM}"), order),
        ]
    }

    /// Nothing half-made is left.
    fn is_tidy(&self, service: &Service) {
        let like = format!("SELECT datname FROM pg_database WHERE datname LIKE '{CRM}_new%'");
        assert_eq!(self.server.sql("postgres", &like), "");
        for folder in ["disk", "live"] {
            for entry in fs::read_dir(service.path(folder)).unwrap() {
                let name = entry.unwrap().file_name().to_string_lossy().into_owned();
                assert!(!name.contains("chronos-new") && !name.starts_with(".chronos"), "{name}");
            }
        }
    }
}

fn ledger(service: &Service) -> Connection {
    Connection::open(service.path("live/ledger.sqlite")).unwrap()
}

/// Asks, and kills the service after this time; the service after it, and the answer if one came before.
fn killed(service: Service, path: &str, body: &Value, after: Duration) -> (Service, Option<Value>) {
    let (url, body) = (format!("{}{path}", service.hades().url()), body.to_string());
    let (tell, told) = mpsc::channel();
    let asking = thread::spawn(move || {
        let answer = chronos_tests::http_client().post(url).body(body).send();
        let answer = answer.ok().filter(|answer| answer.status() == 200);
        drop(tell.send(answer.and_then(|answer| answer.json().ok())));
    });
    let early = told.recv_timeout(after).ok();
    let program = service.killed();
    asking.join().unwrap();
    let answer = early.or_else(|| told.try_recv().ok()).flatten();
    (Service::start(program, &[]), answer)
}

/// What the history says of the calls of this type since `before` of them were there, and of their parts.
fn told(service: &Service, before: usize) -> Vec<Value> {
    let all = service.hades().get("/history?limit=1000").expect(200)["history"].as_array().unwrap().clone();
    let new = all.len() - before;
    all.into_iter().take(new).collect()
}

fn count(service: &Service) -> usize {
    told(service, 0).len()
}

/// Each part is what it was or what it was to be, and the history of a call that was not answered says which.
fn agrees(
    shop: &Shop,
    service: &Service,
    [old, new]: [&str; 2],
    answer: Option<&Value>,
    rows: &[Value],
    at: &str,
) {
    shop.is_tidy(service);
    let said: Vec<&str> = rows.iter().filter_map(|row| row["error_message"].as_str()).collect();
    let is_done = answer.is_some_and(|answer| answer["status"] == "completed");
    for (part, text) in shop.parts(service) {
        assert!(text == old || text == new, "{at}: {part} is {text}");
        assert!(!is_done || text == new, "{at}: {part} is {text}, and it was answered that it is done");
        let is_said = |state: &str| said.iter().any(|said| said.contains(&format!("{part} is {state}")));
        assert!(!is_said("as it was before") || text == old, "{at}: {part} is {text}: {said:?}");
        assert!(!is_said("as in the snapshot") || text == new, "{at}: {part} is {text}: {said:?}");
        let is_completed = rows.iter().any(|row| row["status"] == "completed");
        assert!(
            text == old || is_completed || is_said("as in the snapshot"),
            "{at}: {part} is {text}: {rows:?}"
        );
    }
    for row in rows {
        assert!(row["status"] != "running" && row["completed_at"].is_string(), "{at}: {row}");
    }
}

#[test]
fn a_rollback_its_undo_and_a_recovery_leave_old_or_new_whenever_they_are_killed() {
    let shop = Shop { server: Postgres::start() };
    shop.server.sql("postgres", &format!("CREATE DATABASE {CRM}"));
    shop.server.sql(CRM, "CREATE TABLE orders(text text); INSERT INTO orders VALUES ('')");
    let mut service = service(&SHOP.replace("URL", &shop.server.superuser(CRM)));
    fs::create_dir(service.path("live")).unwrap();
    ledger(&service)
        .execute_batch(
            "PRAGMA journal_mode = wal; CREATE TABLE entries(text); INSERT INTO entries VALUES ('')",
        )
        .unwrap();
    shop.write(&service, KEPT);
    let backup = backed_up(&service, "shop");
    let moments = MOMENTS[usize::from(std::env::var_os("CHRONOS_LONG").is_some())];
    let again = json!({ "backup_id": backup });
    for (path, is_undo) in [("/rollback", false), ("/undo", true), ("/recover", false)] {
        shop.write(&service, "first");
        let undone = asked(&service, "/rollback", &again);
        let body = |undone: &Value| {
            if is_undo { json!({ "rollback_id": undone["rollback_id"] }) } else { again.clone() }
        };
        if !is_undo {
            shop.write(&service, "first");
        }
        let began = Instant::now();
        let done = asked(&service, path, &body(&undone));
        let takes = began.elapsed();
        assert_eq!(done["status"], "completed", "{path}: {done}");
        for n in 1..=moments {
            let live = format!("live {n}");
            shop.write(&service, &live);
            let undone = if is_undo { asked(&service, "/rollback", &again) } else { Value::Null };
            let before = count(&service);
            let after = takes.mul_f64((f64::from(n) * STEP).fract());
            let at = format!("{path} {n} after {after:?} of {takes:?}");
            let (next, answer) = killed(service, path, &body(&undone), after);
            service = next;
            let states = if is_undo { [KEPT, live.as_str()] } else { [live.as_str(), KEPT] };
            agrees(&shop, &service, states, answer.as_ref(), &told(&service, before), &at);
        }
    }
}
