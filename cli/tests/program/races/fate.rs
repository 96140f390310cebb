//! What happens to a running process: it is left alone, stopped until others have done something, or killed.
//!
//! A stopped process sleeps until so many prunes of others have ended, however long that takes: no timer wakes it.

use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::content::Numbers;
use crate::support::{Ran, finish};

/// Prunes that a stopped process sleeps through.
const PRUNES_SLEPT: u64 = 2;
/// Whoever waits longer for two prunes waits for ever.
const HANGS: Duration = Duration::from_mins(5);
/// A moment is drawn from this many parts of the time that such a process takes.
const MOMENTS: u64 = 1000;

/// What all threads know of the others.
#[derive(Debug, Default)]
pub(crate) struct Board {
    told: Mutex<Told>,
    changed: Condvar,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// Prunes that came to their end.
    pub(crate) prunes: u64,
    /// Threads of keepers that are not asleep.
    pub(crate) pruners: u64,
    /// Threads that back up.
    pub(crate) writers: u64,
    /// Processes that slept through prunes, and that were killed.
    pub(crate) slept: u64,
    pub(crate) killed: u64,
}

impl Board {
    pub(crate) fn tell<T>(&self, change: impl FnOnce(&mut Told) -> T) -> T {
        let outcome = change(&mut self.told.lock().unwrap());
        self.changed.notify_all();
        outcome
    }

    pub(crate) fn look(&self) -> Told {
        self.told.lock().unwrap().clone()
    }

    fn sleep_through_prunes(&self) {
        let until = self.look().prunes + PRUNES_SLEPT;
        let waits = |told: &mut Told| told.prunes < until && told.pruners > 0;
        let told = self.told.lock().unwrap();
        let (_told, late) = self.changed.wait_timeout_while(told, HANGS, waits).unwrap();
        assert!(!late.timed_out(), "prunes wait for a stopped process");
    }
}

/// How long processes of one kind take.
#[derive(Debug)]
pub(crate) struct Pace(Duration);

impl Pace {
    pub(crate) fn new() -> Self {
        Self(Duration::from_millis(40))
    }

    fn took(&mut self, time: Duration) {
        self.0 = (self.0 * 7 + time) / 8;
    }
}

/// Lets a process run to its end: stopped once or twice, or killed, at random moments. Tells how it ended, and `None` if it was
/// killed before.
pub(crate) fn run_to_fate(
    board: &Board,
    numbers: &mut Numbers,
    pace: &mut Pace,
    child: Child,
    keeper: bool,
) -> Option<Ran> {
    let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
    let (send, ended) = channel();
    let waiter = thread::spawn(move || send.send(finish(child)).unwrap());
    let begun = Instant::now();
    let (stops, dies) = match numbers.below(10) {
        0..4 => (0, false),
        4..7 => (1, false),
        7 => (2, false),
        8 => (0, true),
        _ => (1, true),
    };
    let mut outcome = None;
    for _ in 0..stops {
        outcome = outcome.or_else(|| soon(numbers, pace, &ended));
        if outcome.is_none() {
            stop(board, pid, keeper);
        }
    }
    if dies {
        outcome = outcome.or_else(|| soon(numbers, pace, &ended));
        if outcome.is_none() {
            send_signal(pid, Signal::KILL);
            board.tell(|told| told.killed += 1);
        }
    }
    let outcome = outcome.unwrap_or_else(|| ended.recv().unwrap());
    waiter.join().unwrap();
    if stops == 0 && !dies {
        pace.took(begun.elapsed());
    }
    (outcome.code != -1).then_some(outcome)
}

/// Waits for a random moment in the life of a process, or for its end.
fn soon(numbers: &mut Numbers, pace: &Pace, ended: &Receiver<Ran>) -> Option<Ran> {
    let part = numbers.below(MOMENTS) as u32;
    ended.recv_timeout(pace.0 * part / MOMENTS as u32).ok()
}

/// Stops the process and wakes it when prunes have ended. That of a keeper is stopped only while another keeper goes on.
fn stop(board: &Board, pid: Pid, keeper: bool) {
    let may = board.tell(|told| {
        let others = told.pruners > u64::from(keeper);
        told.pruners -= u64::from(keeper && others);
        told.slept += u64::from(others);
        others
    });
    if may {
        send_signal(pid, Signal::STOP);
        board.sleep_through_prunes();
        board.tell(|told| told.pruners += u64::from(keeper));
        send_signal(pid, Signal::CONT);
    }
}

/// The process may just have ended by itself: then there is nobody to tell.
fn send_signal(pid: Pid, signal: Signal) {
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(e) => panic!("{e}"),
    }
}
