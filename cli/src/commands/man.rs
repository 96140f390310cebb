//! `chronos man`: the manual pages, made from the same words as `--help`.

use std::io::Write;
use std::path::PathBuf;

use chronos_server::shown;
use chronos_store::durable;
use clap::Args;
use clap_mangen::Man as Page;

use crate::context::App;
use crate::error::{Exit, Failure};

/// Print a manual page, or write all of them
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Page of this command [default: of the whole program]
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    command: Option<String>,

    /// Write all pages into this folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let mut program = (app.program)();
        program.build();
        let pages = pages(&program)?;
        if let Some(dir) = &self.dir {
            durable::create_folder(dir)?;
            for (name, text) in &pages {
                durable::replace(&dir.join(format!("{name}.1")), text)?;
            }
            let names: Vec<&String> = pages.iter().map(|(name, _)| name).collect();
            app.output.summary(format!("{} pages written to {}", pages.len(), shown(dir)))?;
            app.output.document(&serde_json::json!({ "path": shown(dir), "pages": names }))?;
            return Ok(Exit::Done);
        }
        let wanted = self.command.as_ref().map_or_else(|| "chronos".to_owned(), |c| format!("chronos-{c}"));
        let (_, text) = pages.iter().find(|(name, _)| *name == wanted).ok_or_else(|| {
            Failure::usage(format!("there is no command {}", wanted.replace("chronos-", "")))
        })?;
        if app.output.is_json() {
            let text = String::from_utf8_lossy(text);
            app.output.document(&serde_json::json!({ "page": wanted, "text": text }))?;
        } else {
            let mut out = app.output.bytes();
            out.write_all(text).and_then(|()| out.flush()).map_err(|e| Failure::stdout(&e))?;
        }
        Ok(Exit::Done)
    }
}

/// The page of the program and those of its commands, by name.
fn pages(program: &clap::Command) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut pages = vec![("chronos".to_owned(), render(program.clone())?)];
    for command in program.get_subcommands() {
        let name = format!("chronos-{}", command.get_name());
        pages.push((name, render(command.clone())?));
    }
    Ok(pages)
}

fn render(command: clap::Command) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let failed = |e: std::io::Error| Failure::new(Exit::Failed, format!("manual page: {e}"));
    Page::new(command).render(&mut text).map_err(failed)?;
    Ok(text)
}
