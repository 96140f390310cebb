//! Many callers at once, callers who find no place, and callers who never finish what they say.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use chronos_tests::targets::QUIET;
use chronos_tests::{Program, Service, configure};

/// Callers at once, and requests of each.
const CALLERS: usize = 200;
const REQUESTS: usize = 4;
/// Files that the service has open beside its connections, while it makes a snapshot and answers.
const FILES_BESIDE: usize = 100;
/// Connections that say nothing: with all others, no more than one address may have.
const IDLE: usize = 150;
/// How long what must come is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

/// One connection that stays open.
struct Line(BufReader<TcpStream>);

impl Line {
    fn open(service: &Service) -> Self {
        let stream = TcpStream::connect(service.url().strip_prefix("http://").unwrap()).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends these bytes and nothing more.
    fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// Asks, and gives status and body.
    fn ask(&mut self, method: &str, path: &str, body: &str) -> (u16, String) {
        let length = body.len();
        self.say(&format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("no status: {line:?}")).parse().unwrap();
        let mut length = 0;
        loop {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            match line.trim_end().split_once(": ") {
                None => break,
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().unwrap();
                }
                Some(_) => {}
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        (status, String::from_utf8(body).unwrap())
    }
}

/// A home with one target, whose dump comes when somebody writes it.
fn home(more: &str) -> Program {
    let program = Program::with_repository();
    let config = r#"
[[target]]
name = "shop"
[[target.source]]
name = "dump"
kind = "command"
component = "database"
command = "cat HOME/pipe"
filename = "shop.sql"
"#;
    configure(&program, &[more, "\n", QUIET, config].concat());
    let made = std::process::Command::new("mkfifo").arg(program.home().join("pipe")).status().unwrap();
    assert!(made.success());
    program
}

/// A service that makes a snapshot while `during` goes on: the answer to who asked for it.
fn during_a_backup(service: &Service, during: impl FnOnce()) -> (u16, String) {
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| Line::open(service).ask("POST", "/backup", r#"{"target": "shop"}"#));
        // Opened once the command reads it: the backup has begun.
        let mut pipe = std::fs::OpenOptions::new().write(true).open(service.path("pipe")).unwrap();
        during();
        pipe.write_all(b"select 1;\n").unwrap();
        drop(pipe);
        asked.join().unwrap()
    })
}

fn open_files(service: &Service) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", service.pid())).unwrap().count()
}

/// Waits until there are at most so many open files.
fn files_are_closed(service: &Service, most: usize) {
    let begin = Instant::now();
    while open_files(service) > most {
        assert!(begin.elapsed() < PATIENCE, "{} files are still open", open_files(service));
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

#[test]
fn two_hundred_callers_are_answered_while_a_backup_runs() {
    let service = Service::start(home(""), &[]);
    let before = open_files(&service);
    let paths = ["/backups?limit=10", "/list", "/health"];
    let (status, body) = during_a_backup(&service, || {
        let all = Barrier::new(CALLERS + 1);
        std::thread::scope(|scope| {
            for number in 0..CALLERS {
                let (all, service) = (&all, &service);
                scope.spawn(move || {
                    let mut line = Line::open(service);
                    for request in 0..REQUESTS {
                        let path = paths[(number + request) % paths.len()];
                        let (status, body) = line.ask("GET", path, "");
                        assert_eq!(status, 200, "{path}: {body}");
                    }
                    all.wait();
                    all.wait();
                });
            }
            all.wait();
            let open = open_files(&service);
            assert!(open <= CALLERS + FILES_BESIDE, "{open}");
            all.wait();
        });
    });
    assert_eq!(status, 200, "{body}");
    assert!(body.contains(r#""status":"completed""#), "{body}");
    files_are_closed(&service, before + FILES_BESIDE / 2);
    assert_eq!(service.get("/backups").expect(200)["total"], 1);
}

#[test]
fn who_finds_no_place_is_told_when_to_come_again_and_health_is_told_to_everybody() {
    let service = Service::start(home("[service]\nconcurrent_max = 1"), &[]);
    let (status, body) = during_a_backup(&service, || {
        let full = service.get("/backups");
        assert!(full.problem(503).contains("no more are taken"), "{}", full.text);
        assert_eq!(full.json()["state"], "overloaded");
        assert!(full.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
        service.post("/backup", r#"{"target": "shop"}"#).problem(503);
        assert_eq!(service.get("/health").expect(200)["status"], "healthy");
        assert_eq!(service.get("/metrics").status, 200);
        assert_eq!(service.get("/openapi.json").status, 200);
    });
    assert_eq!(status, 200, "{body}");
    assert_eq!(service.get("/backups").expect(200)["total"], 1);
    let key = [("idempotency-key", "one")];
    service.call("POST", "/verify", &key, r#"{"backup_id": "latest"}"#).expect(200);
    let again = service.call("POST", "/verify", &key, r#"{"backup_id": "latest"}"#);
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")), "{}", again.text);
}

#[test]
fn callers_who_say_nothing_or_never_finish_keep_nobody_out() {
    let service = Service::start(home("[service]\nconcurrent_max = 4"), &[]);
    let lines = |number: usize, said: &str| -> Vec<Line> {
        let opened = std::iter::repeat_with(|| Line::open(&service)).take(number);
        opened
            .map(|mut line| {
                line.say(said);
                line
            })
            .collect()
    };
    let idle = lines(IDLE, "");
    let heads = lines(20, "GET /backups HTTP/1.1\r\nHost: local");
    let bodies =
        lines(20, "POST /backup HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{\"target\"");
    let (status, body) = during_a_backup(&service, || {
        service.get("/backups").expect(200);
        service.get("/health").expect(200);
    });
    assert_eq!(status, 200, "{body}");
    drop((idle, heads, bodies));
    files_are_closed(&service, FILES_BESIDE);
}

#[test]
fn connections_leave_files_for_work() {
    let program = home("");
    let words = ["serve", "--chronos-listen", "127.0.0.1:0"];
    let command = program.command_under(&["prlimit", "--nofile=128:128"], words);
    let service = Service::of(program, command);
    let mut first = Line::open(&service);
    assert_eq!(first.ask("GET", "/health", "").0, 200);
    // More than one address may have: the others are closed.
    let idle: Vec<Line> = std::iter::repeat_with(|| Line::open(&service)).take(150).collect();
    let write = || std::fs::write(service.path("pipe"), "select 1;\n").unwrap();
    let (status, body) = std::thread::scope(|scope| {
        scope.spawn(write);
        first.ask("POST", "/backup", r#"{"target": "shop"}"#)
    });
    assert_eq!(status, 200, "{body}");
    assert!(body.contains(r#""status":"completed""#), "{body}");
    let open = open_files(&service);
    assert!(open < 128, "{open}");
    drop(idle);
    assert_eq!(first.ask("GET", "/health", "").0, 200);
}
