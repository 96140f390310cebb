//! `chronos cat`: the bytes of a file of a snapshot.

use std::io::Write;

use chronos_server::operations::gathered::gathered;
use chronos_snapshot::ByteRange;
use clap::Args;

use crate::commands::catalog::Catalog;
use crate::context::App;
use crate::error::{Exit, Failure};
use crate::values::parse_shown;

/// Write a file of a snapshot to standard output
///
/// Of an n8n source, SOURCE/workflows.json is the one list that `n8n import:workflow` takes.
#[derive(Debug, Args)]
pub(crate) struct Cat {
    /// Snapshot and the file in it
    #[arg(value_name = "SNAP:PATH", required = true, value_parser = parse_shown())]
    files: Vec<String>,

    /// First byte
    #[arg(long, value_name = "N", default_value_t = 0)]
    offset: u64,

    /// At most so many bytes
    #[arg(long, value_name = "N")]
    length: Option<u64>,
}

impl Cat {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        if app.output.is_json() {
            return Err(Failure::usage("cat writes the bytes of a file; they are no JSON document")
                .hint("leave --json out; `chronos ls --json` gives the attributes"));
        }
        let catalog = Catalog::open(app)?;
        let end = self.length.map_or(u64::MAX, |n| self.offset.saturating_add(n));
        for file in &self.files {
            let (snapshot, path) = catalog.locate(app, file)?;
            let path = path.ok_or_else(|| {
                Failure::usage(format!("{file} names no file"))
                    .hint("write SNAP:PATH, as in latest:etc/hosts")
            })?;
            let mut out = app.output.bytes();
            let tree = catalog.tree(&snapshot);
            let written = match gathered(&tree, &path)? {
                Some(_) if self.offset > 0 || self.length.is_some() => {
                    return Err(Failure::usage(format!(
                        "{file} is put together while it is written: it has no --offset and no --length"
                    )));
                }
                Some(list) => list.write(&tree, &mut out).map(drop),
                None => tree.cat(&path, ByteRange { start: self.offset, end }, &mut out).map(drop),
            };
            match written {
                Ok(()) => out.flush().map_err(|e| Failure::stdout(&e))?,
                Err(chronos_snapshot::Error::File { source, .. }) => return Err(Failure::stdout(&source)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(catalog.exit())
    }
}
