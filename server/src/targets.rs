//! Names of targets: which are allowed, and which names mean the same.

/// Target of `backup PATH` without a target.
pub const DEFAULT_TARGET: &str = "files";

/// Longest name of a target in bytes: it stands in every backup id and every export file name.
const NAME_LEN_MAX: usize = 100;

/// Names that the system has always had for its own targets.
const BUILT_IN: [(&str, &str); 3] =
    [("control-n8n", "control-plane"), ("prod-n8n", "prod"), ("dev-n8n", "dev")];

/// Checks `[a-z0-9][a-z0-9._-]*`.
///
/// # Errors
/// A sentence that says what a name may hold.
pub fn check_target_name(name: &str) -> Result<(), String> {
    let plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9');
    let good = name.bytes().next().is_some_and(plain)
        && name.bytes().all(|b| plain(b) || matches!(b, b'.' | b'_' | b'-'))
        && name.len() <= NAME_LEN_MAX;
    if good {
        Ok(())
    } else {
        Err(format!(
            "{name:?} is not a target's name: use a-z, 0-9, '.', '_' and '-', beginning with a letter or digit, at most {NAME_LEN_MAX}"
        ))
    }
}

/// The name that a built-in alias stands for; any other name as it is.
pub fn canonical_target(name: &str) -> &str {
    BUILT_IN.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, target)| target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        assert!(check_target_name("control-plane").is_ok());
        assert!(check_target_name("9.a_b").is_ok());
        for bad in ["", "-a", "A", "a b", "a/b", "ä", ".a"] {
            assert!(check_target_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn old_names_mean_the_same_targets() {
        assert_eq!(canonical_target("prod-n8n"), "prod");
        assert_eq!(canonical_target("control-n8n"), "control-plane");
        assert_eq!(canonical_target("shop"), "shop");
    }
}
