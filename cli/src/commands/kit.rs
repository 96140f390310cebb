//! `chronos kit`: the recovery kit, made and opened.

use std::path::{Path, PathBuf};

use chronos_server::operations::kit::{
    ExportRequest, Exported, Kit as Recovery, Newest, OpenRequest, OpenedKit, export, open, quoted,
};
use chronos_server::operations::recover::StepReport;
use chronos_server::shown;
use chronos_server::workplace::Given;
use chronos_server::workplace::secret::{first_line, password_file};
use chronos_snapshot::counted;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::context::{App, prompt, variable};
use crate::error::{Exit, Failure};
use crate::output::table::{Table, local_time};

/// The variable that may hold the password of a kit.
const PASSWORD: &str = "CHRONOS_KIT_PASSWORD";

/// Make or open a recovery kit: what, beside the repository, has to survive for everything to come back
#[derive(Debug, Args)]
pub(crate) struct Kit {
    #[command(subcommand)]
    action: Action,
}

/// What is done.
#[derive(Debug, Subcommand)]
enum Action {
    /// Write a kit: a page to keep and to print, which opens the repository with a password of its own
    ///
    /// The kit gets a key of its own in the repository, sealed with the password: it works whatever other keys are changed later.
    /// `chronos keys list` shows it as "recovery kit"; `chronos keys remove` takes it away if the page was lost.
    Export {
        /// The page
        #[arg(short = 'o', long, value_name = "FILE", default_value = "chronos-kit.html")]
        output: PathBuf,

        /// Another place where the repository is, such as a copy elsewhere
        #[arg(long = "copy", value_name = "LOCATION")]
        copies: Vec<String>,

        /// File whose first line is the password of the kit (or in `CHRONOS_KIT_PASSWORD`)
        #[arg(long, value_name = "FILE")]
        kit_password_file: Option<PathBuf>,
    },
    /// Open a kit: writes a key file, brings the configuration back where there is none, and lists what there is
    ///
    /// The repository is looked for at the places that the kit names, or where -r says. What is there stays as it is.
    Open {
        /// The page of the kit, or a file with the text of its QR code
        #[arg(value_name = "FILE")]
        kit: PathBuf,

        /// File whose first line is the password of the kit (or in `CHRONOS_KIT_PASSWORD`)
        #[arg(long, value_name = "FILE")]
        kit_password_file: Option<PathBuf>,

        /// Leave the configuration in the repository
        #[arg(long)]
        no_config: bool,
    },
}

/// The JSON document of a new kit.
#[derive(Serialize)]
struct Made<'a> {
    status: &'static str,
    path: String,
    repository: &'a str,
    locations: &'a [String],
    slot: &'a str,
}

/// The JSON document of an opened kit.
#[derive(Serialize)]
struct Opened<'a> {
    status: &'static str,
    path: String,
    repository: &'a str,
    location: &'a str,
    slot: &'a str,
    key_file: String,
    put_back: &'a [String],
    config: Option<&'a StepReport>,
    config_file: Option<String>,
    errors: &'a [String],
    warnings: &'a [String],
    snapshots: usize,
    newest: &'a [Newest],
}

impl Kit {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        match &self.action {
            Action::Export { output, copies, kit_password_file } => {
                let repository = app.open()?;
                let password = password(app, kit_password_file.as_deref(), Asked::New)?;
                let request = ExportRequest { output: output.clone(), copies, password: &password };
                made(app, output, &export(app.workplace()?, &repository, &request)?)
            }
            Action::Open { kit, kit_password_file, no_config } => {
                let read = Recovery::read(kit)?;
                let password = password(app, kit_password_file.as_deref(), Asked::Known)?;
                let request = OpenRequest { kit: &read, password: &password, has_config: !no_config };
                opened(app, kit, &read, &open(app.workplace()?, &request)?)
            }
        }
    }
}

