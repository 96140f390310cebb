//! Makes a list of operations that fails shorter: what is not needed for failing is dropped.

use super::operations::Step;
use super::world::Fault;

/// Most attempts.
const ATTEMPTS_MAX: usize = 300;

/// Fewest steps that still fail, and why they do.
pub(super) fn shrunk(
    steps: &[Step],
    (at, why): (usize, Fault),
    fails: impl Fn(&[Step]) -> Result<(), (usize, Fault)>,
) -> (Vec<Step>, Fault) {
    // What comes after the failure is not needed.
    let end = at.saturating_add(1).min(steps.len());
    let mut fewest: Vec<Step> = steps.get(..end).unwrap_or_default().to_vec();
    let mut last = why;
    let mut size = fewest.len() / 2;
    let mut attempts = 0;
    while size > 0 && attempts < ATTEMPTS_MAX {
        let mut from = 0;
        while from < fewest.len() && attempts < ATTEMPTS_MAX {
            attempts += 1;
            let mut fewer = fewest.clone();
            fewer.drain(from..fewer.len().min(from + size));
            match fails(&fewer) {
                Err((_, why)) => (fewest, last) = (fewer, why),
                Ok(()) => from += size,
            }
        }
        size /= 2;
    }
    (fewest, last)
}
