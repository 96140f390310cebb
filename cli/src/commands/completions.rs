//! `chronos completions`: completion scripts for shells.

use std::io::Write;

use clap::Args;
use clap_complete::Shell;

use crate::context::App;
use crate::error::{Exit, Failure};

/// Print a completion script for a shell
///
/// For bash: chronos completions bash > ~/.local/share/bash-completion/completions/chronos
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut (app.program)(), "chronos", &mut script);
        if app.output.is_json() {
            let script = String::from_utf8_lossy(&script).into_owned();
            app.output.document(&serde_json::json!({ "shell": self.shell.to_string(), "script": script }))?;
        } else {
            let mut out = app.output.bytes();
            out.write_all(&script).and_then(|()| out.flush()).map_err(|e| Failure::stdout(&e))?;
        }
        Ok(Exit::Done)
    }
}
