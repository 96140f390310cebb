//! Which sources of a snapshot are put back, and in which order.

use chronos_snapshot::{COMPONENTS, Manifest, Resolved, Snapshot, SourceResult, printable};

use crate::catalog::{Catalog, LATEST, target_name};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::operations::restore::RestoreRequest;

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
    let means_all = |name: &str| means_all(name, manifest, config);
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

/// The snapshot that a request means. `latest` is the newest good one that has what is asked for: of the target that is named, be it as
/// the target or among the components; of any if none is.
///
/// # Errors
/// [`Error::NoneGood`] if none has it; what the catalog says of other names.
pub fn meant(catalog: &Catalog, config: &Config, request: &RestoreRequest) -> Result<Resolved> {
    if request.backup != LATEST {
        return catalog.resolve(&request.backup);
    }
    let named = request.components.iter().find_map(|name| config.target(name)).map(|t| t.name.clone());
    let target = named.or_else(|| request.target.as_deref().map(|name| target_name(config, name)));
    let fits = |s: &&Snapshot| {
        s.is_good()
            && !s.is_before_rollback()
            && target.as_ref().is_none_or(|t| *t == s.manifest.target)
            && covers(&s.manifest, request, config)
    };
    let found = catalog.snapshots.iter().filter(fits).max_by_key(|s| s.taken_at());
    let snapshot = found
        .cloned()
        .ok_or_else(|| Error::NoneGood { target: target.clone(), components: request.components.clone() })?;
    Ok(Resolved { snapshot, note: None })
}

/// Whether a snapshot, which may be of a part of its target, has all that is asked for.
fn covers(manifest: &Manifest, request: &RestoreRequest, config: &Config) -> bool {
    let (scope, names) = (&manifest.scope, &request.components);
    let Ok(sources) = chosen(manifest, names, config) else { return false };
    let wants_all = names.is_empty() || names.iter().any(|name| means_all(name, manifest, config));
    let has_workflows = !request.workflows.is_empty() && request.workflows.iter().all(|w| scope.contains(w));
    if !request.part.is_all() && !sources.iter().any(|source| source.kind == "postgres") {
        return false;
    }
    let has_parts = || sources.iter().all(|s| scope.iter().any(|part| part == s.component()));
    !sources.is_empty() && (scope.is_empty() || has_workflows || !wants_all && has_parts())
}

/// Whether a name means everything of a snapshot.
fn means_all(name: &str, manifest: &Manifest, config: &Config) -> bool {
    ALL.contains(&name) || name == manifest.target || target_name(config, name) == manifest.target
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
