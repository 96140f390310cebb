//! `chronos find`: where a file is, and in which snapshots.

use std::collections::BTreeMap;

use chronos_snapshot::{Case, Node, Patterns, Snapshot, Time, TreePath, counted, find, parse_path};
use chronos_store::SnapshotId;
use clap::Args;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::commands::catalog::{Catalog, Filter};
use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::entry::{Entry, mtime, name};
use crate::output::table::{Table, size};

/// Find files by name in all snapshots
#[derive(Debug, Args)]
pub(crate) struct Find {
    /// Patterns such as '*.pdf' or 'etc/**/hosts'; without '/' they fit names, with '/' whole paths
    #[arg(value_name = "PATTERN", required = true)]
    patterns: Vec<String>,

    /// Only in this snapshot; may be given several times
    #[arg(short, long = "snapshot", value_name = "SNAP")]
    snapshots: Vec<String>,

    /// Only below this path of the snapshots
    #[arg(long, value_name = "PATH")]
    below: Option<String>,

    /// Upper and lower case do not differ
    #[arg(short, long)]
    ignore_case: bool,

    #[command(flatten)]
    filter: Filter,
}

/// What is the same file for a reader of the list.
type Key = (TreePath, &'static str, u64, Time);

/// One file and where it is.
#[derive(Serialize)]
struct Match {
    #[serde(flatten)]
    entry: Entry,
    #[serde(serialize_with = "ids")]
    snapshots: Vec<(Timestamp, String)>,
    #[serde(skip)]
    node: Node,
    #[serde(skip)]
    tree_path: TreePath,
}

/// The JSON document.
#[derive(Serialize)]
struct Found {
    matches: Vec<Match>,
    snapshots_searched: usize,
    errors: Vec<String>,
}

impl Find {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let catalog = Catalog::open(app)?;
        let case = if self.ignore_case { Case::Insensitive } else { Case::Sensitive };
        let patterns = Patterns::new(&self.patterns, case)?;
        let base = self.below.as_deref().map(parse_path).transpose()?.unwrap_or_default();
        let mut chosen: Vec<Snapshot> = if self.snapshots.is_empty() {
            self.filter.apply(&catalog, &catalog.snapshots)?.cloned().collect()
        } else {
            let named = catalog.resolve_all(app, &self.snapshots)?;
            self.filter.apply(&catalog, &named)?.cloned().collect()
        };
        // Snapshots of the same things follow each other, so that what they share is looked at once.
        chosen.sort_by_cached_key(|s| (s.manifest.target.clone(), s.manifest.paths.clone(), s.taken_at()));
        let monitor = app.output.monitor();
        let mut found: BTreeMap<Key, Match> = BTreeMap::new();
        let reader = catalog.view.reader();
        let failed = find(&reader, &chosen, &base, &patterns, &mut |snapshot, matches| {
            chronos_store::check_cancelled(&*monitor)?;
            for (path, node) in matches {
                add(&mut found, snapshot, path, node);
            }
            Ok(())
        })?;
        let id = |id: &SnapshotId| chosen.iter().find(|s| s.id == *id).map_or("", |s| &s.manifest.backup_id);
        let errors: Vec<String> = failed.iter().map(|(s, error)| format!("{}: {error}", id(s))).collect();
        errors.iter().for_each(|e| app.output.warning(e));
        for one in found.values_mut() {
            one.snapshots.sort_by_key(|(time, _)| *time);
        }
        let exit = if errors.is_empty() { catalog.exit() } else { Exit::Damage };
        let found =
            Found { matches: found.into_values().collect(), snapshots_searched: chosen.len(), errors };
        show(app, &found)?;
        Ok(exit)
    }
}

fn add(found: &mut BTreeMap<Key, Match>, snapshot: &Snapshot, path: &TreePath, node: &Node) {
    let key = (path.clone(), crate::output::entry::kind(node), node.size(), node.mtime);
    let one = found.entry(key).or_insert_with(|| Match {
        entry: Entry::new(path, node),
        snapshots: Vec::new(),
        node: node.clone(),
        tree_path: path.clone(),
    });
    one.snapshots.push((snapshot.taken_at(), snapshot.manifest.backup_id.clone()));
}

fn ids<S: Serializer>(snapshots: &[(Timestamp, String)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(snapshots.iter().map(|(_, id)| id))
}

fn show(app: &App, found: &Found) -> Result<(), Failure> {
    app.output.document(found)?;
    let mut table = Table::new(&["PATH", "SIZE", "CHANGED", "IN", "NEWEST"]).right(&[1, 3]);
    for one in &found.matches {
        table.row([
            name(&one.tree_path, &one.node),
            size(one.node.size()),
            mtime(&one.node),
            one.snapshots.len().to_string(),
            one.snapshots.last().map(|(_, id)| id.clone()).unwrap_or_default(),
        ]);
    }
    if !table.is_empty() {
        app.output.table(&table)?;
    }
    app.output.note(format!(
        "{} found in {}",
        found.matches.len(),
        counted(found.snapshots_searched, "snapshot")
    ));
    Ok(())
}
