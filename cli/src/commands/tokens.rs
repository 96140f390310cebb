//! `chronos tokens`: who may use the HTTP service from elsewhere.

use std::path::PathBuf;

use chronos_server::http::auth::Role;
use chronos_server::http::auth::tokens::{self, Token, Tokens as Known};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::Table;

/// Make and list the tokens of the HTTP service
///
/// The file holds hashes only. A running service sees its changes; to take a token back, delete its line.
#[derive(Debug, Args)]
pub(crate) struct Tokens {
    #[command(subcommand)]
    action: Action,
}

/// What is done.
#[derive(Debug, Subcommand)]
enum Action {
    /// Make a token and print it, this once
    Add {
        /// Whose it is
        name: String,
        /// What it allows: read, backup, restore, admin; each also what those before it allow
        #[arg(long)]
        role: Role,
        /// File of hashed tokens
        #[arg(long, value_name = "FILE", env = "CHRONOS_TOKEN_FILE", hide_env_values = true)]
        token_file: PathBuf,
    },
    /// List the tokens by name
    List {
        /// File of hashed tokens
        #[arg(long, value_name = "FILE", env = "CHRONOS_TOKEN_FILE", hide_env_values = true)]
        token_file: PathBuf,
    },
}

/// One token in a JSON document.
#[derive(Serialize)]
struct Document<'a> {
    name: &'a str,
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

impl Tokens {
    /// Runs the command.
    pub(crate) fn run(self, app: &App) -> Result<Exit, Failure> {
        match self.action {
            Action::Add { name, role, token_file } => {
                let token = tokens::add(&token_file, role, &name, &app.env)?;
                app.output.line(&token)?;
                app.output.note("It is shown this once; the file holds only its hash.");
                app.output.document(&Document { name: &name, role: role.word(), token: Some(&token) })?;
            }
            Action::List { token_file } => {
                let known = Known::read(&token_file)?;
                let mut table = Table::new(&["NAME", "ROLE"]);
                for token in known.all() {
                    table.row([token.name.to_string(), token.role.to_string()]);
                }
                app.output.table(&table)?;
                let documents: Vec<_> = known.all().iter().map(listed).collect();
                app.output.document(&documents)?;
            }
        }
        Ok(Exit::Done)
    }
}

fn listed(token: &Token) -> Document<'_> {
    Document { name: &token.name, role: token.role.word(), token: None }
}
