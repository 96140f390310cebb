//! What a restore that undoes another one knows of it: only what that one made is removed, and nothing that came since.

use std::collections::BTreeSet;

use chronos_connect::n8n::Instance;
use chronos_connect::n8n::restore::Stored;
use chronos_snapshot::{Manifest, Removed, SourceResult, Undoes};
use serde_json::Value;

use crate::catalog::Catalog;
use crate::error::Result;
use crate::operations::restore::Task;
use crate::operations::restore::later::{Gone, gone};
use crate::operations::restore::workflows::of_tree;

/// A restore that is undone.
#[derive(Clone, Debug, Default)]
pub struct Undone {
    /// Its id.
    pub rollback_id: String,
    /// The snapshot that it put back: what that has and the one of before has not was made by it.
    pub source: Option<String>,
    /// Whether it wrote over what was there.
    pub overwrote: bool,
    /// What it removed.
    pub removed: Gave,
    /// The act that it left, if it died in the middle of it: whoever has the turn undoes it only if it is still there.
    pub act: Option<i64>,
    /// The one workflow that it put back.
    pub workflow: Option<String>,
    /// Workflows that it wrote over or removed, as source and id on the server; `None`: it did not live to say which.
    pub written: Option<Vec<(String, String)>>,
    /// Workflows that it made.
    pub created: Created,
}

/// What a restore removed.
#[derive(Clone, Debug, Default)]
pub enum Gave {
    /// Nothing.
    #[default]
    Nothing,
    /// All that its snapshot lacked.
    All,
    /// What this snapshot has of that.
    Of(String),
}

/// Workflows that a restore made.
#[derive(Clone, Debug)]
pub enum Created {
    /// These, as source and id on the server.
    These(Vec<(String, String)>),
    /// It did not live to say which: of these, by their stored ids, or of all if none are named, those that are there and look like it.
    Perhaps(Option<Vec<String>>),
}

impl Default for Created {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

impl Undone {
    /// Whether it wrote over a workflow, as far as is known.
    pub(super) fn wrote(&self, source: &SourceResult, id: &str) -> bool {
        let is_it = |(of, written): &(String, String)| *of == source.name && written == id;
        match (&self.written, &self.workflow) {
            (Some(written), _) => written.iter().any(is_it),
            (None, Some(workflow)) => workflow == id,
            (None, None) => true,
        }
    }

    /// Whether it may have made workflows of a source.
    pub(super) fn may_have_made(&self, source: &SourceResult) -> bool {
        match &self.created {
            Created::These(created) => created.iter().any(|(of, _)| *of == source.name),
            Created::Perhaps(stored) => stored.as_ref().is_none_or(|stored| !stored.is_empty()),
        }
    }
}

impl Task<'_> {
    /// The workflows that the restore that is undone made and that are there.
    pub(super) fn made(
        &self,
        undone: &Undone,
        source: &SourceResult,
        instance: &Instance,
    ) -> Result<Vec<Gone>> {
        let created = match &undone.created {
            Created::These(created) => created,
            Created::Perhaps(stored) => return self.looks_made(undone, stored.as_deref(), source, instance),
        };
        gone(instance, created.iter().filter(|(of, _)| *of == source.name).map(|(_, id)| id))
    }

    /// Workflows of the snapshot that was restored which were not there before, and are there now: by their id, or under another id with
    /// the same name and the same nodes.
    fn looks_made(
        &self,
        undone: &Undone,
        named: Option<&[String]>,
        source: &SourceResult,
        instance: &Instance,
    ) -> Result<Vec<Gone>> {
        let Some(restored) = self.undoes.as_ref().and_then(|undoes| undoes.restored.as_ref()) else {
            return Ok(Vec::new());
        };
        let (before, stored) = (of_tree(&self.tree, source)?, of_tree(restored, source)?);
        let before: BTreeSet<String> = before.ids().into_iter().collect();
        let was_there = |id: &String| before.contains(id);
        let mut live = instance.workflow_names().map_err(chronos_connect::Error::from)?;
        live.retain(|id, _| !was_there(id));
        let mut made = Vec::new();
        let may = |id: &String| {
            !was_there(id)
                && named.is_none_or(|named| named.contains(id))
                && undone.workflow.as_ref().is_none_or(|one| one == id)
        };
        for id in stored.ids().into_iter().filter(may) {
            let wanted = stored.load(&id)?;
            let name = text(&wanted, "name");
            for (live_id, live_name) in &live {
                if *live_id != id && *live_name != name {
                    continue;
                }
                let now = instance.workflow(live_id).map_err(chronos_connect::Error::from)?;
                let is_like = |now: &Value| !nodes(now).is_empty() && nodes(now) == nodes(&wanted);
                let is_it = |now: &Value| !instance.is_gone(now) && (*live_id == id || is_like(now));
                made.extend(now.filter(is_it).map(|now| Gone::of(live_id, &now)));
            }
        }
        Ok(made)
    }

    /// Finds what the restore that is undone put back.
    pub(super) fn find_made(&mut self, catalog: &Catalog) {
        let Some(undone) = &self.undone else { return };
        let of = |name: &str| catalog.snapshots.iter().find(|s| s.manifest.backup_id == name);
        let removed = match &undone.removed {
            Gave::Nothing => Removed::Nothing,
            Gave::All => Removed::All,
            Gave::Of(name) => of(name).map_or(Removed::All, |s| Removed::Of(catalog.tree(s))),
        };
        let mut undoes =
            Undoes { before: self.tree.clone(), restored: None, overwrote: undone.overwrote, removed };
        let source = undone.source.clone().unwrap_or_default();
        match of(&source) {
            Some(snapshot) if snapshot.manifest.target == self.target => {
                self.warnings.extend(unseen(&snapshot.manifest, &self.snapshot.manifest, &self.sources));
                undoes.restored = Some(catalog.tree(snapshot));
            }
            Some(_) => self.warnings.push(format!(
                "{source} is of another target: files that came from it and were not there before stay, and all \
                 that were there are as before"
            )),
            None => self.warnings.push(format!(
                "{source} is gone: files that came from it and were not there before stay, and all that were there \
                 are as before"
            )),
        }
        self.undoes = Some(undoes);
    }
}

/// Places of files that the restore made as a whole: the snapshot of before knows nothing of them.
fn unseen(restored: &Manifest, before: &Manifest, sources: &[SourceResult]) -> Vec<String> {
    let paths = |manifest: &Manifest, source: &SourceResult| {
        if manifest.sources.len() == 1 { manifest.paths.clone() } else { source.paths.clone() }
    };
    let mut told = Vec::new();
    for source in restored.sources.iter().filter(|s| s.kind == "files" && !s.failed) {
        let Some(kept) = sources.iter().find(|s| s.name == source.name) else { continue };
        let kept = paths(before, kept);
        let new = paths(restored, source).into_iter().filter(|path| !kept.contains(path));
        told.extend(new.map(|path| format!("{path} was not there before, and stays if it is there now")));
    }
    told
}

fn text(workflow: &Value, key: &str) -> String {
    workflow.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Ids of the nodes of a workflow, which stay the same wherever it is.
fn nodes(workflow: &Value) -> BTreeSet<String> {
    let nodes = workflow.get("nodes").and_then(Value::as_array).into_iter().flatten();
    nodes.map(|node| text(node, "id")).collect()
}
