//! SQLite both ways: a live database into a snapshot, and a stored one back over it.

mod check;
mod copy;
mod prove;
mod put_back;
mod scratch;
mod source;
mod stop;
mod unfinished;

#[cfg(test)]
mod tests;

pub use check::{Check, Checked};
pub use prove::{prove, prove_live};
pub use put_back::{Kept, PutBack, PutBackReport, put_back, put_back_noting};
pub use scratch::check_space;
pub use source::{PATIENCE, SqliteOptions, SqliteSource};
pub use unfinished::Unfinished;
