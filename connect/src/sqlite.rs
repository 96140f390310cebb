//! SQLite both ways: a live database into a snapshot, and a stored one back over it.

mod check;
mod copy;
mod put_back;
mod scratch;
mod source;
mod stop;
mod unfinished;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::Path;

pub use check::{Check, Checked};
pub use put_back::{Kept, PutBack, PutBackReport, put_back, put_back_noting};
pub use source::{PATIENCE, SqliteOptions, SqliteSource};
pub use unfinished::Unfinished;

use crate::error::{Error, Result};
use scratch::Scratch;
use stop::Stop;

/// Checks a stored database, whose bytes `content` writes, in a temporary copy in the folder `scratch`.
pub fn verify(
    content: impl FnOnce(&mut dyn Write) -> Result<()>,
    scratch: &Path,
    closely: Check,
) -> Result<Checked> {
    let copy = Scratch::new(scratch)?;
    let mut file =
        std::fs::OpenOptions::new().write(true).open(copy.path()).map_err(|e| Error::file(copy.path(), e))?;
    content(&mut file)?;
    check::check(copy.path(), closely, &Stop::default())
}
