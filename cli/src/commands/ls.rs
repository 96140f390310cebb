//! `chronos ls`: what a snapshot holds.

use chronos_snapshot::{Entries, Node, TreePath};
use clap::Args;
use serde::Serialize;

use crate::commands::catalog::Catalog;
use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::entry::{Entry, long_row, long_table, name};
use crate::values::parse_shown;

/// List the files of a snapshot
#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// Snapshot, and the folder or file in it
    #[arg(value_name = "SNAP[:PATH]", default_value = "latest", value_parser = parse_shown())]
    snapshot: String,

    /// With type, permissions, owner, size and time
    #[arg(short, long)]
    long: bool,

    /// Also everything below
    #[arg(short = 'R', long)]
    recursive: bool,
}

/// The JSON document.
#[derive(Serialize)]
struct Listing<'a> {
    backup_id: &'a str,
    snapshot: String,
    path: String,
    entries: Vec<Entry>,
    errors: Vec<String>,
}

impl Ls {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let catalog = Catalog::open(app)?;
        let (snapshot, path) = catalog.locate(app, &self.snapshot)?;
        let tree = catalog.tree(&snapshot);
        let base = path.unwrap_or_default();
        let missing = || {
            Failure::new(Exit::Failed, format!("{base} is not in {}", snapshot.manifest.backup_id))
                .hint("`chronos find` looks in all snapshots")
        };
        let is_file = !base.is_root() && !tree.get(&base)?.ok_or_else(missing)?.is_dir();
        let entries = if self.recursive || is_file { tree.range(&base) } else { tree.children(&base) };
        let (listed, errors) = self.list(app, entries.without_extents())?;
        let exit = if errors.is_empty() { catalog.exit() } else { Exit::Damage };
        app.output.document(&Listing {
            backup_id: &snapshot.manifest.backup_id,
            snapshot: snapshot.id.to_string(),
            path: base.to_string(),
            entries: listed,
            errors,
        })?;
        Ok(exit)
    }

    /// Prints as it goes; collects only for JSON, and what could not be read.
    fn list(&self, app: &App, entries: Entries) -> Result<(Vec<Entry>, Vec<String>), Failure> {
        let (mut listed, mut errors) = (Vec::new(), Vec::new());
        let mut long = long_table();
        for entry in entries {
            chronos_store::check_cancelled(&*app.output.monitor())?;
            match entry {
                Ok((path, node)) if app.output.is_json() => listed.push(Entry::new(&path, &node)),
                Ok((path, node)) => self.print(app, &mut long, &path, &node)?,
                Err(error) => {
                    app.output.warning(&error);
                    errors.push(error.to_string());
                }
            }
        }
        app.output.table(&long)?;
        Ok((listed, errors))
    }

    fn print(
        &self,
        app: &App,
        long: &mut crate::output::table::Table,
        path: &TreePath,
        node: &Node,
    ) -> Result<(), Failure> {
        /// Rows that are lined up with each other; more would have to wait in memory.
        const PAGE: usize = 10_000;
        if !self.long {
            return app.output.line(name(path, node));
        }
        long_row(long, path, node);
        if long.len() >= PAGE {
            app.output.table(long)?;
            *long = long_table();
        }
        Ok(())
    }
}
