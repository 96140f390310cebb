//! Who sends: a thread for each receiver, so that one that hangs keeps no other waiting; and, at the end of a command without a
//! service, a last look for a few seconds.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::events::Receiver;
use crate::events::lane::{Lane, Round};
use crate::events::receiver::LETTER_AGE_MAX;
use crate::state::State;
use crate::workplace::Workplace;

/// Sends until it is dropped. What is on its way then may arrive a second time.
#[derive(Debug)]
pub struct Sender {
    _lanes: Vec<mpsc::Sender<()>>,
}

impl Sender {
    /// Starts to send to everybody whom the configuration names.
    ///
    /// # Errors
    /// [`Error::Local`] if the system has no threads for it.
    pub fn start(workplace: &Workplace) -> Result<Self> {
        if let Err(error) = drop_old(workplace) {
            tracing::warn!(%error, "the state of this host cannot be used");
        }
        let lanes = Receiver::all(&workplace.config).into_iter().map(|receiver| {
            let mut lane = Lane::new(workplace, receiver);
            let (held, is_held) = mpsc::channel::<()>();
            let work = move || loop {
                let round = lane.round();
                if is_held.recv_timeout(lane.pause(round)) == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
            };
            started(work)?;
            Ok(held)
        });
        Ok(Self { _lanes: lanes.collect::<Result<_>>()? })
    }
}

/// Drops what is too old for anybody, also for those who are not named any more.
fn drop_old(workplace: &Workplace) -> Result<()> {
    let age = i128::try_from(LETTER_AGE_MAX.as_nanos()).unwrap_or(i128::MAX);
    let before = workplace.env.clock.now().saturating_sub(age);
    let before = i64::try_from(before).map_err(|e| Error::Clock(e.to_string()))?;
    State::open(&workplace.places.state)?.drop_letters(&workplace.key(), before)
}

/// Sends what waits, each receiver's letters until one does not arrive, and no longer than `limit`. Where a service sends, it is
/// left to that.
pub fn flush(workplace: &Workplace, limit: Duration) -> Result<()> {
    let receivers = Receiver::all(&workplace.config);
    if receivers.is_empty() || !State::is_there(&workplace.places.state) {
        return Ok(());
    }
    let queues = State::open(&workplace.places.state)?.queues(&workplace.key())?;
    let waits = |receiver: &Receiver| queues.iter().any(|q| q.receiver == receiver.name && q.waiting > 0);
    let (told, ended) = mpsc::channel::<()>();
    for receiver in receivers.into_iter().filter(waits) {
        let (mut lane, told) = (Lane::new(workplace, receiver), told.clone());
        let work = move || {
            while lane.round() == Round::Went {}
            // Whoever waited may have gone.
            let _ = told.send(());
        };
        started(work)?;
    }
    drop(told);
    let until = Instant::now() + limit;
    // Disconnected once all have ended.
    while ended.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {}
    Ok(())
}

fn started(work: impl FnOnce() + Send + 'static) -> Result<()> {
    let thread = thread::Builder::new().name("events".to_owned()).spawn(work);
    thread.map(drop).map_err(|source| Error::Local { path: "threads".to_owned(), source })
}
