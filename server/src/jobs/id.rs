//! Ids of jobs: UUIDs of version 7 (RFC 9562), which sort by the time at which they were made.

use chronos_store::Env;

use crate::error::Result;

/// A new id: 48 bits of milliseconds, then random bits.
pub(super) fn new(env: &Env) -> Result<String> {
    let mut bytes: [u8; 16] = env.random_bytes()?;
    let millis = u64::try_from(env.clock.now() / 1_000_000).unwrap_or(0);
    let time = millis.to_be_bytes();
    for (byte, of_time) in bytes.iter_mut().zip(time.iter().skip(2)) {
        *byte = *of_time;
    }
    let [.., version, _, variant, _, _, _, _, _, _, _] = &mut bytes;
    *version = 0x70 | (*version & 0x0f);
    *variant = 0x80 | (*variant & 0x3f);
    let hex = hex::encode(bytes);
    let mut id = String::with_capacity(36);
    for (number, digit) in hex.chars().enumerate() {
        if matches!(number, 8 | 12 | 16 | 20) {
            id.push('-');
        }
        id.push(digit);
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn ids_are_uuids_of_version_7_in_the_order_of_time() {
        let first = new(&Env::system()).unwrap();
        let parts: Vec<usize> = first.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(first.get(14..15), Some("7"));
        assert!(matches!(first.get(19..20), Some("8" | "9" | "a" | "b")), "{first}");
        let millis = u64::from_str_radix(&first.replace('-', "")[..12], 16).unwrap();
        let now = u64::try_from(Env::system().clock.now() / 1_000_000).unwrap();
        assert!(now.abs_diff(millis) < 60_000);
        assert_ne!(first, new(&Env::system()).unwrap());
    }
}
