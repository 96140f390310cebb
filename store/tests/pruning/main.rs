//! Pruning from outside: what is unreferenced goes, everything else stays, whatever happens meanwhile.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed step fails its test")]

mod cost;
mod fixture;
mod interrupted;
mod recovery;
mod silence;
mod space;
mod together;
