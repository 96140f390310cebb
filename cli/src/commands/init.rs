//! `chronos init`: a new repository.

use chronos_server::shown;
use chronos_server::workplace::Given;
use chronos_server::workplace::location::{check_free, parse};
use chronos_store::CreateOptions;
use clap::Args;
use serde::Serialize;

use crate::context::{App, prompt};
use crate::error::{Exit, Failure};

/// Create a repository
///
/// The place must be empty or absent. Without a password the repository gets a random key in a key file of yours;
/// keep a copy of that file elsewhere.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Cut and name chunks as this repository does, so that copies between the two deduplicate
    #[arg(long, value_name = "REPO")]
    like: Option<String>,

    /// Ask for a password on the terminal, twice
    #[arg(long, conflicts_with = "secret")]
    ask_password: bool,

    /// Label of the first key
    #[arg(long, value_name = "TEXT", default_value = "first")]
    label: String,
}

/// The JSON document.
#[derive(Serialize)]
struct Made {
    status: &'static str,
    path: String,
    repository_id: String,
    key_file: Option<String>,
}

impl Init {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let like = match &self.like {
            Some(other) => Some(app.open_at(&parse(other)?)?.chunk_keys()),
            None => None,
        };
        let location = &app.workplace()?.location;
        let given = if self.ask_password {
            check_free(&location.place)?;
            if !prompt::possible() {
                return Err(Failure::usage("there is no terminal to ask for a password on")
                    .hint("give it with --password-file or --password-command"));
            }
            Some(Given::Password(prompt::ask_new("Password of the new repository", &*app.output.monitor())?))
        } else {
            app.workplace()?.given()?
        };
        let created = app.create(given, &CreateOptions { like, label: self.label.clone() })?;
        let path = location.shown();
        app.output.summary(format!("Made a new repository: {path}"))?;
        app.note_key(created.key_file.as_deref());
        app.output.document(&Made {
            status: "created",
            path,
            repository_id: created.repository.id().to_string(),
            key_file: created.key_file.as_deref().map(shown),
        })?;
        Ok(Exit::Done)
    }
}
