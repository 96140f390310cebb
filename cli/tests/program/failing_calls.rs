//! A disk that is full or fails at any one call: the command succeeds or says what failed, nothing reported is lost, and
//! the next run works.
//!
//! `strace` lets the n-th call of a kind fail in each thread, for each kind and each n, until none is left to fail. The short form skips
//! ever more of the calls of which there are many and alternates between the errors; `CHRONOS_LONG=1` leaves out
//! nothing, `CHRONOS_LONG=3/5` is the third fifth of that.

use std::collections::BTreeMap;

use crate::support::{Home, Ran, finish, is_long, long_share, noise, tell};
use crate::three_files::{is_old_or_new, is_same, lay_target, write};

/// Calls that make, fill, sync, move or remove something.
const CALLS: [&str; 16] = [
    "mkdir",
    "mkdirat",
    "openat",
    "write",
    "pwrite64",
    "ftruncate",
    "fallocate",
    "fdatasync",
    "fsync",
    "renameat2",
    "linkat",
    "symlinkat",
    "unlink",
    "unlinkat",
    "utimensat",
    "fchmod",
];
/// More than any run here makes of one kind.
const TURNS_MAX: usize = 10_000;
/// So many calls of one kind fail one by one in the short form, then each next one comes later by a third.
const ONE_BY_ONE: usize = 6;
/// Errors of the system, and how people are told of them.
const ERRORS: [(&str, &str); 2] = [("ENOSPC", "No space left on device"), ("EIO", "Input/output error")];

/// What failed, and what came of it.
struct Failed {
    ran: Ran,
    /// The words for the error.
    words: &'static str,
    /// For messages of the test.
    at: String,
    /// The output of the program was what failed.
    is_output: bool,
    /// In how many threads a call failed.
    calls: usize,
}

impl Failed {
    /// The command did its work, or said what went wrong with what.
    #[track_caller]
    fn is_told(&self) {
        let (code, said) = (self.ran.code, &self.ran.stderr);
        // A key file or configuration that cannot be read is as good as one that is wrong.
        let is_usage = code == 2 && (said.contains("key file") || said.contains("chronos.toml"));
        assert!([0, 1, 3].contains(&code) || is_usage, "{}: {:?}", self.at, self.ran);
        assert!(!said.contains("panicked"), "{}: {said}", self.at);
        if code != 0 && !self.is_output {
            assert!(said.contains(self.words) && said.contains('/'), "{}: {said}", self.at);
        }
    }
}

/// Runs `args` with one failing call; `None` if there was no such call.
fn run_failing(home: &Home, call: &str, turn: usize, error: usize, args: &[&str]) -> Option<Failed> {
    let (name, words) = ERRORS[error];
    let log = home.path("strace.log");
    let inject = format!("inject={call}:error={name}:when={turn}");
    let trace = format!("trace={call}");
    let strace = ["strace", "-f", "-qq", "-y", "-o", log.to_str().unwrap(), "-e", &trace, "-e", &inject];
    let ran = finish(home.command_under(&strace, args).spawn().unwrap());
    let trace = std::fs::read_to_string(&log).unwrap();
    let struck: Vec<_> = trace.lines().filter(|line| line.contains("(INJECTED)")).collect();
    let first = *struck.first()?;
    let is_output = |line: &&str| ["write(1<", "write(2<"].iter().any(|output| line.contains(output));
    let is_output = struck.iter().any(is_output);
    Some(Failed { ran, words, at: format!("{args:?}: {first}"), is_output, calls: struck.len() })
}

/// Which calls of a kind fail with an error, one in each run, if there are enough of them.
fn turns(kind: usize, error: usize) -> impl Iterator<Item = usize> {
    let share = long_share();
    let step = if is_long() { share.of } else { ERRORS.len() };
    let first = 1 + (error + kind + share.nth) % step;
    std::iter::successors(Some(first), move |turn| {
        Some(match *turn {
            turn if is_long() || turn <= ONE_BY_ONE => turn + step,
            many => many + many.div_ceil(3),
        })
    })
}

/// How many calls of each kind a run makes that nothing disturbs, in the thread that makes most of them: the n-th call of
/// every thread fails at once.
fn count_calls(home: &Home, args: &[&str]) -> [usize; CALLS.len()] {
    let log = home.path("strace.log");
    let trace = format!("trace={}", CALLS.join(","));
    let strace = ["strace", "-f", "-qq", "-o", log.to_str().unwrap(), "-e", &trace];
    finish(home.command_under(&strace, args).spawn().unwrap()).code(0);
    let trace = std::fs::read_to_string(&log).unwrap();
    let mut counts = BTreeMap::new();
    for line in trace.lines() {
        let mut words = line.split([' ', '(']).filter(|word| !word.is_empty());
        let (thread, call) = (words.next().unwrap(), words.next().unwrap());
        *counts.entry((call, thread)).or_insert(0) += 1;
    }
    CALLS.map(|call| counts.iter().filter(|((name, _), _)| *name == call).map(|(_, n)| *n).max().unwrap_or(0))
}

