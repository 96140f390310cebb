//! One queue on its way to its receiver: the oldest letter first, again until it arrives, ever more seldom.
//!
//! What always holds: a letter is taken out of the queue after its receiver has said that it has it. One process at a time sends the
//! letters of a queue, so that they keep their order.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::events::Receiver;
use crate::outgoing::{Outgoing, Unheard};
use crate::state::{Letter, LetterEnd, State};
use crate::turn::Turn;
use crate::workplace::Workplace;

/// How often an empty queue is looked at, into which other processes write too.
const IDLE: Duration = Duration::from_millis(500);
/// Pause after the first attempt in vain; each is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest pause: what comes back is told within five minutes.
const PAUSE_MAX: Duration = Duration::from_mins(5);
/// Attempts after which a letter is dropped that its receiver does not accept: it would keep all others waiting.
const REFUSED_MAX: u32 = 10;
/// Answers that say that the letter itself is wrong, not the moment, the token or the address.
const WRONG: [u16; 4] = [400, 413, 415, 422];
/// The lock of whoever sends, before the name of the queue.
const DUTY: &str = "send";

/// What came of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// Something was sent, or dropped: the next letter can go at once.
    Went,
    /// Nothing waits.
    Empty,
    /// Somebody else sends.
    Elsewhere,
    /// It did not arrive.
    Failed,
}

/// A queue and its receiver.
#[derive(Debug)]
pub(super) struct Lane {
    workplace: Workplace,
    receiver: Receiver,
    duty: Option<Turn>,
    state: Option<State>,
    way: Option<Outgoing>,
    /// Attempts in vain, one after the other.
    failures: u32,
}

impl Lane {
    pub(super) fn new(workplace: &Workplace, receiver: Receiver) -> Self {
        Self { workplace: workplace.clone(), receiver, duty: None, state: None, way: None, failures: 0 }
    }

    /// Name of the queue.
    pub(super) fn name(&self) -> &str {
        &self.receiver.name
    }

    /// Sends the oldest letter, if there is one. What goes wrong is told when it begins.
    pub(super) fn round(&mut self) -> Round {
        match self.try_round() {
            Ok(Round::Failed) => Round::Failed,
            Ok(round) => {
                self.failures = 0;
                round
            }
            Err(error) => {
                self.state = None;
                self.note(&error.to_string());
                Round::Failed
            }
        }
    }

    /// How long to wait after a round.
    pub(super) fn pause(&self, round: Round) -> Duration {
        match round {
            Round::Went => Duration::ZERO,
            Round::Empty | Round::Elsewhere => IDLE,
            Round::Failed => {
                PAUSE.saturating_mul(2_u32.saturating_pow(self.failures.saturating_sub(1))).min(PAUSE_MAX)
            }
        }
    }

    fn try_round(&mut self) -> Result<Round> {
        let repository = self.workplace.key();
        if self.duty.is_none() {
            let place = short(&repository);
            let name = format!("{DUTY}-{}", short(&self.receiver.name));
            self.duty = Turn::try_take(&self.workplace.places.state, &place, &name)?;
            if self.duty.is_none() {
                return Ok(Round::Elsewhere);
            }
        }
        let state = match self.state.take() {
            Some(state) => state,
            None => State::open(&self.workplace.places.state)?,
        };
        let round = self.send(&state, &repository)?;
        self.state = Some(state);
        Ok(round)
    }

    fn send(&mut self, state: &State, repository: &str) -> Result<Round> {
        let Some(letter) = state.next_letter(repository, &self.receiver.name)? else {
            return Ok(Round::Empty);
        };
        let name = self.receiver.name.clone();
        let end = |end| state.end_letter(repository, &name, letter.number, end);
        if self.is_too_old(&letter)? {
            end(LetterEnd::Dropped)?;
            tracing::warn!(receiver = self.name(), event = letter.event, "never delivered: it is too old");
            return Ok(Round::Went);
        }
        let unheard = match self.deliver(&letter) {
            Ok(()) => {
                end(LetterEnd::Delivered)?;
                if self.failures > 0 {
                    tracing::info!(receiver = self.name(), "can be reached again");
                }
                return Ok(Round::Went);
            }
            Err(unheard) => unheard,
        };
        // The token, or where the address leads, may be another next time.
        self.way = None;
        state.postpone_letter(repository, &name, letter.number, &unheard.why)?;
        self.note(&unheard.why);
        let is_wrong = unheard.status.is_some_and(|status| WRONG.contains(&status));
        if is_wrong && letter.attempts + 1 >= REFUSED_MAX {
            end(LetterEnd::Dropped)?;
            tracing::warn!(
                receiver = self.name(),
                event = letter.event,
                "never delivered: it is not accepted"
            );
            return Ok(Round::Went);
        }
        Ok(Round::Failed)
    }

    fn deliver(&mut self, letter: &Letter) -> Result<(), Unheard> {
        let way = match self.way.take() {
            Some(way) => way,
            None => self.receiver.open(&self.workplace)?,
        };
        self.receiver.send(&way, letter)?;
        self.way = Some(way);
        Ok(())
    }

    fn is_too_old(&self, letter: &Letter) -> Result<bool> {
        let age = self.workplace.env.clock.now().saturating_sub(letter.created.into());
        let most =
            i128::try_from(self.receiver.age_max().as_nanos()).map_err(|e| Error::Clock(e.to_string()))?;
        Ok(age > most)
    }

    /// Trouble is told when it begins, not with every attempt.
    fn note(&mut self, why: &str) {
        if self.failures == 0 {
            tracing::warn!(receiver = self.name(), detail = why, "cannot be told; it is tried again");
        }
        self.failures = self.failures.saturating_add(1);
    }
}

/// A name that fits into that of a file.
fn short(name: &str) -> String {
    blake3::hash(name.as_bytes()).to_hex().chars().take(16).collect()
}
