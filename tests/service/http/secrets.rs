//! Secrets that are given to the program appear nowhere: not in its log at its most talkative, in answers, events, hooks, lists of
//! processes, local files, or the bytes of the repository, whether what they open works or fails and says them back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use chronos_tests::postgres::{Postgres, programs};
use chronos_tests::targets::QUIET;
use chronos_tests::{HttpServer, N8n, Program, Request, Response, Service, configure, n8n};
use serde_json::json;

const PASSWORD: &str = "cnry-opens-the-repository";
/// In an address these characters are written as `%2F` and `%25`.
const DATABASE: [&str; 2] = ["cnry/of%the-database", "cnry%2Fof%25the-database"];
const WRONG: &str = "cnry-no-such-password";
const REFUSED_KEY: &str = "cnry-key-that-is-refused";
const PROXY: &str = "cnry-of-the-proxy";
const BUS: &str = "cnry-token-of-the-bus";
const WEBHOOK: &str = "cnry-token-of-the-webhook";
const WEBHOOK_PATH: &str = "cnry-in-the-address";
const HOOK: &str = "cnry-token-of-the-hook";
const AWS: &str = "cnry-of-a-store";

/// What a hook gets, and what else the program starts, stands in these files of the home.
const CONFIG: &str = r#"
[events]
url = "BUS"
token = { file = "HOME/given/bus" }

[[notify]]
name = "hermes"
url = "ECHO/cnry-in-the-address"
token = "cnry-token-of-the-webhook"

[[hook]]
on = ["before_backup", "after_backup", "on_failure", "before_prune", "after_prune"]
command = "cat >> HOME/hooked; env >> HOME/hooked"
[[hook]]
on = ["after_backup", "on_failure"]
url = "ECHO/hook"
token = { command = "cat HOME/given/hook" }

[[target]]
name = "flows"
[[target.source]]
name = "n8n"
kind = "n8n"
url = "N8N"
api_key = { env = "FLOWS_KEY" }
user = "bot"
password = { file = "HOME/given/proxy" }

[[target]]
name = "refused"
[[target.source]]
name = "n8n"
kind = "n8n"
url = "ECHO"
api_key = "cnry-key-that-is-refused"
user = "bot"
password = { file = "HOME/given/proxy" }

[[target]]
name = "crm"
[[target.source]]
name = "db"
kind = "postgres"
url = { env = "CRM_URL" }

[[target]]
name = "locked"
[[target.source]]
name = "db"
kind = "postgres"
url = "LOCKED"

[[target]]
name = "gone"
[[target.source]]
name = "db"
kind = "postgres"
url = "postgresql://crm@127.0.0.1:1/crm"
password = { env = "GONE_PASSWORD" }
"#;

/// Starts the real program after it has noted what every process of this machine was started with.
const NOTES_PROCESSES: &str =
    "#!/bin/sh\ncat /proc/[0-9]*/cmdline >> \"$HOME/processes\" 2>/dev/null\nexec REAL \"$@\"\n";

/// Everything that somebody could see, with the place of each.
#[derive(Default)]
struct Seen(Vec<(String, Vec<u8>)>);

impl Seen {
    fn add(&mut self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push((place.into(), bytes.into()));
    }

    /// Every file below a folder but those by which secrets were given.
    fn files(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            self.add("names of files", path.to_str().unwrap());
            if path.ends_with("given") || path.ends_with("chronos.toml") {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                self.files(&path);
            } else if entry.file_type().unwrap().is_file() {
                self.add(path.display().to_string(), fs::read(path).unwrap());
            }
        }
    }

    /// Where any of these stands, in clear or as JSON has it.
    fn places(&self, secrets: &[String]) -> Vec<String> {
        let mut found = Vec::new();
        for (place, bytes) in &self.0 {
            let text = String::from_utf8_lossy(bytes);
            for secret in secrets {
                if let Some(at) = text.find(secret.as_str()) {
                    let from = text.floor_char_boundary(at.saturating_sub(150));
                    found.push(format!("{place}: …{}", &text[from..at + secret.len()]));
                }
            }
        }
        found
    }
}

/// Answers with all that was sent, as a server that says why.
fn echo(request: &Request) -> Response {
    let told = format!("{} {:?} {}", request.target, request.headers, String::from_utf8_lossy(&request.body));
    let status = match request.path() {
        "/" => 200,
        "/hook" => 500,
        _ => 401,
    };
    Response::json(status, &json!({ "message": told, "error": told }))
}

