//! Which repository is meant, and who said so.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::values::shown;
use crate::workplace::places::Places;

/// Who named the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An option of the command line.
    Option,
    /// An environment variable.
    Variable,
    /// The configuration file.
    Config,
    /// Nobody: this user's own.
    Default,
}

/// A repository's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The folder.
    pub path: PathBuf,
    /// Who named it.
    pub origin: Origin,
}

impl Location {
    /// Finds the place: option, `CHRONOS_REPO`, `BACKUP_PATH` or `CRONOS_BACKUP_DIR`, configuration, default.
    pub fn find(
        option: Option<&str>,
        variable: Option<&str>,
        environment: &Environment,
        config: &Config,
        places: &Places,
    ) -> Result<Self> {
        let place = |path: PathBuf, origin| Ok(Self { path, origin });
        if let Some(text) = option {
            return place(parse(text)?, Origin::Option);
        }
        if let Some(text) = variable.filter(|v| !v.is_empty()) {
            return place(parse(text)?, Origin::Variable);
        }
        if let Some(path) = &environment.backup_path {
            return place(parse(&path.to_string_lossy())?, Origin::Variable);
        }
        if let Some(text) = &config.repository.location {
            return place(parse(text)?, Origin::Config);
        }
        place(places.repository(), Origin::Default)
    }

    /// The place that was named for this once.
    pub(super) fn named(text: &str) -> Result<Self> {
        Ok(Self { path: parse(text)?, origin: Origin::Option })
    }

    /// The place as people read it.
    pub fn shown(&self) -> String {
        shown(&self.path)
    }
}

/// Refuses to make a repository among other things. What an interrupted attempt has left, and what a new file system
/// has by itself, is in nobody's way.
pub fn check_free(path: &Path) -> Result<()> {
    const HARMLESS: [&str; 4] = ["config", "keys", ".tmp", "lost+found"];
    let entries = match std::fs::read_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|e| Error::local(path, e))?,
    };
    // A repository that is there already is told from a folder of other things when it is created.
    let is_repository = path.join("config").is_file() && path.join("keys").is_dir();
    for entry in entries {
        let name = entry.map_err(|e| Error::local(path, e))?.file_name();
        if !is_repository && HARMLESS.iter().all(|h| name != *h) {
            return Err(Error::NotEmpty { folder: shown(path), entry: shown(Path::new(&name)) });
        }
    }
    Ok(())
}

/// Reads a location; only folders in this version.
pub fn parse(text: &str) -> Result<PathBuf> {
    if text.is_empty() {
        return Err(Error::NoLocation);
    }
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(Error::LocationKind { location: text.to_owned(), scheme: scheme.to_owned() });
    }
    std::path::absolute(text).map_err(|e| Error::Value { place: text.to_owned(), why: e.to_string() })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_option_comes_before_the_variables_before_the_file_before_the_default() {
        let places = Places::find(|n| (n == "HOME").then(|| "/home/me".into())).unwrap();
        let mut environment = Environment { backup_path: Some("/variable".into()), ..Environment::default() };
        let mut config = Config::default();
        config.repository.location = Some("/file".into());
        let find = |o, v, e: &Environment, c: &Config| Location::find(o, v, e, c, &places).unwrap().path;
        assert_eq!(find(Some("/option"), Some("/first"), &environment, &config), Path::new("/option"));
        assert_eq!(find(None, Some("/first"), &environment, &config), Path::new("/first"));
        assert_eq!(find(None, Some(""), &environment, &config), Path::new("/variable"));
        environment.backup_path = None;
        assert_eq!(find(None, None, &environment, &config), Path::new("/file"));
        config.repository.location = None;
        assert_eq!(
            find(None, None, &environment, &config),
            Path::new("/home/me/.local/share/chronos/repository")
        );
        assert!(parse("s3://bucket").is_err());
    }
}
