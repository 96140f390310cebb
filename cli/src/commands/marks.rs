//! What hold, release, delete and undelete have in common on the command line.

use chronos_server::operations::Mode;
use clap::Args;

/// Which snapshots, and whether anything is written.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Snapshots
    #[arg(value_name = "SNAP", required = true)]
    pub(crate) snapshots: Vec<String>,

    /// Only say what would be done
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

impl Which {
    /// Whether anything is written.
    pub(crate) fn mode(&self) -> Mode {
        Mode::dry(self.dry_run)
    }
}
