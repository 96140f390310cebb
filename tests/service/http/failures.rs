//! What fails is answered with its status and a sentence, stands in the history, and is told: n8n, PostgreSQL, the disk, the
//! repository.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use chronos_tests::postgres::{Postgres, programs};
use chronos_tests::targets::{NOTES, QUIET};
use chronos_tests::{HttpServer, Mounted, Program, Request, Response, Service, configure, n8n};
use serde_json::{Value, json};

use super::events::Told;

/// A service and the bus that it tells.
struct Stage {
    bus: Told,
    service: Service,
}

impl Stage {
    /// A service over this repository with these targets; its home comes before everything else in the path.
    fn start(program: Program, targets: &str) -> Self {
        let bus = Told::start();
        let events = format!("[events]\nurl = \"{}\"\n", bus.server.url());
        configure(&program, &[QUIET, &events, targets].concat());
        let mut command = program.command(["serve", "--chronos-listen", "127.0.0.1:0"]);
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}/bin:{path}", program.home().display()));
        Self { bus, service: Service::of(program, command) }
    }

    /// Backs up a target, which fails with this status: what is said. It is recorded, told and seen in all places.
    #[track_caller]
    fn fails(&self, target: &str, status: u16) -> Value {
        let answer = self.service.post("/backup", &format!(r#"{{"target":"{target}"}}"#));
        let detail = answer.problem(status);
        let problem = answer.json();
        self.is_recorded(target, &problem);
        let health = self.service.get("/health").expect(200);
        assert_eq!(health["status"], "degraded", "{health}");
        let told = format!("the last backup of {target} failed: ");
        let problems = health["problems"].as_array().unwrap();
        assert!(problems.iter().any(|p| p.as_str().unwrap().starts_with(&told)), "{detail}: {health}");
        problem
    }

    /// A failure stands in the history under its name, with the same words, and the bus was told.
    #[track_caller]
    fn is_recorded(&self, target: &str, problem: &Value) {
        assert_eq!(problem["state"], "failed", "{problem}");
        let id = problem["backup_id"].as_str().unwrap();
        let list = self.service.get(&format!("/backups?status=failed&target={target}")).expect(200);
        let row = &list["backups"][0];
        assert_eq!((&row["backup_id"], &row["status"]), (&json!(id), &json!("failed")), "{list}");
        let one = self.service.get(&format!("/backups/{id}")).expect(200);
        assert_eq!(one["status"], "failed", "{one}");
        let error = one["error"].as_str().unwrap();
        assert!(problem["detail"].as_str().unwrap().starts_with(error), "{problem}: {one}");
        let event = self.bus.event_of("backup_failed", id);
        assert_eq!(
            (&event["target"], &event["details"]["error"]),
            (&json!(target), &json!(error)),
            "{event}"
        );
    }

    /// Backs up a target, which succeeds.
    #[track_caller]
    fn succeeds(&self, target: &str) -> Value {
        let made = self.service.post("/backup", &format!(r#"{{"target":"{target}"}}"#)).expect(200);
        assert!(["completed", "unchanged"].contains(&made["status"].as_str().unwrap()), "{made}");
        made
    }
}

#[track_caller]
fn says(problem: &Value, words: &[&str]) {
    let detail = problem["detail"].as_str().unwrap();
    assert!(words.iter().all(|word| detail.contains(word)), "{words:?}: {detail}");
}

/// An n8n source.
fn n8n_target(name: &str, url: &str, key: &str) -> String {
    format!(
        "[[target]]\nname = \"{name}\"\n[[target.source]]\nname = \"n8n\"\nkind = \"n8n\"\nurl = \"{url}\"\napi_key = \"{key}\"\n"
    )
}

/// Answers that stand in front of an n8n.
type Fault = Box<dyn Fn(&Request) -> Option<Response> + Send>;

/// A server that holds every request until the sender is dropped.
fn silent() -> (HttpServer, Sender<()>) {
    let (hold, held) = channel::<()>();
    let held = Mutex::new(held);
    let server = HttpServer::start(move |_| {
        // Nothing is ever sent; the end of the sender lets go.
        assert!(held.lock().unwrap().recv().is_err());
        Response::html(503, "")
    });
    (server, hold)
}

#[test]
fn an_n8n_that_is_down_slow_no_n8n_or_refuses_is_told_and_recorded() {
    let real = n8n("2.8.4");
    for number in 0..8 {
        real.call("POST", "workflows", Some(&crate::n8n::workflows::manual(number)));
    }
    let fault: Arc<Mutex<Fault>> = Arc::new(Mutex::new(Box::new(|_| None)));
    let acts = Arc::clone(&fault);
    let front = HttpServer::pass_on_unless(&real.url(), move |request| acts.lock().unwrap()(request));
    let set = |new: Fault| *fault.lock().unwrap() = new;
    let (slow, hold) = silent();
    let nobody = HttpServer::start(|_| Response::html(200, "")).url();
    let targets = [
        n8n_target("front", &front.url(), &real.key),
        n8n_target("down", &nobody, &real.key),
        format!("{}time_limit = \"2s\"\n", n8n_target("slow", &slow.url(), &real.key)),
        n8n_target("locked", &real.url(), "n0-such-k3y"),
    ];
    let stage = Stage::start(Program::with_repository(), &targets.concat());
    let silent = stage.fails("slow", 504);
    drop(hold);
    says(&silent, &["did not answer", "within 2 s"]);
    says(&stage.fails("down", 502), &["cannot be reached", "refused"]);
    let refused = stage.fails("locked", 502);
    says(&refused, &["does not accept the API key"]);
    assert_eq!(refused["upstream_status"], 401, "{refused}");
    for status in [200, 502] {
        set(Box::new(move |_| Some(Response::html(status, "<html>Sign in</html>"))));
        let page = stage.fails("front", 502);
        says(&page, &["an HTML page instead of JSON"]);
        assert_eq!(page["upstream_status"], status, "{page}");
    }
    set(Box::new(|_| Some(Response::json(403, &json!({"message": "your license does not allow this"})))));
    says(&stage.fails("front", 502), &["your license does not allow this"]);

    // Half-way: what came before is kept, and it is neither good nor silent.
    let broken = real.ids()[5].clone();
    set(Box::new(move |request| {
        let breaks = request.path().ends_with(&format!("/workflows/{broken}"));
        breaks.then(|| Response::json(401, &json!({"message": "unauthorized"})))
    }));
    let partial = stage.service.post("/backup", r#"{"target":"front"}"#).expect(200);
    assert_eq!(partial["status"], "partial", "{partial}");
    let errors: Vec<_> =
        partial["files"].as_array().unwrap().iter().filter_map(|f| f["error"].as_str()).collect();
    assert!(errors.iter().any(|e| e.contains("does not accept the API key")), "{partial}");
    let id = partial["backup_id"].as_str().unwrap();
    assert_eq!(stage.service.get(&format!("/backups/{id}")).expect(200)["status"], "partial");
    assert_eq!(stage.bus.event_of("backup_created", id)["details"]["status"], "partial");
    stage.service.get("/backups/latest:front").problem(404);

    set(Box::new(|_| None));
    let good = stage.succeeds("front");
    assert_eq!(stage.bus.event("backup_recovered")["details"]["backup_id"], good["backup_id"]);
}

/// Lets a dump begin, does what `HOME/half-way` says while it goes on, and lets it end.
const HALF_WAY: &str = "#!/bin/bash\nset -o pipefail\ncase \"$*\" in *--version*) exec REAL \"$@\" ;; esac\n\
    REAL \"$@\" | { head -c 1000000; [ ! -e \"$HOME/half-way\" ] || sh \"$HOME/half-way\" >&2; cat; }\n";

/// Puts a program before the real one in the path.
fn wrapped(home: &Path, name: &str, text: &str) {
    let path = home.join("bin").join(name);
    fs::create_dir_all(home.join("bin")).unwrap();
    // Written by another process: a file that this one has open while it forks is not executed.
    let write = format!("printf '%s' \"$0\" > '{}'", path.display());
    let text = text.replace("REAL", programs().join(name).to_str().unwrap());
    assert!(Command::new("sh").args(["-c", &write, &text]).status().unwrap().success());
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_database_that_goes_away_half_way_is_told_and_recorded() {
    let server = Postgres::start();
    server.pgbench("shop", 3);
    let program = Program::with_repository();
    let home = program.home().to_owned();
    wrapped(&home, "pg_dump", HALF_WAY);
    let target = |name: &str, url: &str| {
        format!(
            "[[target]]\nname = \"{name}\"\n[[target.source]]\nname = \"db\"\nkind = \"postgres\"\nglobals = false\nurl = \"{url}\"\n"
        )
    };
    let wrong = server.url("postgres", "wr0ng", "shop");
    let targets = target("shop", &server.superuser("shop"))
        + &target("locked", &wrong)
        + &target("nowhere", &server.superuser("nowhere"));
    let stage = Stage::start(program, &targets);
    stage.succeeds("shop");
    says(&stage.fails("locked", 502), &["password authentication failed"]);
    says(&stage.fails("nowhere", 502), &["database \"nowhere\" does not exist"]);

    // Its connection is ended.
    let end = format!(
        "'{}' -X -q -h '{}' -p {} -U postgres -d postgres -c \"SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = 'shop' AND pid <> pg_backend_pid()\"",
        programs().join("psql").display(),
        server.socket().display(),
        server.port()
    );
    fs::write(home.join("half-way"), end).unwrap();
    let problem = stage.fails("shop", 502);
    says(&problem, &["database shop", "pg_dump failed"]);

    // The server dies.
    let file = server.socket().join("data/postmaster.pid");
    let pid = fs::read_to_string(&file).unwrap().lines().next().unwrap().to_owned();
    let die = format!("kill -QUIT {pid}; while [ -e '{}' ]; do :; done", file.display());
    fs::write(home.join("half-way"), die).unwrap();
    let problem = stage.fails("shop", 502);
    says(&problem, &["database shop", "pg_dump failed"]);
    says(&stage.fails("shop", 502), &["Connection refused"]);
    assert_eq!(stage.service.get("/backups?target=shop&status=completed").expect(200)["total"], 1);

    fs::remove_file(home.join("half-way")).unwrap();
    server.run();
    let good = stage.succeeds("shop");
    assert_eq!(stage.bus.event("backup_recovered")["details"]["backup_id"], good["backup_id"]);
}

/// Writes a file until not one byte more has room.
fn fill(folder: &Path) {
    let mut file = fs::File::create(folder.join("filler")).unwrap();
    for len in [1 << 16, 1] {
        while file.write_all(&vec![1; len]).is_ok() {}
    }
}

/// A home whose repository lies on a small disk.
fn on_a_small_disk() -> (Mounted, Program) {
    let program = Program::new();
    let disk = program.home().join("repository");
    let mounted = Mounted::new(&["-t", "tmpfs", "-o", "size=24m", "tmpfs"], &disk);
    program.run(["init"]).expect_code(0);
    fs::create_dir(program.home().join("notes")).unwrap();
    fs::write(program.home().join("notes/a.txt"), "a").unwrap();
    (mounted, program)
}

#[test]
fn a_disk_that_is_full_is_told_and_recorded() {
    let (mounted, program) = on_a_small_disk();
    let stage = Stage::start(program, NOTES);
    stage.succeeds("notes");
    // More than there is room for, whatever is done with it.
    let noise = fs::File::open("/dev/urandom").unwrap();
    let mut large = fs::File::create(stage.service.path("notes/noise")).unwrap();
    std::io::copy(&mut std::io::Read::take(noise, 32 << 20), &mut large).unwrap();
    says(&stage.fails("notes", 507), &["space"]);
    fs::remove_file(stage.service.path("notes/noise")).unwrap();
    stage.service.file("notes/b.txt", "b");
    fill(stage.service.program().repository());
    says(&stage.fails("notes", 507), &["space"]);
    // What is there can still be looked at.
    assert_eq!(stage.service.get("/backups").expect(200)["total"], 1);
    assert_eq!(stage.service.get("/verify/latest").expect(200)["status"], "verified");
    fs::remove_file(stage.service.program().repository().join("filler")).unwrap();
    let good = stage.succeeds("notes");
    assert_eq!(stage.bus.event("backup_recovered")["details"]["backup_id"], good["backup_id"]);
    drop(stage);
    drop(mounted);
}

#[test]
fn a_repository_that_is_gone_is_told_and_recorded() {
    let program = Program::with_repository();
    fs::create_dir(program.home().join("notes")).unwrap();
    fs::write(program.home().join("notes/a.txt"), "a").unwrap();
    let stage = Stage::start(program, NOTES);
    stage.succeeds("notes");
    let repository = stage.service.program().repository().to_owned();
    let away = stage.service.path("away");
    fs::rename(&repository, &away).unwrap();
    stage.service.file("notes/b.txt", "b");
    let answer = stage.service.post("/backup", r#"{"target":"notes"}"#);
    let detail = answer.problem(503);
    assert!(detail.contains(repository.to_str().unwrap()), "{detail}");
    let health = stage.service.get("/health").expect(503);
    assert_eq!((&health["status"], &health["backup_dir_accessible"]), (&json!("unhealthy"), &json!(false)));
    let problem = answer.json();
    fs::rename(&away, &repository).unwrap();
    stage.is_recorded("notes", &problem);
    let good = stage.succeeds("notes");
    assert_eq!(stage.bus.event("backup_recovered")["details"]["backup_id"], good["backup_id"]);

    // Where there never was one, nothing can be recorded but what is told.
    let bare = Stage::start(Program::new(), NOTES);
    let answer = bare.service.post("/backup", r#"{"target":"notes"}"#);
    assert!(answer.problem(503).contains("there is no repository"), "{}", answer.text);
}

#[test]
fn a_target_that_is_busy_is_waited_for() {
    let program = Program::with_repository();
    let pipe = program.home().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let stage = Stage::start(
        program,
        "[[target]]\nname = \"dump\"\n[[target.source]]\nname = \"d\"\nkind = \"command\"\ncommand = \"cat HOME/pipe\"\n",
    );
    std::thread::scope(|scope| {
        let both = [(); 2]
            .map(|()| scope.spawn(|| stage.service.post("/backup", r#"{"target":"dump"}"#).expect(200)));
        for (number, text) in ["first", "second"].into_iter().enumerate() {
            // Opens when a run reads it; what another one reads is another dump.
            fs::OpenOptions::new().write(true).open(&pipe).unwrap().write_all(text.as_bytes()).unwrap();
            while stage.service.get("/backups?target=dump").expect(200)["total"] == number {}
        }
        let made = both.map(|call| call.join().unwrap());
        assert!(made.iter().all(|m| m["status"] == "completed"), "{made:?}");
        assert_ne!(made[0]["checksum"], made[1]["checksum"], "each read what was there in its turn");
    });
    assert_eq!(stage.service.get("/backups?target=dump").expect(200)["total"], 2);
}
