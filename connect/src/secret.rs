//! A secret value on its way to an outside system: wiped when it is dropped, never shown.

use std::fmt;

use zeroize::Zeroizing;

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
    fn nothing_of_it_is_shown() {
        let secret = Secret::new("s3cr3t");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.hidden_in("key s3cr3t refused"), "key … refused");
        assert_eq!(Secret::new("").hidden_in("text"), "text");
    }
}
