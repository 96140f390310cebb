//! Looks into trees without restoring: contents, patterns, versions of one path.
//!
//! Nothing here reads more of a tree than it must, and large files are never held in memory.

mod content;
mod find;
mod pattern;
mod shown;
#[cfg(test)]
mod tests;
mod versions;

pub use content::ByteRange;
pub use find::{Matches, find};
pub use pattern::{Case, Patterns};
pub use versions::{Version, VersionId, Versions, versions};
