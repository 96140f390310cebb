//! Which snapshots of a listing are meant.

use chronos_snapshot::Snapshot;
use jiff::Timestamp;

use crate::catalog::target_name;
use crate::config::Config;

/// Which snapshots are meant: those that fit everything that is said here.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this target, or of the one that has this alias.
    pub target: Option<String>,
    /// Of this tier.
    pub tier: Option<String>,
    /// Of this backup type.
    pub backup_type: Option<String>,
    /// With a source of this component, or of the target that has this name or alias.
    pub component: Option<String>,
    /// With all of these tags.
    pub tags: Vec<String>,
    /// With all of this metadata.
    pub metadata: Vec<(String, String)>,
    /// Of this host.
    pub host: Option<String>,
    /// Of this folder or file, without a `/` at the end.
    pub path: Option<String>,
    /// Taken at this time or later.
    pub since: Option<Timestamp>,
    /// Taken at this time or before.
    pub until: Option<Timestamp>,
    /// In this state; `completed` also means those that were verified since.
    pub status: Option<String>,
}

impl Filter {
    /// The same with aliases of targets replaced.
    pub(super) fn canonical(&self, config: &Config) -> Self {
        let canonical = |name: &Option<String>| name.as_deref().map(|n| target_name(config, n));
        Self { target: canonical(&self.target), component: canonical(&self.component), ..self.clone() }
    }

    /// Whether a snapshot fits.
    pub(super) fn fits(&self, s: &Snapshot) -> bool {
        let m = &s.manifest;
        let status =
            |wanted: &String| s.status() == wanted || (wanted == "completed" && s.status() == "verified");
        let component = |wanted: &String| {
            m.target == *wanted || m.sources.iter().any(|source| source.component() == wanted)
        };
        let path = |wanted: &String| m.paths.iter().any(|own| own.trim_end_matches('/') == wanted);
        self.target.as_ref().is_none_or(|t| m.target == *t)
            && self.tier.as_ref().is_none_or(|t| m.tier == *t)
            && self.backup_type.as_ref().is_none_or(|t| m.backup_type == *t)
            && self.component.as_ref().is_none_or(component)
            && self.tags.iter().all(|t| s.tags().contains(t))
            && self.metadata.iter().all(|(k, v)| m.metadata.get(k) == Some(v))
            && self.host.as_ref().is_none_or(|h| m.host == *h)
            && self.path.as_ref().is_none_or(path)
            && self.since.is_none_or(|t| s.taken_at() >= t)
            && self.until.is_none_or(|t| s.taken_at() <= t)
            && self.status.as_ref().is_none_or(status)
    }
}
