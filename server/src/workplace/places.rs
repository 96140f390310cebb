//! The folders of this user where the program keeps its own things, by the XDG rules.

use std::path::PathBuf;

use crate::error::{Error, Result};

/// Where things are unless something else is said.
#[derive(Clone, Debug)]
pub struct Places {
    /// Configuration and key files.
    pub config: PathBuf,
    /// The default repository.
    pub data: PathBuf,
    /// What must survive.
    pub state: PathBuf,
    /// What may be deleted at any moment.
    pub cache: PathBuf,
}

impl Places {
    /// Finds them through the environment.
    pub fn find(get: impl Fn(&str) -> Option<PathBuf>) -> Result<Self> {
        // The XDG rules: a relative path in one of these variables is to be ignored.
        let absolute = |name: &str| get(name).filter(|p| p.is_absolute());
        let home = absolute("HOME");
        let place = |variable: &'static str, below: &str| {
            absolute(variable)
                .or_else(|| home.as_ref().map(|h| h.join(below)))
                .map(|p| p.join("chronos"))
                .ok_or(Error::NoHome { variable })
        };
        Ok(Self {
            config: place("XDG_CONFIG_HOME", ".config")?,
            data: place("XDG_DATA_HOME", ".local/share")?,
            state: place("XDG_STATE_HOME", ".local/state")?,
            cache: place("XDG_CACHE_HOME", ".cache")?,
        })
    }

    /// The repository that is made on first use.
    pub fn repository(&self) -> PathBuf {
        self.data.join("repository")
    }

    /// Key files of repositories without a password.
    pub fn keys(&self) -> PathBuf {
        self.config.join("keys")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn relative_folders_in_the_environment_are_ignored() {
        let places = Places::find(|n| match n {
            "HOME" => Some("/home/me".into()),
            "XDG_STATE_HOME" => Some("relative".into()),
            "XDG_CACHE_HOME" => Some("/var/cache/me".into()),
            _ => None,
        })
        .unwrap();
        assert_eq!(places.state, PathBuf::from("/home/me/.local/state/chronos"));
        assert_eq!(places.cache, PathBuf::from("/var/cache/me/chronos"));
        assert!(Places::find(|_| None).is_err());
    }
}
