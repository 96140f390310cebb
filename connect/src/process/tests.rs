//! Real commands: what they write, how they end, what is seen of their secrets.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::io::{ErrorKind as Io, Read};
use std::time::Instant;

use super::*;
use crate::error::ErrorKind;
use crate::prefix::Passing;

fn shell(script: &str) -> Process {
    Process::new(["sh", "-c", script])
}

/// All of a stream, as the engine reads it.
fn all(mut pump: Pump) -> io::Result<Vec<u8>> {
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 100_000]);
    loop {
        match pump.read(&mut piece) {
            Ok(0) => return Ok(bytes),
            Ok(n) => bytes.extend_from_slice(&piece[..n]),
            Err(e) if e.kind() == Io::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[test]
fn what_a_command_writes_is_streamed() {
    let bytes = all(shell("seq 1 300000").stream().unwrap()).unwrap();
    assert_eq!((bytes.len(), &bytes[..6]), (1_988_895, &b"1\n2\n3\n"[..]));
}

#[test]
fn a_command_that_fails_has_no_end_but_an_error() {
    let error = all(shell("echo data; echo no such database >&2; exit 3").stream().unwrap()).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("exit status: 3") && said.contains("no such database"), "{said}");
    let error = all(shell("kill -9 $$").stream().unwrap()).unwrap_err();
    assert!(error.to_string().contains("signal: 9"), "{error}");
    assert!(
        Process::new(["/no/such/program"]).stream().unwrap_err().to_string().contains("/no/such/program")
    );
}

#[test]
fn the_end_of_a_long_standard_error_is_kept() {
    let error = shell("seq 1 100000 >&2; echo the last word >&2; exit 1").output(10).unwrap_err().to_string();
    assert!(error.contains("the last word") && error.len() < 6_000, "{}", error.len());
}

/// Whether a process still runs.
fn runs(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn a_command_that_nobody_listens_to_is_killed_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pids");
    let script = format!("sleep 1000 & echo $! $$ > {0}.new; mv {0}.new {0}; wait", file.display());
    let mut pump = shell(&script).stream().unwrap();
    let pids = loop {
        // It says nothing, and a read tells so.
        assert_eq!(pump.read(&mut [0; 10]).unwrap_err().kind(), Io::Interrupted);
        if let Ok(pids) = fs::read_to_string(&file) {
            break pids;
        }
    };
    assert!(pids.split_whitespace().all(runs));
    drop(pump);
    let began = Instant::now();
    while pids.split_whitespace().any(runs) {
        assert!(began.elapsed() < Duration::from_mins(1), "{pids} still run");
        std::thread::yield_now();
    }
}

#[test]
fn time_is_limited() {
    let began = Instant::now();
    let limit = Some(Duration::from_millis(200));
    let error = shell("sleep 1000").time_limit(limit).output(10).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let error = all(shell("echo x; sleep 1000").time_limit(limit).stream().unwrap()).unwrap_err();
    assert!(error.to_string().contains("time limit"), "{error}");
    assert!(began.elapsed() < Duration::from_mins(1));
    assert_eq!(shell("echo x").time_limit(Some(Duration::from_mins(1))).output(10).unwrap(), b"x\n");
}

#[test]
fn more_output_than_expected_is_an_error() {
    assert_eq!(shell("printf 12345").output(5).unwrap(), b"12345");
    assert!(shell("printf 123456").output(5).unwrap_err().to_string().contains("more than 5"));
}

#[test]
fn secrets_are_in_no_argument_and_in_no_debug_output() {
    let secret = Secret::new("top-secret-value");
    let script = "cat /proc/$$/cmdline; printf %s \"$PASSWORD\" | wc -c";
    for passing in [Passing::Environment, Passing::StandardInput] {
        let process =
            shell(script).prefix(Prefix::default().passing(passing)).variable("PASSWORD", secret.clone());
        let said = String::from_utf8(process.output(10_000).unwrap()).unwrap();
        assert!(said.trim_end().ends_with("16") && !said.contains("top-secret"), "{said}");
        assert!(!format!("{process:?}{}", process.shown()).contains("top-secret"));
    }
}

#[test]
fn what_is_fed_comes_behind_the_variables() {
    for passing in [Passing::Environment, Passing::StandardInput] {
        let process = shell("printf %s \"$A\"; cat")
            .prefix(Prefix::default().passing(passing))
            .variable("A", Secret::new("a b'c"));
        let said = process
            .feed(100_000, |w| w.write_all(&vec![b'x'; 70_000]).map_err(|e| Error::file("x", e)))
            .unwrap();
        assert!(said.starts_with(b"a b'cxxx") && said.len() == 70_005, "{}", said.len());
    }
}

#[test]
fn a_command_may_end_before_it_has_taken_everything() {
    let write = |w: &mut dyn Write| {
        (0..100).try_for_each(|_| w.write_all(&vec![0; 100_000])).map_err(|e| Error::file("the output", e))
    };
    assert_eq!(shell("echo done").feed(100, write).unwrap(), b"done\n");
    let error = shell("echo refused >&2; exit 4").feed(100, write).unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
}

#[test]
fn a_command_whose_input_breaks_off_is_killed_before_it_sees_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("committed");
    let process = shell(&format!("cat >/dev/null; touch {}", mark.display()));
    let error = process.feed(100, |_| Err(Error::Invalid("not readable".to_owned()))).unwrap_err();
    assert!(error.to_string() == "not readable" && !fs::exists(mark).unwrap());
}

#[test]
fn variables_of_this_process_can_be_kept_from_it() {
    let count = |process: Process| process.output(100_000).unwrap().len();
    let listing = || Process::new(["env"]);
    assert!(count(listing().without_variables("PATH")) < count(listing()));
}

#[test]
fn it_inherits_all_variables_but_those_that_are_kept_from_it() {
    let lines = |process: Process| String::from_utf8(process.output(1 << 20).unwrap()).unwrap();
    let has = |said: &str, name: &str| said.lines().any(|line| line.starts_with(&format!("{name}=")));
    let all = lines(shell("env"));
    // Those of every test.
    assert!(has(&all, "PATH") && has(&all, "CARGO_PKG_NAME"), "{all}");
    let less = lines(shell("env").without(&["CARGO_PKG_NAME".to_owned()]));
    assert!(has(&less, "PATH") && !has(&less, "CARGO_PKG_NAME"), "{less}");
    let given = shell("env").variable("N8N_PASS", Secret::new("s3cr3t"));
    assert!(has(&lines(given), "N8N_PASS"), "what it is given it has");
    let hidden = |process: Process, name: &str| process.hidden.has(OsStr::new(name));
    assert!(hidden(shell(""), "DATABASE_URL_FILE") && !hidden(shell("").with_secrets(), "DATABASE_URL_FILE"));
}
