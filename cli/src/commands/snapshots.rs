//! `chronos snapshots`: what there is, newest first.

use chronos_server::catalog::Row;
use chronos_server::operations::failures::failures;
use chronos_snapshot::{Snapshot, counted, printable};
use clap::Args;

use crate::commands::catalog::{Catalog, Filter};
use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::snapshot::table;
use crate::output::table::{Table, local_time};

/// List snapshots, newest first
#[derive(Debug, Args)]
pub(crate) struct Snapshots {
    /// At most so many
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,

    /// Those that were forgotten and can still be undeleted
    #[arg(long)]
    deleted: bool,

    #[command(flatten)]
    filter: Filter,
}

impl Snapshots {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let catalog = Catalog::open(app)?;
        if self.filter.status.as_deref() == Some("failed") {
            return self.failed(app, &catalog);
        }
        let trash = if self.deleted { catalog.trash()? } else { Vec::new() };
        let all = if self.deleted { &trash } else { &catalog.snapshots };
        // Of several of one moment the last in the repository's own order comes first.
        let mut fitting: Vec<&Snapshot> = self.filter.apply(&catalog, all)?.rev().collect();
        let newest = fitting.iter().max_by_key(|s| s.taken_at()).map(|s| s.taken_at());
        fitting.sort_by_key(|s| std::cmp::Reverse(s.taken_at()));
        let total = fitting.len();
        fitting.truncate(self.limit.unwrap_or(total));
        let location = catalog.repository.location();
        let rows: Vec<Row<'_>> = fitting.iter().map(|s| Row::new(s, &location)).collect();
        app.output.document(&rows)?;
        if newest.is_none() {
            app.output.note(if all.is_empty() { "No snapshots." } else { "No snapshot fits." });
        } else {
            app.output.table(&table(fitting.iter().copied()))?;
            app.output.note(format!("{} of {} in {location}", fitting.len(), counted(total, "snapshot")));
        }
        Ok(catalog.exit())
    }

    /// Lists what made no snapshot.
    fn failed(&self, app: &App, catalog: &Catalog) -> Result<Exit, Failure> {
        let mut found = failures(app.workplace()?, &catalog.repository, &self.filter.meant()?)?;
        found.truncate(self.limit.unwrap_or(found.len()));
        app.output.document(&found)?;
        if found.is_empty() {
            app.output.note("No backup of a configured target has failed on this host.");
        } else {
            let mut table = Table::new(&["BACKUP ID", "TIME", "WHY"]);
            for one in &found {
                let why = printable(one.error.as_bytes());
                table.row([one.backup_id.clone(), local_time(&one.created_at), why]);
            }
            app.output.table(&table)?;
        }
        Ok(catalog.exit())
    }
}
