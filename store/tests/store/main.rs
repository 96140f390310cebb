//! The store from outside: one program, so that all tests share one fixture.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed step fails its test")]

mod adopted;
mod concurrent;
mod crash;
mod damage;
mod ended;
mod fixture;
mod meanwhile;
mod mirror;
mod parts;
mod place;
mod pruning;
mod sessions;
mod simulation;
mod stopped;
mod tidied;