/// How somebody is asked for a password.
#[derive(Clone, Copy)]
enum Asked {
    /// It is chosen now.
    New,
    /// It was chosen before.
    Known,
}

/// The password of a kit: from the file, the variable, or whoever sits there.
fn password(app: &App, file: Option<&Path>, asked: Asked) -> Result<String, Failure> {
    let given = match file {
        Some(file) => Some(password_file(file)?),
        None => variable(PASSWORD).map(|text| first_line(&text, PASSWORD)).transpose()?,
    };
    if let Some(Given::Password(text)) = given {
        return Ok(text);
    }
    if !prompt::possible() {
        let hint = format!("give it with --kit-password-file or {PASSWORD}");
        return Err(Failure::usage("no password of the kit was given").hint(hint));
    }
    let monitor = app.output.monitor();
    match asked {
        Asked::New => prompt::ask_new("New password of the kit", &*monitor),
        Asked::Known => prompt::ask("Password of the kit", &*monitor),
    }
}

fn made(app: &App, output: &Path, exported: &Exported) -> Result<Exit, Failure> {
    let kit = &exported.kit;
    app.output.summary(format!("Wrote the recovery kit {}", shown(output)))?;
    app.output.note("Keep it where neither this machine nor the repository is, print it, and keep its password apart from it.");
    for (slot, label) in &exported.others {
        app.output.note(format!("Still valid: {slot} ({label}); `chronos keys remove {slot}` ends it."));
    }
    if let Some(why) = &exported.lacks_config {
        app.output.warning(format!(
            "the configuration would not come back as it is: {why}; `chronos backup --target chronos` makes a snapshot of it"
        ));
    }
    app.output.document(&Made {
        status: "exported",
        path: shown(output),
        repository: &kit.repository,
        locations: &kit.locations,
        slot: &kit.slot,
    })?;
    Ok(Exit::Done)
}

fn opened(app: &App, file: &Path, kit: &Recovery, opened: &OpenedKit) -> Result<Exit, Failure> {
    app.output.finish();
    for warning in opened.errors.iter().chain(&opened.warnings) {
        app.output.warning(warning);
    }
    for name in &opened.put_back {
        app.output.summary(format!("Put back into the repository: {name}"))?;
    }
    let is_known = if opened.is_known { " (it was there)" } else { "" };
    app.output.summary(format!("Repository:    {}", opened.location))?;
    app.output.summary(format!("Key file:      {}{is_known}", shown(&opened.key_file)))?;
    if let Some(config) = &opened.config_file {
        let from =
            opened.config.as_ref().map(|step| format!(" (from {})", step.backup_id)).unwrap_or_default();
        app.output.summary(format!("Configuration: {}{from}", shown(config)))?;
    }
    let mut table = Table::new(&["TARGET", "NEWEST GOOD SNAPSHOT", "TAKEN"]);
    for newest in &opened.newest {
        table.row([newest.target.clone(), newest.backup_id.clone(), local_time(&newest.taken_at)]);
    }
    app.output.table(&table)?;
    app.output.summary(format!("The kit is open: {}", counted(opened.snapshots, "snapshot")))?;
    app.output.note(format!(
        "`chronos rebuild {} --dry-run` says what would bring everything back.",
        quoted(&opened.location)
    ));
    app.output.document(&Opened {
        status: if opened.errors.is_empty() { "opened" } else { "partial" },
        path: shown(file),
        repository: &kit.repository,
        location: &opened.location,
        slot: &kit.slot,
        key_file: shown(&opened.key_file),
        put_back: &opened.put_back,
        config: opened.config.as_ref(),
        config_file: opened.config_file.as_deref().map(shown),
        errors: &opened.errors,
        warnings: &opened.warnings,
        snapshots: opened.snapshots,
        newest: &opened.newest,
    })?;
    Ok(if opened.errors.is_empty() { Exit::Done } else { Exit::Partial })
}
