//! Which sources of a snapshot are put back, and in which order.

use chronos_snapshot::{COMPONENTS, Manifest, Snapshot, SourceResult, printable};

use crate::catalog::target_name;
use crate::config::Config;
use crate::error::{Error, Result};

/// Words for everything.
const ALL: [&str; 2] = ["all", "full"];
/// Component of what is told of an n8n and never written to one.
const CREDENTIALS: &str = "credentials";

/// The sources that some names mean: components, sources, or the target itself. In the order in which they are put back: files and
/// configuration, databases, workflows.
///
/// # Errors
/// [`Error::Value`] for a name that means none, and for what is never written back.
pub(super) fn chosen<'m>(
    manifest: &'m Manifest,
    names: &[String],
    config: &Config,
) -> Result<Vec<&'m SourceResult>> {
    let means_all = |name: &String| {
        ALL.contains(&&**name) || *name == manifest.target || target_name(config, name) == manifest.target
    };
    for name in names.iter().filter(|n| !means_all(n)) {
        if !manifest.sources.iter().any(|source| is_meant(name, source)) {
            return Err(unknown(name, manifest));
        }
    }
    let takes = |source: &&SourceResult| {
        names.is_empty() || names.iter().any(|name| means_all(name) || is_meant(name, source))
    };
    let mut found: Vec<&SourceResult> = manifest.sources.iter().filter(takes).collect();
    found.sort_by_key(|source| rank(&source.kind));
    Ok(found)
}

/// What `latest` means here: the newest good snapshot that has what is asked for, of the named target if that has one; a target can
/// be named among the components too.
pub(super) fn latest<'s>(
    snapshots: &'s [Snapshot],
    (names, target): (&[String], Option<&str>),
    config: &Config,
) -> Option<&'s Snapshot> {
    let of_name = |name: &String| config.target(name).map(|t| t.name.clone());
    let named = names.iter().find_map(of_name);
    let wanted = named.or_else(|| target.map(|name| target_name(config, name)));
    let is_asked =
        |scope: &[String]| scope.is_empty() || !names.is_empty() && names.iter().all(|n| scope.contains(n));
    let fits = |s: &&Snapshot| {
        let m = &s.manifest;
        s.is_good() && !s.is_before_rollback() && is_asked(&m.scope) && chosen(m, names, config).is_ok()
    };
    let of_target = |s: &&Snapshot| wanted.as_ref().is_none_or(|w| *w == s.manifest.target);
    let newest = || snapshots.iter().filter(fits);
    newest().filter(of_target).max_by_key(|s| s.taken_at()).or_else(|| newest().max_by_key(|s| s.taken_at()))
}

/// The fixed order inside a snapshot.
fn rank(kind: &str) -> u8 {
    match kind {
        "sqlite" => 1,
        "postgres" => 2,
        "n8n" => 3,
        _ => 0,
    }
}

fn is_meant(name: &str, source: &SourceResult) -> bool {
    name == source.name || name == source.component()
}

fn unknown(name: &str, manifest: &Manifest) -> Error {
    let why = if name == CREDENTIALS {
        "a snapshot holds names and types of credentials, never their values: there is nothing to put back"
            .to_owned()
    } else {
        let mut known: Vec<&str> = manifest.sources.iter().flat_map(|s| [s.component(), &*s.name]).collect();
        known.sort_unstable();
        known.dedup();
        let is_component = if COMPONENTS.contains(&name) { "component" } else { "component or source" };
        let shown = printable(name.as_bytes());
        format!("the snapshot has no {is_component} {shown:?}; it has {}", known.join(", "))
    };
    Error::Value { place: "components".to_owned(), why }
}
