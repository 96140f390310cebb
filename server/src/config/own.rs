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

/// What the target `chronos` is made of: which of the files are there may change while a service runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OwnParts {
    file: PathBuf,
    /// What opens the repository.
    opens: Vec<PathBuf>,
    state: PathBuf,
}

impl Config {
    /// Adds the target `chronos` for a configuration that was read from `file`; `keys` are the folder of this user's key files and
    /// the files that open the repository whatever the configuration says, `state` is the file of this host's state.
    pub(crate) fn add_own(&mut self, file: &Path, keys: &[PathBuf], state: PathBuf) {
        let opens = [&self.repository.key_file, &self.repository.password_file].into_iter().flatten();
        let opens = opens.chain(keys).cloned().collect();
        self.own_parts = Some(OwnParts { file: file.to_owned(), opens, state });
        self.own = self.own_now();
    }

    /// The target `chronos` with the files that are there at this moment.
    pub(crate) fn own_now(&self) -> Option<TargetConfig> {
        let parts = self.own_parts.as_ref()?;
        let opens: Vec<PathBuf> = parts.opens.iter().map(|path| real(path)).collect();
        let is_key = |path: &PathBuf| opens.iter().any(|key| real(path).starts_with(key));
        let named = self.files().into_iter().filter(|path| !is_key(path) && path.is_file());
        let mut paths: Vec<PathBuf> = Vec::new();
        for path in std::iter::once(parts.file.clone()).chain(named).flat_map(|path| followed(&path)) {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        let config = Source {
            name: OWN_CONFIG.to_owned(),
            component: Some("config".to_owned()),
            paths,
            ..Source::default()
        };
        let state = Source {
            name: OWN_STATE.to_owned(),
            kind: SourceKind::Sqlite,
            path: Some(parts.state.clone()),
            optional: true,
            ..Source::default()
        };
        Some(TargetConfig {
            name: OWN_TARGET.to_owned(),
            retention: kept(),
            sources: vec![config, state],
            ..TargetConfig::default()
        })
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

/// The links on the way to a file, and the file, each with no link above it; of what lies outside the folder of `path` the folders are
/// walked through, and only what is a link itself is told.
fn followed(path: &Path) -> Vec<PathBuf> {
    /// As many as the kernel follows.
    const LINKS_MAX: usize = 40;
    let folder = path.parent().unwrap_or(path);
    let (mut found, mut at) = (Vec::new(), path.to_owned());
    for _ in 0..LINKS_MAX {
        let below = at.ancestors().take_while(|above| above.starts_with(folder) && *above != folder);
        let links = below.chain(std::iter::once(&*at)).filter(|path| path.is_symlink());
        let Some(link) = links.min_by_key(|link| link.components().count()).map(Path::to_owned) else {
            break;
        };
        let (Ok(to), Some(parent)) = (std::fs::read_link(&link), link.parent()) else { break };
        // The link is the path itself, or a folder above it.
        let rest = at.strip_prefix(&link).unwrap_or(Path::new("")).to_owned();
        at = parent.join(to);
        if !rest.as_os_str().is_empty() {
            at.push(rest);
        }
        found.push(link);
    }
    found.push(at);
    found.retain(|found| found == path || found.symlink_metadata().is_ok());
    found
}

fn kept() -> Retention {
    let rule = |(tier, count, age): (&str, Option<u32>, Option<&str>)| {
        (tier.to_owned(), TierRule { count, age: age.map(str::to_owned) })
    };
    KEPT.into_iter().map(rule).collect()
}
