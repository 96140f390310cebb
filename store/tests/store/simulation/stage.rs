//! One at a time: a client stops at every call of its storage, and goes on when the run says so and with what it says.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use chronos_store::backend::Method;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is carried out and answered.
    Done,
    /// It is not carried out, and fails.
    Failed,
    /// It is carried out, and fails all the same.
    AnswerLost,
    /// It fails, and is carried out some time later.
    Later,
    /// It is carried out twice, and the second answer counts.
    Twice,
    /// It is carried out and answered, and once more some time later.
    Echoed,
    /// The client dies before it.
    DiesBefore,
    /// The client dies, and it is carried out all the same.
    DiesAfter,
    /// The client dies, and it is carried out some time later.
    DiesLater,
}

impl Fate {
    pub(super) fn kills(self) -> bool {
        matches!(self, Self::DiesBefore | Self::DiesAfter | Self::DiesLater)
    }
}

/// A call that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// 0 is the repository, 1 its mirror.
    pub(super) place: usize,
    pub(super) method: Method,
    pub(super) name: String,
}

/// What a client is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Turn {
    Idle,
    Running,
    Waiting(Call),
    Granted(Fate),
    /// Every call fails until its operation has ended.
    Dead,
}

/// Where the clients stand. The run and all clients share it.
#[derive(Debug)]
pub(super) struct Stage {
    turns: Mutex<Vec<Turn>>,
    /// For the run: a client has stopped.
    stopped: Condvar,
    /// For each client: it may go on.
    granted: Vec<Condvar>,
}

impl Stage {
    pub(super) fn new(clients: usize) -> Self {
        let granted = (0..clients).map(|_| Condvar::new()).collect();
        Self { turns: Mutex::new(vec![Turn::Idle; clients]), stopped: Condvar::new(), granted }
    }

    fn turns(&self) -> MutexGuard<'_, Vec<Turn>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of a client: waits for its turn; `None` once it is dead.
    pub(super) fn ask(&self, client: usize, call: Call) -> Option<Fate> {
        let mut turns = self.turns();
        match turns[client] {
            Turn::Dead => return None,
            Turn::Running => turns[client] = Turn::Waiting(call),
            ref turn => panic!("client {client} makes a second call at once: {call:?} beside {turn:?}"),
        }
        self.stopped.notify_one();
        loop {
            turns = self.granted[client].wait(turns).unwrap_or_else(PoisonError::into_inner);
            if let Turn::Granted(fate) = turns[client] {
                turns[client] = if fate.kills() { Turn::Dead } else { Turn::Running };
                return Some(fate);
            }
        }
    }

    /// Of a client: its operation has ended.
    pub(super) fn leave(&self, client: usize) {
        self.turns()[client] = Turn::Idle;
        self.stopped.notify_one();
    }

    /// Of the run: an operation of a client begins.
    pub(super) fn enter(&self, client: usize) {
        self.turns()[client] = Turn::Running;
    }

    /// Of the run: lets a waiting client go on.
    pub(super) fn grant(&self, client: usize, fate: Fate) {
        self.turns()[client] = Turn::Granted(fate);
        self.granted[client].notify_one();
    }

    /// Of the run: waits until a client has stopped; the call that it waits with, or `None` if it is idle.
    pub(super) fn stopped(&self, client: usize) -> Option<Call> {
        let mut turns = self.turns();
        loop {
            match &turns[client] {
                Turn::Idle => return None,
                Turn::Waiting(call) => return Some(call.clone()),
                _ => turns = self.stopped.wait(turns).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}
