//! Every decoder of the program by name: what `tests/corpus.rs` runs over the kept corpus, and libFuzzer for as long as one likes.
//!
//! The targets of `store` and `snapshot` stand beside their decoders; those of cuts, the configuration and the command line are here.

mod corpus;
mod cuts;
mod mutate;
mod words;

pub use chronos_store::fuzz::Target;
pub use corpus::{corpus, folder, keep_seeds};
pub use mutate::Mutator;

/// All targets, by name.
pub fn targets() -> Vec<Target> {
    let mut all = [
        chronos_store::fuzz::targets(),
        chronos_snapshot::fuzz::targets(),
        words::TARGETS.to_vec(),
        cuts::TARGETS.to_vec(),
    ]
    .concat();
    all.sort_by_key(|target| target.name);
    all
}

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    targets().into_iter().find(|target| target.name == name)
}
