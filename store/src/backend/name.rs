//! What may be the name of an object, for every backend alike.
//!
//! A name that passes is a safe relative path: no empty, hidden or `..` segment.

use super::{BackendError, BackendResult};

/// Longest name in bytes; the least that the systems we write to allow.
pub const NAME_BYTES_MAX: usize = 255;

/// Whether `name` may name an object.
pub fn check_name(name: &str) -> BackendResult<()> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.split('/').all(is_segment) {
        return Err(BackendError::Invalid(format!("{name:?} is not an object name")));
    }
    Ok(())
}

/// Whether names of objects can begin with `prefix`; the empty one is every object's.
pub fn check_prefix(prefix: &str) -> BackendResult<()> {
    let (folders, rest) = prefix.rsplit_once('/').unwrap_or(("", prefix));
    let folders_ok = folders.is_empty() && !prefix.starts_with('/') || folders.split('/').all(is_segment);
    if prefix.len() > NAME_BYTES_MAX || !folders_ok || !(rest.is_empty() || is_segment(rest)) {
        return Err(BackendError::Invalid(format!("{prefix:?} is not the beginning of an object name")));
    }
    Ok(())
}

/// Whether `text` may stand between two slashes of a name.
pub(super) fn is_segment(text: &str) -> bool {
    let plain = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'z' | b'.' | b'_' | b'-');
    !text.is_empty() && !text.starts_with('.') && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_format_pass() {
        for name in ["config", "keys/0", "packs/0000000001-a-0123456789abcdef/00000000-ffffffff", "a.b/c_d-e"]
        {
            assert!(check_name(name).is_ok(), "{name}");
            assert!(check_prefix(name).is_ok(), "{name}");
        }
        assert!(check_name(&"a".repeat(NAME_BYTES_MAX)).is_ok());
    }

    #[test]
    fn what_could_leave_the_repository_is_refused() {
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        for name in [
            "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", ".a", "a/.b", "A", "a b", "ä", "a\0",
            &long,
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_prefix_may_end_anywhere_in_a_name() {
        for prefix in ["", "a", "a/", "a/b", "packs/x/", "log/0"] {
            assert!(check_prefix(prefix).is_ok(), "{prefix}");
        }
        for prefix in ["/", "//", "/a", "a//", "../", "..", "a/../", ".a/b", "A/"] {
            assert!(check_prefix(prefix).is_err(), "{prefix}");
        }
    }
}
