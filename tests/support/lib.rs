//! What the tests of the whole system share: the program, scratch folders, real trees, comparison of trees.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up must fail at once"
)]

pub mod compare;
mod mounted;
mod program;
mod special;
mod trees;

pub use mounted::Mounted;
pub use program::{Output, Program};
pub use special::special_tree;
pub use trees::{fixture, reader_python, repository_root};