/// Lets `args` fail everywhere. `before` is told how often it failed until then.
fn fail_everywhere(
    home: &Home,
    args: &[&str],
    before: impl Fn(usize),
    mut after: impl FnMut(usize, &Failed),
) {
    // The first run of all makes folders and caches.
    before(0);
    home.run(args).code(0);
    before(0);
    let calls = count_calls(home, args);
    let (mut failures, mut wanted, mut struck) = (0, 0, 0);
    for (kind, call) in CALLS.iter().enumerate() {
        for error in 0..ERRORS.len() {
            wanted += turns(kind, error).take_while(|turn| *turn <= calls[kind]).count();
            for turn in turns(kind, error) {
                assert!(turn < TURNS_MAX, "{call} is called without end");
                before(failures);
                let Some(failed) = run_failing(home, call, turn, error, args) else { break };
                failures += 1;
                struck += failed.calls;
                failed.is_told();
                after(failures, &failed);
            }
        }
    }
    tell(format_args!(
        "{args:?}: {failures} runs in which {struck} calls failed, of {calls:?} in one thread"
    ));
    // Runs differ by a few calls, as what their threads do at the same time does.
    assert!(failures >= wanted - wanted / 4, "{failures} runs, {wanted} were to be");
    assert!(calls.iter().sum::<usize>() >= 20, "{calls:?}");
}

/// A home with one snapshot.
fn begun() -> Home {
    let home = Home::new();
    write(&home, 0, "first");
    home.run(["backup", "data"]).code(0);
    home
}

/// The newest snapshot restores, a check of every byte finds nothing, a prune gives back all there is.
fn ends_well(home: &Home) {
    home.is_sound();
    home.run(["backup", "data"]).code(0);
    home.run(["restore", &format!("latest:/{}", home.inside("data")), "--to", "ended"]).code(0);
    is_same(home, &home.path("ended"));
    home.run(["prune"]).code(0);
    home.is_sound();
    assert_eq!(home.not_given_back(), None);
}

#[test]
fn a_backup_whose_calls_fail() {
    let home = begun();
    let mut reported = home.snapshots();
    let args = ["backup", "data", "--json"];
    fail_everywhere(
        &home,
        &args,
        |failures| write(&home, failures, "failing"),
        |failures, failed| {
            if failed.ran.code == 0 && !failed.is_output {
                reported.push(failed.ran.json()["backup_id"].as_str().unwrap().to_owned());
            }
            home.run(["check", "--read-data"]).code(0);
            write(&home, failures, "next");
            let next = home.run(args).code(0).json();
            reported.push(next["backup_id"].as_str().unwrap().to_owned());
            let listed = home.snapshots();
            assert!(reported.iter().all(|id| listed.contains(id)), "{}", failed.at);
        },
    );
    ends_well(&home);
    for id in reported.iter().step_by((reported.len() / 5).max(1)) {
        home.run(["verify", id]).code(0);
    }
}

#[test]
fn a_first_backup_whose_calls_fail() {
    let home = Home::new();
    write(&home, 0, "first");
    let clear = |_| {
        for own in [".local", ".cache", ".config"] {
            std::fs::remove_dir_all(home.path(own)).unwrap_or_default();
        }
    };
    fail_everywhere(&home, &["backup", "data"], clear, |_, failed| {
        let next = home.run(["backup", "data"]);
        assert_eq!(next.code, 0, "{}: {:?}, then {next:?}", failed.at, failed.ran);
        home.is_sound();
    });
    ends_well(&home);
}

#[test]
fn a_prune_whose_calls_fail() {
    let home = begun();
    home.run(["hold", "latest"]).code(0);
    let fill = |failures: usize| {
        write(&home, failures, "kept");
        home.file("data/gone", &noise((failures as u8).wrapping_add(100), 60_000));
        home.run(["backup", "data"]).code(0);
        home.run(["forget", "--keep-last", "1"]).code(0);
    };
    fail_everywhere(&home, &["prune"], fill, |_, failed| {
        let found = home.run(["check", "--read-data"]);
        assert_eq!(found.code, 0, "{}: {found:?}", failed.at);
        home.run(["prune"]).code(0);
        assert_eq!(home.not_given_back(), None, "{}", failed.at);
    });
    assert_eq!(home.snapshots().len(), 2, "the newest one and the held one");
    ends_well(&home);
}

#[test]
fn a_forgetting_and_a_new_key_whose_calls_fail() {
    let home = begun();
    let first = home.snapshots().remove(0);
    let bring_back = |_| {
        if home.snapshots().is_empty() {
            home.run(["undelete", &first]).code(0);
        }
    };
    fail_everywhere(&home, &["delete", &first], bring_back, |_, failed| {
        assert!(failed.ran.code != 0 || home.snapshots().is_empty(), "{}", failed.at);
        home.run(["check"]).code(0);
    });
    bring_back(0);
    let second = home.path("second.key").display().to_string();
    let remove = |_| std::fs::remove_file(&second).unwrap_or_default();
    let slots = || home.run(["keys", "list", "--json"]).code(0).json().as_array().unwrap().clone();
    fail_everywhere(&home, &["keys", "add", "--new-key-file", &second], remove, |_, failed| {
        if failed.ran.code == 0 {
            home.run(["snapshots", "--key-file", &second]).code(0);
        }
        for slot in slots().iter().filter(|slot| slot["current"] != true) {
            home.run(["keys", "remove", slot["slot"].as_str().unwrap()]).code(0);
        }
    });
    ends_well(&home);
}

#[test]
fn a_restore_whose_calls_fail() {
    let home = Home::new();
    write(&home, 0, "of the snapshot");
    home.run(["backup", "data"]).code(0);
    let part = format!("latest:/{}", home.inside("data"));
    let args = ["restore", &part, "--to", "target", "--strategy", "replace", "--no-restore-point"];
    fail_everywhere(
        &home,
        &args,
        |_| lay_target(&home),
        |_, failed| {
            let is_old = is_old_or_new(&home, &part, &failed.at);
            assert!(!is_old || failed.ran.code != 0, "{}: {:?}", failed.at, failed.ran);
        },
    );
    ends_well(&home);
}
