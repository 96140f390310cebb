//! Wrong tokens by address: whoever sends too many has to wait, right or wrong.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;

use crate::http::problem::Problem;

/// Wrong tokens of one address in one window: a person mistypes, a program guesses.
const FAILURES_MAX: u32 = 10;
/// The window.
const WINDOW: Duration = Duration::from_mins(1);
/// Addresses that are remembered; beyond it the oldest window makes room.
const ADDRESSES_MAX: usize = 10_000;

/// Wrong tokens by address.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    of: Mutex<HashMap<IpAddr, (u32, Instant)>>,
}

impl Failures {
    /// Refuses an address that has to wait.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), Problem> {
        self.check_at(address, Instant::now())
    }

    /// Notes a wrong token.
    pub(crate) fn note(&self, address: IpAddr) {
        self.note_at(address, Instant::now());
    }

    fn check_at(&self, address: IpAddr, now: Instant) -> Result<(), Problem> {
        let of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((count, since)) = of.get(&address) else { return Ok(()) };
        let passed = now.saturating_duration_since(*since);
        if *count < FAILURES_MAX || passed >= WINDOW {
            return Ok(());
        }
        let wait = (WINDOW.saturating_sub(passed)).as_secs() + 1;
        Err(Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_failures",
            format!("too many wrong tokens came from {address}; try again in {wait} seconds"),
        )
        .retry_after(wait))
    }

    fn note_at(&self, address: IpAddr, now: Instant) {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if of.len() >= ADDRESSES_MAX && !of.contains_key(&address) {
            of.retain(|_, (_, since)| now.saturating_duration_since(*since) < WINDOW);
            let oldest = of.iter().min_by_key(|(_, (_, since))| *since).map(|(address, _)| *address);
            if let Some(oldest) = oldest.filter(|_| of.len() >= ADDRESSES_MAX) {
                of.remove(&oldest);
            }
        }
        let (count, since) = of.entry(address).or_insert((0, now));
        if now.saturating_duration_since(*since) >= WINDOW {
            (*count, *since) = (0, now);
        }
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn whoever_guesses_has_to_wait_and_nobody_else() {
        let (failures, now) = (Failures::default(), Instant::now());
        let one = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
        for _ in 0..FAILURES_MAX {
            assert!(failures.check_at(one, now).is_ok());
            failures.note_at(one, now);
        }
        assert!(failures.check_at(one, now).is_err() && failures.check_at(other, now).is_ok());
        assert!(failures.check_at(one, now + WINDOW).is_ok());
        failures.note_at(one, now + WINDOW);
        assert!(failures.check_at(one, now + WINDOW).is_ok(), "a new window has begun");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (failures, now) = (Failures::default(), Instant::now());
        for n in 0..(ADDRESSES_MAX as u32 + 100) {
            failures.note_at(IpAddr::V4(Ipv4Addr::from_bits(n)), now);
        }
        let len = failures.of.lock().map(|of| of.len());
        assert_eq!(len.ok(), Some(ADDRESSES_MAX));
    }
}
