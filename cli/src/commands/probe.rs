//! `chronos probe`: tries what a place for a repository can do.

use chronos_remote::Suitability;
use chronos_server::operations::probe::{Probed, probe};
use chronos_server::workplace::location::parse;
use clap::Args;

use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::Table;

/// Try whether a place is fit for a repository
///
/// Writes below probe/ and a random name there, and removes it again: some 700 requests and 30 MB each way. A repository that lies there
/// is not touched. Exit code 0: many writers; 3: single maintainer; 1: unfit.
#[derive(Debug, Args)]
pub(crate) struct Probe {
    /// The place; the repository that is meant if none is named
    #[arg(value_name = "LOCATION")]
    location: Option<String>,
}

impl Probe {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let workplace = app.workplace()?;
        let place = match &self.location {
            Some(location) => parse(location)?,
            None => workplace.location.place.clone(),
        };
        let (suitability, probed) = probe(workplace, &place)?;
        app.output.finish();
        show(app, &probed)?;
        app.output.document(&probed)?;
        Ok(match suitability {
            Suitability::ManyWriters => Exit::Done,
            Suitability::SingleMaintainer => Exit::Partial,
            Suitability::Unfit => Exit::Failed,
        })
    }
}

fn show(app: &App, probed: &Probed) -> Result<(), Failure> {
    let mut table = Table::new(&["CAPABILITY", "SEEN", "REQUESTS"]).right(&[2]);
    for seen in &probed.capabilities {
        table.row([seen.capability.to_owned(), seen.seen.to_owned(), seen.requests.to_string()]);
    }
    app.output.table(&table)?;
    for seen in &probed.capabilities {
        if let Some(why) = &seen.why {
            app.output.warning(format!("{} ({}): {why}", seen.capability, seen.seen));
        }
    }
    if probed.removed > 0 {
        app.output.note(format!("Removed what an earlier probe had left: {} objects", probed.removed));
    }
    if let Some(left) = &probed.left {
        app.output.warning(format!("something of a probe is still there below probe/: {left}"));
    }
    app.output.line(format!("{}: {}; {}", probed.location, probed.verdict, probed.why))
}
