//! `chronos init`: a new repository.

use chronos_store::CreateOptions;
use clap::Args;
use serde::Serialize;

use crate::context::App;
use crate::context::location::{parse, shown};
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
        let created = app.create(&CreateOptions { like, label: self.label.clone() })?;
        let path = app.settings()?.location.shown();
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
