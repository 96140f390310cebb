//! What a restore that undoes another one knows of it: only what that one made is removed, and nothing that came since.

use std::sync::Arc;

use chronos_connect::n8n::Client;
use chronos_snapshot::{Removable, SourceResult};
use serde_json::Value;

use crate::catalog::Catalog;
use crate::error::Result;
use crate::operations::restore::Task;

/// A restore that is undone.
#[derive(Clone, Debug, Default)]
pub struct Undone {
    /// Its id.
    pub rollback_id: String,
    /// The snapshot that it put back: what that has and the one of before has not was made by it.
    pub source: Option<String>,
    /// The one workflow that it put back.
    pub workflow: Option<String>,
    /// Workflows that it wrote over, as source and id on the server; `None`: it did not live to say which.
    pub written: Option<Vec<(String, String)>>,
    /// Workflows that it made, in the same way.
    pub created: Vec<(String, String)>,
}

/// A workflow that is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gone {
    /// Its id on the server.
    pub(super) id: String,
    /// Its name.
    pub(super) name: String,
}

impl Undone {
    /// Whether it wrote over a workflow, as far as is known.
    pub(super) fn wrote(&self, source: &SourceResult, id: &str) -> bool {
        let is_it = |(of, written): &(String, String)| *of == source.name && written == id;
        self.written.as_ref().is_none_or(|written| written.iter().any(is_it))
    }

    /// The workflows that it made and that are there.
    pub(super) fn made(&self, source: &SourceResult, client: &Client) -> Result<Vec<Gone>> {
        let mut made = Vec::new();
        for (_, id) in self.created.iter().filter(|(of, _)| *of == source.name) {
            let live = client.workflow(id).map_err(chronos_connect::Error::from)?;
            let name = |live: Value| live.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            made.extend(live.map(|live| Gone { id: id.clone(), name: name(live) }));
        }
        Ok(made)
    }
}

impl Task<'_> {
    /// Finds what the restore that is undone put back.
    pub(super) fn find_made(&mut self, catalog: &Catalog) {
        let Some(source) = self.undone.as_ref().and_then(|undone| undone.source.as_ref()) else { return };
        match catalog.snapshots.iter().find(|s| s.manifest.backup_id == *source) {
            Some(snapshot) if snapshot.manifest.target == self.target => {
                self.made = Some(catalog.tree(snapshot));
            }
            Some(_) => self.warnings.push(format!(
                "{source} is of another target: files that came from it and were not there before stay"
            )),
            None => self
                .warnings
                .push(format!("{source} is gone: files that came from it and were not there before stay")),
        }
    }

    /// What of the files that the snapshot lacks may be removed: in an undo, what the other restore made.
    pub(super) fn removable(&self) -> Option<Removable> {
        self.undone.as_ref()?;
        let made = self.made.clone();
        Some(Removable(Arc::new(move |path| match &made {
            Some(tree) => Ok(tree.get(path)?.is_some()),
            None => Ok(false),
        })))
    }
}
