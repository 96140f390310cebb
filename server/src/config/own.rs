//! The built-in target `chronos`: the configuration file, the files that it names, and the state of this host.
//!
//! What always holds: what opens the repository is never in it. A snapshot of it could be read by nobody who has not got that already,
//! and would keep a key that was taken away.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::config::{Config, Retention, Source, SourceKind, TargetConfig, TierRule};
use crate::secret::SecretRef;

/// Its name, which no configured target can have.
pub const OWN_TARGET: &str = "chronos";
/// Name of its source that has the configuration.
pub const OWN_CONFIG: &str = "config";
/// Name of its source that has the state.
const OWN_STATE: &str = "state";
/// Which of its snapshots stay: tier, the newest so many, and those that are younger.
const KEPT: [(&str, Option<u32>, Option<&str>); 6] = [
    ("auto", Some(20), Some("30d")),
    ("daily", Some(14), None),
    ("pre-deploy", None, Some("30d")),
    ("manual", None, Some("180d")),
    ("emergency", None, Some("180d")),
    ("restore-point", None, Some("180d")),
];

impl Config {
    /// Adds the target `chronos` for a configuration that was read from `file`; `keys` are the folder of this user's key files and
    /// the files that open the repository whatever the configuration says, `state` is the file of this host's state.
    pub(crate) fn add_own(&mut self, file: &Path, keys: &[PathBuf], state: PathBuf) {
        let opens = [&self.repository.key_file, &self.repository.password_file].into_iter().flatten();
        let opens: Vec<PathBuf> = opens.chain(keys).map(|path| real(path)).collect();
        let is_key = |path: &PathBuf| opens.iter().any(|key| real(path).starts_with(key));
        let named = self.files().into_iter().filter(|path| !is_key(path) && path.is_file());
        let mut paths: Vec<PathBuf> = std::iter::once(file.to_owned()).chain(named).collect();
        // Of a link only the link is taken.
        let behind: Vec<PathBuf> = paths.iter().flat_map(|path| behind(path)).collect();
        paths.extend(behind);
        let config = Source {
            name: OWN_CONFIG.to_owned(),
            component: Some("config".to_owned()),
            paths,
            ..Source::default()
        };
        let state = Source {
            name: OWN_STATE.to_owned(),
            kind: SourceKind::Sqlite,
            path: Some(state),
            optional: true,
            ..Source::default()
        };
        self.own = Some(TargetConfig {
            name: OWN_TARGET.to_owned(),
            retention: kept(),
            sources: vec![config, state],
            ..TargetConfig::default()
        });
    }

    /// The target `chronos`, if there is a configuration file.
    pub fn own(&self) -> Option<&TargetConfig> {
        self.own.as_ref()
    }

    /// The files that the configuration names and that a service needs to start and to reach its sources.
    fn files(&self) -> BTreeSet<PathBuf> {
        let service = [&self.service.token_file, &self.service.tls_certificate, &self.service.tls_key];
        let secrets = self.secrets().filter_map(|secret| match secret {
            SecretRef::File(path) => Some(path),
            _ => None,
        });
        service.into_iter().flatten().chain(secrets).cloned().collect()
    }
}

/// A path with no link in it, as far as it is there.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// What a link leads to, link by link; nothing for what is none.
fn behind(path: &Path) -> Vec<PathBuf> {
    /// As many as the kernel follows.
    const LINKS_MAX: usize = 40;
    let next = |path: &PathBuf| {
        let to = std::fs::read_link(path).ok()?;
        Some(path.parent()?.join(to))
    };
    std::iter::successors(next(&path.to_owned()), next)
        .take(LINKS_MAX)
        .filter(|path| path.symlink_metadata().is_ok())
        .collect()
}

fn kept() -> Retention {
    let rule = |(tier, count, age): (&str, Option<u32>, Option<&str>)| {
        (tier.to_owned(), TierRule { count, age: age.map(str::to_owned) })
    };
    KEPT.into_iter().map(rule).collect()
}
