//! What a caller chose for this run by options, and what the environment holds.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// What was named by options; everything else is found.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// The repository.
    pub repo: Option<String>,
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// The cache folder.
    pub cache_dir: Option<PathBuf>,
    /// File whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// Command that prints the password.
    pub password_command: Option<String>,
    /// Key file.
    pub key_file: Option<PathBuf>,
    /// Bytes per second into the repository.
    pub limit_upload: Option<u64>,
    /// Bytes per second out of the repository.
    pub limit_download: Option<u64>,
}

/// The environment variables that are seen: those of the process, or some that were given.
#[derive(Clone, Default)]
pub struct Variables {
    given: Option<BTreeMap<String, OsString>>,
}

impl Variables {
    /// Those of this process.
    pub fn of_process() -> Self {
        Self { given: None }
    }

    /// These and no others.
    pub fn of(given: impl IntoIterator<Item = (String, OsString)>) -> Self {
        Self { given: Some(given.into_iter().collect()) }
    }

    /// A variable that is set, not empty and text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(|v| v.into_string().ok())
    }

    /// A variable that is set and not empty, as a path. A service may have no HOME; the user database knows it too.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        match self.get(name) {
            None if name == "HOME" && self.given.is_none() => std::env::home_dir(),
            value => value.map(PathBuf::from),
        }
    }

    /// What may say how an object store is spoken to: all that is text.
    pub(super) fn of_connections(&self) -> chronos_remote::Variables {
        let all: Vec<(String, OsString)> = match &self.given {
            Some(given) => given.clone().into_iter().collect(),
            None => std::env::vars_os().filter_map(|(n, v)| Some((n.into_string().ok()?, v))).collect(),
        };
        let home = self.path("HOME").map(|home| ("HOME".to_owned(), home.into_os_string()));
        let text = |(name, value): (String, OsString)| Some((name, value.into_string().ok()?));
        all.into_iter().chain(home).filter_map(text).collect()
    }

    fn get(&self, name: &str) -> Option<OsString> {
        let value = match &self.given {
            Some(given) => given.get(name).cloned(),
            None => std::env::var_os(name),
        };
        value.filter(|v| !v.is_empty())
    }
}

/// Names only: values may be secrets.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.given {
            None => f.write_str("Variables(of the process)"),
            Some(given) => f.debug_tuple("Variables").field(&given.keys().collect::<Vec<_>>()).finish(),
        }
    }
}
