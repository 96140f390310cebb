//! What happened, and who is told of it: events, the queues that they wait in, and the one who sends them.
//!
//! What always holds: an event is written with the record of what it tells of, in one transaction; whoever is told can neither slow
//! nor stop that. Each receiver has a queue of its own and gets its events in their order, at least once.

mod event;
mod happened;
mod lane;
mod notice;
mod receiver;
mod sender;
mod teller;
#[cfg(test)]
mod tests;

pub use event::Event;
pub(crate) use happened::{
    backup_failed, backup_made, cleaned, damaged, drill_ended, ended, failed, health, no_longer_overdue,
    overdue, restore_ended, rollback_requested, synced, verified,
};
pub(crate) use receiver::Receiver;
pub use sender::{Sender, flush};
pub(crate) use teller::{FAILURE, HEALTH, OVERDUE, Teller, record};
