//! What of a snapshot can be laid beside what is there now, source by source.

use std::path::PathBuf;

use chronos_connect::n8n::file_name;
use chronos_snapshot::{COMPONENTS, FileOptions, Manifest, SourceResult, Tree, TreePath, printable};

use crate::config::{SourceKind, TargetConfig};
use crate::error::{Error, Result};
use crate::operations::backup::setting;
use crate::operations::diff::part::{Part, on_disk};
use crate::operations::diff::{LIVE, Reach};
use crate::operations::versions::FOLDER;
use crate::sources::{Selection, of_target, walked};
use crate::workplace::Workplace;

/// The parts of a comparison, in the order of their paths, and which sources cannot be compared.
///
/// # Errors
/// [`Error::Value`] if none can be compared.
pub(super) fn parts(
    workplace: &Workplace,
    tree: &Tree,
    manifest: &Manifest,
    base: &TreePath,
    reach: Reach,
) -> Result<(Vec<Part>, Vec<String>)> {
    let target = workplace.config.target(&manifest.target);
    let live = Live { workplace, tree, manifest, target, base, reach };
    let mut parts: Vec<(TreePath, Part)> = Vec::new();
    let mut not_compared = Vec::new();
    for source in &manifest.sources {
        match live.of_source(source)? {
            Ok(found) => parts.extend(found),
            Err(why) => not_compared.push(format!("source {}: {why}", printable(source.name.as_bytes()))),
        }
    }
    if parts.is_empty() && (base.is_root() || !not_compared.is_empty()) {
        let named = printable(manifest.backup_id.as_bytes());
        let why = match &*not_compared {
            [] => format!("{named} does not say what it was made of"),
            each => format!("{named}: {}", each.join("; ")),
        };
        return Err(Error::Value { place: LIVE.to_owned(), why });
    }
    parts.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok((parts.into_iter().map(|(_, part)| part).collect(), not_compared))
}

/// What a source is compared by; or why it cannot be.
type Compared = std::result::Result<Vec<(TreePath, Part)>, String>;

struct Live<'a> {
    workplace: &'a Workplace,
    tree: &'a Tree,
    manifest: &'a Manifest,
    target: Option<&'a TargetConfig>,
    base: &'a TreePath,
    reach: Reach,
}

impl Live<'_> {
    fn of_source(&self, source: &SourceResult) -> Result<Compared> {
        match &*source.kind {
            "files" => self.files(source),
            "n8n" => self.n8n(source),
            _ if !self.is_asked_for(source) => Ok(Ok(Vec::new())),
            "postgres" | "sqlite" => Ok(Err(format!(
                "a database cannot be compared live; compare two snapshots, or restore {} into a new place and look there",
                self.manifest.backup_id
            ))),
            kind => {
                let kind = printable(kind.as_bytes());
                Ok(Err(format!("what came from a source of kind {kind} cannot be compared live")))
            }
        }
    }

    /// Whether a source has something at or below the path that is asked about.
    fn is_asked_for(&self, source: &SourceResult) -> bool {
        let roots = self.roots(source);
        roots.is_empty() || roots.iter().any(|root| within(self.base, root).is_some())
    }

    fn roots(&self, source: &SourceResult) -> Vec<TreePath> {
        match &*source.paths {
            [] => self.tree.roots(self.manifest),
            own => self.tree.roots(&Manifest { paths: own.to_vec(), ..self.manifest.clone() }),
        }
    }

    /// Folders and files, each with what lies below it.
    fn files(&self, source: &SourceResult) -> Result<Compared> {
        let mut roots = self.roots(source);
        if roots.is_empty() {
            return Ok(Err("the snapshot does not name the files on disk that it was made of".to_owned()));
        }
        let configured = match self.target {
            Some(target) => walked(target, &Selection::default(), &self.setting())?,
            None => Vec::new(),
        };
        roots.sort();
        roots.dedup();
        let mut parts = Vec::new();
        while let Some(outer) = roots.first().cloned() {
            let (inner, rest) = roots.into_iter().partition(|root| root.strip(&outer).is_some());
            roots = rest;
            let Some(base) = within(self.base, &outer) else { continue };
            let is_at = |options: &&FileOptions| {
                options.roots.iter().any(|r| TreePath::from_absolute(r).is_ok_and(|p| p == outer))
            };
            let rules = match (configured.iter().find(is_at), self.reach) {
                (Some(options), _) => options.clone(),
                (None, Reach::Anywhere) => {
                    FileOptions { own: self.workplace.own_folders(), threads: 2, ..FileOptions::default() }
                }
                (None, Reach::Configured) => {
                    return Ok(Err(format!(
                        "/{outer} is not among the configured places of target {}",
                        self.named()
                    )));
                }
            };
            parts.push((outer.clone(), of_folder(base, inner, rules)));
        }
        Ok(Ok(parts))
    }

    /// The workflows, tags and names of credentials that are stored, beside those of the server now.
    fn n8n(&self, source: &SourceResult) -> Result<Compared> {
        let folder = TreePath::new(source.name.as_str())?;
        let scope = &self.manifest.scope;
        let workflow = scope.iter().find(|part| !COMPONENTS.contains(&part.as_str()));
        let place = match workflow.and_then(|id| file_name(id)) {
            Some(file) => folder.join(FOLDER)?.join(file.as_bytes())?,
            None => folder,
        };
        let Some(base) = within(self.base, &place) else { return Ok(Ok(Vec::new())) };
        if source.failed {
            return Ok(Err("not all of it is in the snapshot".to_owned()));
        }
        let is_meant =
            |live: &&crate::config::Source| live.kind == SourceKind::N8n && live.name == source.name;
        let Some(live) = self.target.and_then(|target| target.sources.iter().find(is_meant)) else {
            return Ok(Err(format!("target {} has no n8n of this name any more", self.named())));
        };
        let alone = TargetConfig {
            name: self.manifest.target.clone(),
            sources: vec![live.clone()],
            ..TargetConfig::default()
        };
        let components = match workflow {
            Some(_) => vec![String::from_utf8_lossy(FOLDER).into_owned()],
            None => scope.clone(),
        };
        let selection = Selection { components, ..Selection::default() };
        let made = of_target(&alone, &selection, &self.setting())?;
        Ok(Ok(made
            .sources
            .into_iter()
            .map(|source| (place.clone(), Part::given(base.clone(), source)))
            .collect()))
    }

    fn named(&self) -> String {
        printable(self.manifest.target.as_bytes())
    }

    fn setting(&self) -> crate::sources::Setting {
        setting(self.workplace, &FileOptions { threads: 2, ..FileOptions::default() })
    }
}

/// A root of a snapshot and those below it, as they are on disk now.
fn of_folder(base: TreePath, roots: Vec<TreePath>, rules: FileOptions) -> Part {
    let there: Vec<PathBuf> =
        roots.iter().map(on_disk).filter(|root| root.symlink_metadata().is_ok()).collect();
    if there.is_empty() {
        return Part::nothing(base);
    }
    Part::files(base, FileOptions { roots: there, ..rules })
}

/// What of a place lies at or below a path.
fn within(base: &TreePath, place: &TreePath) -> Option<TreePath> {
    if base.strip(place).is_some() {
        return Some(base.clone());
    }
    place.strip(base).map(|_| place.clone())
}
