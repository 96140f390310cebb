//! Every decoder of this crate as a plain function over bytes, for the crate `fuzz`; compiled with the feature `fuzz` alone.
//!
//! As in `chronos_store::fuzz`: a target returns whether the bytes decoded, and panics where something is said to hold and does not.

#![expect(clippy::unwrap_used, reason = "what a target encodes itself cannot fail")]

mod records;
mod text;

use chronos_store::fuzz::Target;

/// The targets of this crate.
pub fn targets() -> Vec<Target> {
    [crate::tree::fuzz::TARGETS, records::TARGETS, text::TARGETS].concat()
}
