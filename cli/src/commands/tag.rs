//! `chronos tag`: changes the tags of snapshots.

use chronos_server::operations::Mode;
use chronos_server::operations::tag::{TagEdit, tag};
use chronos_snapshot::Snapshot;
use clap::Args;
use serde::Serialize;

use crate::commands::catalog::Catalog;
use crate::context::App;
use crate::error::{Exit, Failure};
use crate::values::parse_label;

/// Add, remove or set tags of snapshots
#[derive(Debug, Args)]
pub(crate) struct Tag {
    /// Snapshots
    #[arg(value_name = "SNAP", required = true)]
    snapshots: Vec<String>,

    /// Add this tag; may be given several times
    #[arg(long, value_name = "TAG", value_parser = parse_label, required_unless_present_any = ["remove", "set"])]
    add: Vec<String>,

    /// Remove this tag; may be given several times
    #[arg(long, value_name = "TAG", value_parser = parse_label)]
    remove: Vec<String>,

    /// Replace all tags by this one; may be given several times
    #[arg(long, value_name = "TAG", value_parser = parse_label, conflicts_with_all = ["add", "remove"])]
    set: Vec<String>,

    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// One snapshot of the JSON document.
#[derive(Serialize)]
struct Tagged {
    backup_id: String,
    snapshot: String,
    tags: Vec<String>,
}

impl Tag {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let catalog = Catalog::open(app)?;
        let chosen = catalog.resolve_all(app, &self.snapshots)?;
        let edit = TagEdit { add: self.add.clone(), remove: self.remove.clone(), set: self.set.clone() };
        tag(&catalog, &chosen, &edit, Mode::dry(self.dry_run))?;
        let mut answer = Vec::new();
        for snapshot in &chosen {
            let tags = edit.applied(snapshot.tags());
            let verb = if self.dry_run { "would have" } else { "has" };
            let shown = if tags.is_empty() { "no tags".to_owned() } else { tags.join(", ") };
            app.output.summary(format!("{} {verb} {shown}", snapshot.manifest.backup_id))?;
            answer.push(Self::row(snapshot, tags));
        }
        app.output.document(&answer)?;
        Ok(catalog.exit())
    }

    fn row(snapshot: &Snapshot, tags: Vec<String>) -> Tagged {
        Tagged { backup_id: snapshot.manifest.backup_id.clone(), snapshot: snapshot.id.to_string(), tags }
    }
}
