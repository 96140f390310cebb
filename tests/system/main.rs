//! Tests of the whole system, through the program and the libraries as users meet them.

#![expect(clippy::disallowed_methods, reason = "tests lay out and damage files directly")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed step fails its test")]

mod backup_restore;
mod cost;
mod random_runs;
mod random_trees;
mod reader;
mod restore_places;
mod tidy;