/// The servers of one test.
struct Stage {
    n8n: std::sync::MutexGuard<'static, N8n>,
    _postgres: Arc<Postgres>,
    echo: HttpServer,
    bus: HttpServer,
    /// In front of n8n.
    proxy: HttpServer,
    service: Service,
    /// Lets its bearer read.
    token: String,
    environment: Vec<(&'static str, String)>,
    seen: Mutex<Seen>,
}

impl Stage {
    fn start() -> Self {
        let (n8n, postgres) = (n8n("2.8.4"), Postgres::shared());
        n8n.call("POST", "workflows", Some(&crate::n8n::workflows::manual(1)));
        let role = "CREATE ROLE secretive SUPERUSER LOGIN PASSWORD ";
        postgres.sql("postgres", &format!("{role}'{}'", DATABASE[0]));
        postgres.sql("postgres", "CREATE DATABASE secretive OWNER secretive");
        let echo = HttpServer::start(echo);
        let bus = HttpServer::start(|_| Response::json(200, &json!({})));
        let proxy = HttpServer::pass_on(&n8n.url(), |_| {});
        let program = Program::new();
        let config = [QUIET, CONFIG]
            .concat()
            .replace("BUS", &bus.url())
            .replace("ECHO", &echo.url())
            .replace("N8N", &proxy.url());
        configure(&program, &config.replace("LOCKED", &postgres.url("secretive", WRONG, "secretive")));
        given(&program);
        let environment = vec![
            ("CHRONOS_PASSWORD", PASSWORD.to_owned()),
            ("FLOWS_KEY", n8n.key.clone()),
            ("CRM_URL", postgres.url("secretive", DATABASE[1], "secretive")),
            ("GONE_PASSWORD", WRONG.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", AWS.to_owned()),
            ("PATH", format!("{}/bin:{}", program.home().display(), std::env::var("PATH").unwrap())),
        ];
        program.command(["init"]).envs(environment.clone()).status().unwrap();
        let file = program.home().join("tokens").display().to_string();
        let add = ["tokens", "add", "reader", "--role", "read", "--token-file", &file];
        let token = program.run(add).expect_code(0).stdout.trim().to_owned();
        let mut command = program.command([
            "serve",
            "--chronos-listen",
            "127.0.0.1:0",
            "--log",
            "trace",
            "--token-file",
            &file,
        ]);
        command.envs(environment.clone());
        let service = Service::of(program, command);
        Self {
            n8n,
            _postgres: postgres,
            echo,
            bus,
            proxy,
            service,
            token,
            environment,
            seen: Mutex::default(),
        }
    }

    /// Makes a call; whatever is answered was seen.
    fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> u16 {
        let answer = self.service.call(method, path, headers, body);
        let text = format!("{:?}\n{}", answer.headers, answer.text);
        self.seen.lock().unwrap().add(format!("{method} {path}"), text);
        answer.status
    }

    /// Runs a command in the same home; whatever it says was seen.
    fn run(&self, args: &[&str]) -> Option<i32> {
        let output = self.service.program().command(args).envs(self.environment.clone()).output().unwrap();
        let mut seen = self.seen.lock().unwrap();
        seen.add(format!("output of {args:?}"), output.stdout);
        seen.add(format!("messages of {args:?}"), output.stderr);
        output.status.code()
    }
}

/// Files that give secrets, and client programs that look at the list of processes.
fn given(program: &Program) {
    let home = program.home();
    fs::create_dir_all(home.join("given")).unwrap();
    for (name, secret) in [("bus", BUS), ("hook", HOOK), ("proxy", PROXY)] {
        fs::write(home.join("given").join(name), format!("{secret}\n")).unwrap();
    }
    fs::create_dir(home.join("bin")).unwrap();
    for name in ["pg_dump", "pg_dumpall", "psql"] {
        let real = programs().join(name);
        let text = NOTES_PROCESSES.replace("REAL", real.to_str().unwrap());
        let path = home.join("bin").join(name);
        // Written by another process: a file that this one has open while it forks is not executed.
        let write = format!("printf '%s' \"$0\" > '{}'", path.display());
        assert!(Command::new("sh").args(["-c", &write, &text]).status().unwrap().success());
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Everything through the service: what succeeds, what fails, and what is told of it.
fn over_http(stage: &Stage) {
    let backup = |target: &str| stage.call("POST", "/backup", &[], &format!(r#"{{"target":"{target}"}}"#));
    for (target, status) in [("flows", 200), ("refused", 502), ("crm", 200), ("locked", 502), ("gone", 502)] {
        assert_eq!(backup(target), status, "{target}: {}", stage.service.log());
    }
    assert_eq!(stage.call("POST", "/backup", &[], r#"{"target":"refused","wait":false}"#), 202);
    stage.call("POST", "/verify", &[], r#"{"backup_id":"latest:crm"}"#);
    stage.call("POST", "/cleanup", &[], "");
    let paths = [
        "/health",
        "/metrics",
        "/openapi.json",
        "/backups",
        "/backups?status=failed",
        "/backups/latest:flows",
        "/jobs",
        "/schedules",
        "/verify/latest:flows",
        "/backups/nothing",
        "/list",
    ];
    for path in paths {
        stage.call("GET", path, &[], "");
    }
}

/// What the same installation says on a command line.
fn by_command(stage: &Stage) {
    let config: [&[&str]; 4] =
        [&["config", "show"], &["config", "show", "--json"], &["config", "check"], &["targets", "--json"]];
    for args in config {
        assert_eq!(stage.run(args), Some(0), "{args:?}");
    }
    for target in ["refused", "locked", "gone"] {
        assert_eq!(stage.run(&["-v", "backup", "--target", target]), Some(1));
    }
    for args in
        [&["jobs", "list"][..], &["snapshots", "--json"], &["doctor"], &["-v", "verify", "latest:crm"]]
    {
        stage.run(args);
    }
}

#[test]
fn secrets_that_are_given_appear_nowhere() {
    let stage = Stage::start();
    let token = stage.token.clone();
    let bearer = format!("Bearer {token}");
    assert_eq!(stage.call("GET", "/backups", &[("authorization", &bearer)], ""), 200);
    assert_eq!(stage.call("DELETE", "/backups/x", &[("authorization", &bearer)], ""), 403);
    let wrong = format!("Bearer {token}x");
    assert_eq!(stage.call("GET", "/backups", &[("authorization", &wrong)], ""), 401);
    over_http(&stage);
    by_command(&stage);

    let mut secrets: Vec<String> =
        [PASSWORD, WRONG, REFUSED_KEY, PROXY, BUS, WEBHOOK, WEBHOOK_PATH, HOOK, AWS]
            .into_iter()
            .chain(DATABASE)
            .map(str::to_owned)
            .collect();
    secrets.extend([stage.n8n.key.clone(), token]);
    // They did arrive where they belong, and what stands in a header is as secret as what it is made of.
    let sent = |server: &HttpServer, header: &str, text: &str| {
        let requests = server.requests();
        let values = requests.iter().filter_map(|r| r.header(header)).map(str::to_owned).collect::<Vec<_>>();
        assert!(values.iter().any(|v| v.contains(text)), "{header}: {text}: {values:?}");
        values
    };
    for value in sent(&stage.proxy, "authorization", "Basic ") {
        secrets.push(value.trim_start_matches("Basic ").to_owned());
    }
    secrets.sort();
    secrets.dedup();
    sent(&stage.proxy, "x-n8n-api-key", &stage.n8n.key);
    sent(&stage.echo, "x-n8n-api-key", REFUSED_KEY);
    sent(&stage.echo, "authorization", HOOK);
    sent(&stage.echo, "authorization", WEBHOOK);
    sent(&stage.bus, "authorization", BUS);

    stage.service.terminate();
    let Stage { service, seen, bus, echo, .. } = stage;
    let mut seen = seen.into_inner().unwrap();
    for request in bus.requests().iter().chain(echo.requests().iter()) {
        seen.add("what receivers were sent", request.body.clone());
    }
    let (code, log, program) = service.left();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("\"level\":\"DEBUG\""), "it says all that it can say");
    seen.add("log", log);
    seen.files(program.home());
    let noted = |name: &str| -> PathBuf { program.home().join(name) };
    assert!(fs::read_to_string(noted("processes")).unwrap().contains("--compress=0"));
    let hooked = fs::read_to_string(noted("hooked")).unwrap();
    assert!(hooked.contains("before_backup") && hooked.contains("\nPATH=") && hooked.contains("\nHOME="));
    let places = seen.places(&secrets);
    assert!(places.is_empty(), "{} places:\n{}", places.len(), places.join("\n"));
}
