//! `chronos keys`: the passwords and key files that open a repository.

use std::path::PathBuf;

use chronos_server::workplace::key_file;
use chronos_server::workplace::secret::{Given, password_command, password_file};
use chronos_store::{Repository, Secret};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::context::{App, prompt};
use crate::error::{Exit, Failure};
use crate::output::table::{Table, local_time};

/// Manage the passwords and key files that open a repository
#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    action: Action,
}

/// What is done.
#[derive(Debug, Subcommand)]
enum Action {
    /// List the keys
    List,
    /// Add a password or key file
    Add(New),
    /// Remove a key; the last one stays
    ///
    /// Whoever has copied the key file or the repository before can still read what was in it then: to shut somebody
    /// out for good, back up into a new repository.
    Remove {
        /// Name of the key, as `chronos keys list` shows it
        #[arg(value_name = "KEY")]
        slot: String,
    },
    /// Replace the key that opened the repository now by a new one
    Passwd(New),
}

/// A new key.
#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "named as the options are")]
struct New {
    /// File whose first line is the new password
    #[arg(long, value_name = "FILE", group = "new")]
    new_password_file: Option<PathBuf>,

    /// Command that prints the new password
    #[arg(long, value_name = "COMMAND", group = "new")]
    new_password_command: Option<String>,

    /// Key file; made if it is not there
    #[arg(long, value_name = "FILE", group = "new")]
    new_key_file: Option<PathBuf>,

    /// What it is for
    #[arg(long, value_name = "TEXT", default_value = "")]
    label: String,
}

/// The JSON document of what changes keys.
#[derive(Serialize)]
struct Changed<'a> {
    status: &'static str,
    slot: &'a str,
    removed: Option<&'a str>,
}

impl Keys {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let repository = app.open()?;
        match &self.action {
            Action::List => list(app, &repository)?,
            Action::Add(new) => {
                let slot = new.add(app, &repository)?;
                app.output.summary(format!("Added: {slot}"))?;
                new.note_elsewhere(app)?;
                app.output.document(&Changed { status: "added", slot: &slot, removed: None })?;
            }
            Action::Remove { slot } => {
                repository.remove_key(slot)?;
                app.output.summary(format!("Removed: {slot}"))?;
                app.output.document(&Changed { status: "removed", slot, removed: Some(slot) })?;
            }
            Action::Passwd(new) => {
                let current = repository.key_slots()?.into_iter().find(|s| s.current);
                let slot = new.add(app, &repository)?;
                let old = current.map(|s| s.slot);
                if let Some(old) = &old {
                    repository.remove_key(old)?;
                }
                app.output
                    .summary("The old key is replaced: from now on the new one opens this repository.")?;
                new.note_elsewhere(app)?;
                app.output.document(&Changed { status: "replaced", slot: &slot, removed: old.as_deref() })?;
            }
        }
        Ok(Exit::Done)
    }
}

fn list(app: &App, repository: &Repository) -> Result<(), Failure> {
    let mut slots = repository.key_slots()?;
    for slot in &mut slots {
        // The store counts nanoseconds; people and machines are told RFC 3339 everywhere.
        let time = slot.created_at.parse().ok().and_then(|ns| jiff::Timestamp::from_nanosecond(ns).ok());
        slot.created_at = time.map_or_else(|| slot.created_at.clone(), |t| t.to_string());
    }
    let mut table = Table::new(&["", "KEY", "KIND", "CREATED", "LABEL"]);
    for slot in &slots {
        table.row([
            if slot.current { "*" } else { "" }.to_owned(),
            slot.slot.clone(),
            slot.kind.clone(),
            local_time(&slot.created_at),
            chronos_snapshot::printable(slot.label.as_bytes()),
        ]);
    }
    app.output.table(&table)?;
    app.output.document(&slots)
}

impl New {
    /// Key files are found by themselves only in this user's own folder.
    fn note_elsewhere(&self, app: &App) -> Result<(), Failure> {
        let Some(file) = &self.new_key_file else { return Ok(()) };
        let folder = std::path::absolute(file).map_err(|e| Failure::file(file, &e))?;
        let own = app.workplace()?.places.keys();
        if folder.parent() != Some(&own) || folder.extension().is_none_or(|e| e != "key") {
            app.output.note(format!(
                "Give it with --key-file {}; a file *.key in {} is found by itself.",
                chronos_server::shown(file),
                chronos_server::shown(&own)
            ));
        }
        Ok(())
    }

    fn add(&self, app: &App, repository: &Repository) -> Result<String, Failure> {
        let secret = self.secret(app, repository)?;
        Ok(repository.add_key(&secret, &self.label)?)
    }

    fn secret(&self, app: &App, repository: &Repository) -> Result<Secret, Failure> {
        if let Some(path) = &self.new_password_file {
            return Ok(password_file(path)?.secret()?);
        }
        if let Some(command) = &self.new_password_command {
            return Ok(password_command(command)?.secret()?);
        }
        if let Some(path) = &self.new_key_file {
            if !path.exists() {
                let key = app.env.random_bytes()?;
                key_file::create(path, &key, &repository.location())?;
                app.output.note(format!("Made a key file: {}", chronos_server::shown(path)));
            }
            return Ok(Given::Key(path.clone()).secret()?);
        }
        if !prompt::possible() {
            return Err(Failure::usage("no new key was given")
                .hint("give it with --new-password-file, --new-password-command or --new-key-file"));
        }
        Ok(Secret::Password(prompt::ask_new("New password", &*app.output.monitor())?))
    }
}
