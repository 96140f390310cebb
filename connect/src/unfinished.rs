//! What stands where a swap was interrupted, once that was brought to an end.

/// Which database is in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stands {
    /// The one that was there before, or none if there was none.
    Old,
    /// The one that was put back.
    New {
        /// Where the one is that was there before, if it still is.
        old: Option<String>,
    },
}
