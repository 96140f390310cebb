//! Which repository is meant, and who said so.

use std::io;
use std::path::Path;

use chronos_remote as remote;

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
    /// Where it lies; a folder by its absolute path.
    pub place: remote::Location,
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
        let place = |place, origin| Ok(Self { place, origin });
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
        place(remote::Location::Local(places.repository()), Origin::Default)
    }

    /// The place that was named for this once.
    pub(super) fn named(text: &str) -> Result<Self> {
        Ok(Self { place: parse(text)?, origin: Origin::Option })
    }

    /// The place as people read it.
    pub fn shown(&self) -> String {
        shown_place(&self.place)
    }

    /// The folder, if it is one of this host.
    pub fn folder(&self) -> Option<&Path> {
        match &self.place {
            remote::Location::Local(path) => Some(path),
            _ => None,
        }
    }
}

/// A place as people read it.
pub fn shown_place(place: &remote::Location) -> String {
    match place {
        remote::Location::Local(path) => shown(path),
        place => place.to_string(),
    }
}

/// Refuses to make a repository among other things in a folder. What an interrupted attempt has left, and what a new file system has by
/// itself, is in nobody's way.
pub fn check_free(place: &remote::Location) -> Result<()> {
    const HARMLESS: [&str; 4] = ["config", "keys", ".tmp", "lost+found"];
    let remote::Location::Local(path) = place else { return Ok(()) };
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

/// Reads a location; a path becomes absolute.
pub fn parse(text: &str) -> Result<remote::Location> {
    if text.is_empty() {
        return Err(Error::NoLocation);
    }
    match remote::Location::parse(text) {
        Ok(remote::Location::Local(path)) => match std::path::absolute(path) {
            Ok(path) => Ok(remote::Location::Local(path)),
            Err(e) => Err(Error::Value { place: text.to_owned(), why: e.to_string() }),
        },
        Ok(place) => Ok(place),
        Err(e) => Err(Error::Location(e.to_string())),
    }
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
        let find = |o, v, e: &Environment, c: &Config| Location::find(o, v, e, c, &places).unwrap().shown();
        assert_eq!(find(Some("/option"), Some("/first"), &environment, &config), "/option");
        assert_eq!(find(None, Some("/first"), &environment, &config), "/first");
        assert_eq!(find(None, Some(""), &environment, &config), "/variable");
        environment.backup_path = None;
        assert_eq!(find(None, None, &environment, &config), "/file");
        config.repository.location = None;
        assert_eq!(find(None, None, &environment, &config), "/home/me/.local/share/chronos/repository");
        assert_eq!(find(Some("s3://b/p"), None, &environment, &config), "s3://b/p");
        assert!(matches!(parse("http://x"), Err(Error::Location(_))));
    }
}
