//! A secret value on its way to an outside system: wiped when it is dropped, never shown.

use std::ffi::OsStr;
use std::fmt;

use zeroize::Zeroizing;

/// Environment variables in which this program and its neighbours take secrets; each also with `_FILE`, which names the file of one.
const VARIABLES: [&str; 14] = [
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "CHRONOS_KEY",
    "CHRONOS_KIT_PASSWORD",
    "CHRONOS_PASSWORD",
    "CHRONOS_TOKEN",
    "CHRONOS_TO_KEY",
    "CHRONOS_TO_PASSWORD",
    "DATABASE_URL",
    "N8N_API_KEY",
    "N8N_CONTROL_API_KEY",
    "N8N_DEV_API_KEY",
    "N8N_PASS",
    "N8N_PROD_API_KEY",
];
/// End of the name of a variable that names a file.
const OF_FILE: &str = "_FILE";

/// Whether an environment variable holds a secret of this program, or leads to one: what it starts does not inherit it.
pub fn is_secret_variable(name: &OsStr) -> bool {
    let holds = |name: &str| VARIABLES.contains(&name.strip_suffix(OF_FILE).unwrap_or(name));
    name.to_str().is_some_and(holds)
}

/// A password, a key, a token. Its `Debug` prints nothing of it, and it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes over a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The value, for handing it over to the system that it belongs to.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// `text` without the value, for messages that an outside system wrote.
    pub fn hidden_in(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(self.0.as_str(), "…") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_secrets_are_known_with_those_of_their_files() {
        let is = |name: &str| is_secret_variable(OsStr::new(name));
        assert!(
            is("CHRONOS_PASSWORD") && is("CHRONOS_KEY_FILE") && is("DATABASE_URL_FILE") && is("N8N_PASS")
        );
        assert!(!is("PATH") && !is("HOME") && !is("LANG") && !is("N8N_PASSED") && !is("_FILE"));
    }

    #[test]
    fn nothing_of_it_is_shown() {
        let secret = Secret::new("s3cr3t");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.hidden_in("key s3cr3t refused"), "key … refused");
        assert_eq!(Secret::new("").hidden_in("text"), "text");
    }
}
