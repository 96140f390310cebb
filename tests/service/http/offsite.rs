//! Copies at other places: kept after each backup and by schedules, without delaying a backup; asked for; told of when they fail or
//! lag behind; gone on with after a kill; and each enough by itself to restore everything on another machine.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use chronos_tests::compare::differences;
use chronos_tests::targets::{NOTES, QUIET};
use chronos_tests::{Program, S3_BUCKET, S3Fault, S3Rule, S3Server, Service, Sshd, configure};
use serde_json::{Value, json};

use super::events::Told;
use super::jobs::{state, three_days_go_by};

/// Longest that anything here may take.
const LIMIT: Duration = Duration::from_mins(1);

type Variables = Vec<(&'static str, String)>;

fn home(config: &str) -> Program {
    let program = Program::with_repository();
    configure(&program, &[config, NOTES].concat());
    fs::create_dir(program.home().join("notes")).unwrap();
    fs::write(program.home().join("notes/a.txt"), "a").unwrap();
    program
}

fn serve(program: Program, variables: &Variables) -> Service {
    let mut command = program.command(["serve", "--chronos-listen", "127.0.0.1:0"]);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    Service::of(program, command)
}

/// Something new, backed up.
fn backed_up(service: &Service) {
    let notes = service.path("notes");
    let count = fs::read_dir(&notes).unwrap().count();
    fs::write(notes.join(format!("{count}.txt")), "more").unwrap();
    let made = service.post("/backup", r#"{"target":"notes"}"#).expect(200);
    assert_eq!(made["status"], "completed", "{made}");
}

/// How the only copy stands, once that is so.
#[track_caller]
fn copy_once(service: &Service, is_so: impl Fn(&Value) -> bool) -> Value {
    let limit = Instant::now() + LIMIT;
    loop {
        let copy = service.get("/health").expect(200)["offsite"][0].clone();
        if is_so(&copy) {
            return copy;
        }
        assert!(Instant::now() < limit, "{copy} {}", service.log());
        std::thread::yield_now();
    }
}

fn is_whole(copy: &Value) -> bool {
    copy["snapshots_missing"] == 0 && copy["status"] == "completed"
}

/// The jobs that copy, newest first.
fn syncs(service: &Service) -> Vec<Value> {
    service.get("/jobs?kind=sync").expect(200)["jobs"].as_array().unwrap().clone()
}

/// On another machine, which has the key and the copy alone, everything comes back.
fn restores_alone(service: &Service, location: &str, variables: &Variables) {
    let other = Program::at(location, variables);
    fs::create_dir_all(other.home().join(".config/chronos/keys")).unwrap();
    for key in fs::read_dir(service.path(".config/chronos/keys")).unwrap() {
        let key = key.unwrap();
        fs::copy(key.path(), other.home().join(".config/chronos/keys").join(key.file_name())).unwrap();
    }
    other.run(["-r", location, "restore", "latest", "--to", "back"]).expect_code(0);
    let notes = service.path("notes");
    let back = other.home().join("back").join(notes.strip_prefix("/").unwrap());
    assert_eq!(differences(&notes, &back), [""; 0]);
    other.run(["-r", location, "check", "--read-data"]).expect_code(0);
}

#[test]
fn a_bucket_alone_is_enough_for_a_copy_after_each_backup_that_restores_everything() {
    let (server, bus) = (S3Server::new(), Told::start());
    let mut variables: Variables = server.variables().to_vec();
    variables.push(("AWS_ENDPOINT_URL", server.endpoint()));
    variables.push(("S3_BUCKET", S3_BUCKET.to_owned()));
    variables.push(("EVENT_BUS_URL", bus.server.url()));
    let service = serve(home(QUIET), &variables);
    backed_up(&service);
    let copy = copy_once(&service, is_whole);
    let destination = format!("s3://{S3_BUCKET}/chronos");
    assert_eq!((&copy["destination"], &copy["lag_seconds"]), (&json!(destination), &json!(0)), "{copy}");
    assert!(server.objects().content().keys().all(|key| key.starts_with("chronos/")));
    let event = bus.event("sync_completed");
    assert_eq!(event["target"], destination.as_str(), "{event}");
    assert_eq!(event["details"]["status"], "completed", "{event}");
    assert!(event["details"]["objects"].as_u64() > Some(0) && event["details"]["bytes"].as_u64() > Some(0));
    let metrics = service.get("/metrics").text;
    let metric = |name: &str| format!("chronos_offsite_{name}{{destination=\"{destination}\"}} ");
    assert!(metrics.contains(&format!("{}0\n", metric("snapshots_missing"))), "{metrics}");
    assert!(metrics.contains(&metric("last_success_timestamp_seconds")), "{metrics}");
    assert!(!metrics.contains(&format!("{}0\n", metric("bytes_copied_total"))), "{metrics}");
    restores_alone(&service, &server.location("chronos"), &variables);
}

#[test]
fn a_copy_on_another_host_is_kept_and_can_be_asked_for() {
    let server = Sshd::new();
    let variables = server.variables(&server.folder().join("ssh_config"));
    let location = server.location("copy");
    let service =
        serve(home(&format!("[[offsite]]\nto = {location:?}\nafter_backup = false\n{QUIET}")), &variables);
    backed_up(&service);
    let before = service.get("/health").expect(200)["offsite"][0].clone();
    assert_eq!((&before["status"], &before["snapshots_missing"]), (&Value::Null, &json!(1)), "{before}");
    let other = service.post("/sync", r#"{"to":"sftp://elsewhere/x"}"#).problem(422);
    assert!(other.contains("no copy is kept at"), "{other}");
    let done = service.post("/sync", "{}").expect(200);
    assert_eq!(
        (&done["status"], &done["syncs"][0]["destination"]),
        (&json!("completed"), &json!(location)),
        "{done}"
    );
    copy_once(&service, is_whole);
    restores_alone(&service, &location, &variables);
    let job = service
        .post("/sync", &json!({ "to": location, "check": true, "wait": false }).to_string())
        .expect(202);
    let job = super::jobs::ended(&service, job["id"].as_str().unwrap());
    assert_eq!((&job["status"], &job["target"]), (&json!("completed"), &json!(location)), "{job}");
    assert_eq!(job["result"]["syncs"][0]["objects_copied"], 0, "{job}");
}

#[test]
fn a_copy_that_cannot_be_reached_is_told_of_and_lags_until_it_can_and_no_backup_fails_for_it() {
    let (server, bus) = (S3Server::new(), Told::start());
    let offsite = format!("[[offsite]]\nto = {:?}\nmax_lag = \"1s\"\n", server.location("copy"));
    let mut variables: Variables = server.variables().to_vec();
    variables.push(("EVENT_BUS_URL", bus.server.url()));
    let service = serve(home(&format!("{offsite}{QUIET}")), &variables);
    backed_up(&service);
    copy_once(&service, is_whole);
    server.add(S3Rule::always(None, S3Fault::Refused(403)));
    backed_up(&service);
    let late = copy_once(&service, |copy| copy["late"] == true && copy["status"] == "failed");
    assert_eq!(late["snapshots_missing"], 1, "{late}");
    assert!(late["failures"].as_u64() > Some(0), "{late}");
    let health = service.get("/health").expect(200);
    assert_eq!(health["status"], "degraded", "{health}");
    let problems = health["problems"].to_string();
    assert!(problems.contains("the last copy to") && problems.contains("lacks 1 snapshot"), "{problems}");
    assert_eq!(bus.event("sync_failed")["details"]["status"], "failed");
    let doctor = service.program().run(["doctor"]);
    assert!(
        doctor.stdout.contains("warning  offsite") && doctor.stdout.contains("1 snapshot missing"),
        "{doctor:?}"
    );
    server.heal();
    backed_up(&service);
    let copy = copy_once(&service, is_whole);
    assert_eq!((&copy["late"], &copy["lag_seconds"]), (&json!(false), &json!(0)), "{copy}");
    assert_eq!(service.get("/health").expect(200)["status"], "healthy");
}

/// A server that is reached by an `ssh` which waits at a gate while a file says so.
struct Gated {
    server: Sshd,
    variables: Variables,
}

impl Gated {
    fn new() -> Self {
        let server = Sshd::new();
        let lines = "test ! -e hold || { touch reached; read line <gate; }\nexec ssh \"$@\"";
        let variables = server.instead_of_ssh("gated", lines);
        assert!(Command::new("mkfifo").arg(server.folder().join("gate")).status().unwrap().success());
        fs::write(server.folder().join("hold"), "").unwrap();
        Self { server, variables }
    }

    fn service(&self) -> Service {
        let location = self.server.location("copy");
        serve(home(&format!("[[offsite]]\nto = {location:?}\n{QUIET}")), &self.variables)
    }

    fn wait_until_reached(&self) {
        let limit = Instant::now() + LIMIT;
        while !self.server.folder().join("reached").exists() {
            assert!(Instant::now() < limit);
            std::thread::yield_now();
        }
    }

    fn open(&self) {
        fs::remove_file(self.server.folder().join("hold")).unwrap();
        // Also where nobody waits any more.
        let gate = OpenOptions::new().read(true).write(true).open(self.server.folder().join("gate"));
        gate.unwrap().write_all(b"go\n").unwrap();
    }
}

#[test]
fn backups_go_on_while_a_copy_does_and_ask_for_one_more_together() {
    let gated = Gated::new();
    let service = gated.service();
    backed_up(&service);
    gated.wait_until_reached();
    (0..4).for_each(|_| backed_up(&service));
    let held: Vec<Value> = syncs(&service).iter().map(|job| job["status"].clone()).collect();
    assert_eq!(held, ["queued", "running"]);
    gated.open();
    copy_once(&service, is_whole);
    let jobs = syncs(&service);
    assert!(jobs.len() == 2 && jobs.iter().all(|job| job["error"].is_null()), "{jobs:?}");
    restores_alone(&service, &gated.server.location("copy"), &gated.variables);
}

#[test]
fn a_copy_whose_service_is_killed_is_gone_on_with_by_the_next() {
    let gated = Gated::new();
    let service = gated.service();
    backed_up(&service);
    gated.wait_until_reached();
    let program = service.killed();
    gated.open();
    let service = serve(program, &gated.variables);
    copy_once(&service, is_whole);
    let jobs = syncs(&service);
    // What was stored while it went on may have asked for one more.
    assert_eq!(jobs.last().unwrap()["attempts"], 2, "{jobs:?}");
    restores_alone(&service, &gated.server.location("copy"), &gated.variables);
}

#[test]
fn a_schedule_copies_when_it_is_due_and_then_no_backup_does() {
    let server = S3Server::new();
    let config = format!(
        "[[offsite]]\nto = {:?}\n[[schedule]]\nname = \"nightly\"\njob = \"sync\"\ncron = \"@daily\"\n",
        server.location("copy")
    );
    let variables: Variables = server.variables().to_vec();
    let service = serve(home(&config), &variables);
    backed_up(&service);
    let since = "SELECT count(*) FROM offsite";
    let limit = Instant::now() + LIMIT;
    while state(service.program()).query_row(since, [], |row| row.get::<_, u32>(0)).unwrap() == 0 {
        assert!(Instant::now() < limit);
        std::thread::yield_now();
    }
    assert_eq!(syncs(&service), [Value::Null; 0], "a schedule says when");
    let program = service.killed();
    three_days_go_by(&program);
    let service = serve(program, &variables);
    copy_once(&service, is_whole);
    let jobs = syncs(&service);
    assert_eq!((jobs.len(), &jobs[0]["schedule"]), (1, &json!("nightly")), "{jobs:?}");
    assert_eq!(service.get("/schedules").expect(200)["schedules"][0]["job"], "sync");
    let target = r#"{"cron":"@daily","job":"sync","target":"notes"}"#;
    assert!(service.post("/schedules", target).problem(422).contains("belongs to other jobs"));
    let added = service.post("/schedules", r#"{"cron":"@weekly","job":"sync"}"#).expect(200);
    assert_eq!(added["id"], "sync", "{added}");
}
