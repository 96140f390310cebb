//! How much after its due time something begins, so that not everything begins at once: the same for the same schedule and due
//! time, on every host and in every version.

use std::time::Duration;

use jiff::Timestamp;

/// FNV-1a, 64 bits: start and factor.
const FNV: (u64, u64) = (0xcbf2_9ce4_8422_2325, 0x0000_0100_0000_01b3);

/// Whole seconds from 0 to below `jitter`, and always fewer than there are until `next`.
pub(super) fn spread(id: &str, due: Timestamp, next: Option<Timestamp>, jitter: Duration) -> Duration {
    let until_next =
        next.map_or(u64::MAX, |next| u64::try_from(next.as_second() - due.as_second()).unwrap_or(0));
    match jitter.as_secs().min(until_next) {
        0 => Duration::ZERO,
        bound => Duration::from_secs(mixed(id, due) % bound),
    }
}

fn mixed(id: &str, due: Timestamp) -> u64 {
    let seconds = due.as_second().to_le_bytes();
    let hash =
        id.bytes().chain(seconds).fold(FNV.0, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV.1));
    // Its high bits are the better mixed ones, and those that differ from one due time to the next.
    hash ^ (hash >> 32) ^ (hash >> 17)
}
