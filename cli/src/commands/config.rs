//! `chronos config`: the configuration file, checked, shown, begun.

use std::path::PathBuf;

use chronos_server::shown;
use chronos_server::workplace::Origin;
use chronos_server::{Config as File, Environment, Variables, starter};
use chronos_snapshot::counted;
use chronos_store::durable;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::context::{App, variable};
use crate::error::{Exit, Failure};

/// Check, show or begin the configuration file
#[derive(Debug, Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    action: Action,
}

/// What is done.
#[derive(Debug, Subcommand)]
enum Action {
    /// Check a configuration file
    Check {
        /// The file [default: the one in use]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Show what is in force, and where it comes from
    Show,
    /// Write a first configuration file with an explanation of everything, and with what is found running on this host
    Init {
        /// Where [default: chronos/chronos.toml in your configuration folder]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// SQLite database that is to be backed up; may be given several times
        #[arg(long, value_name = "FILE")]
        sqlite: Vec<PathBuf>,
    },
}

/// The JSON document of `check`.
#[derive(Serialize)]
struct Checked {
    status: &'static str,
    file: Option<String>,
    targets: Vec<String>,
    warnings: Vec<String>,
}

/// The JSON document of `show`.
#[derive(Serialize)]
struct Shown<'a> {
    file: Option<String>,
    repository: String,
    repository_from: &'static str,
    keys: String,
    state: String,
    cache: String,
    environment: &'a [String],
    config: &'a File,
}

impl Config {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        match &self.action {
            Action::Check { file } => check(app, file.clone()),
            Action::Show => show(app),
            Action::Init { file, sqlite } => init(app, file.clone(), sqlite),
        }?;
        Ok(Exit::Done)
    }
}

fn check(app: &App, file: Option<PathBuf>) -> Result<(), Failure> {
    let (config, file) = if let Some(file) = file {
        let mut config = File::load(&file)?;
        Environment::read(variable)?.lay_over(&mut config)?;
        (config, Some(file))
    } else {
        let settings = app.workplace()?;
        (settings.config.clone(), settings.config_file.clone())
    };
    let targets: Vec<String> = config.targets.iter().map(|t| t.name.clone()).collect();
    match &file {
        Some(file) => {
            app.output.line(format!("{}: good, {}", shown(file), counted(targets.len(), "target")))?;
        }
        None => app.output.line("There is no configuration file; the defaults hold")?,
    }
    let warnings = config.warnings(file.as_deref());
    for warning in &warnings {
        app.output.warning(warning);
    }
    app.output.document(&Checked { status: "ok", file: file.as_deref().map(shown), targets, warnings })
}

fn show(app: &App) -> Result<(), Failure> {
    let settings = app.workplace()?;
    let from = match settings.location.origin {
        Origin::Option => "the command line",
        Origin::Variable => "the environment",
        Origin::Config => "the configuration file",
        Origin::Default => "the default",
    };
    let file = settings.config_file.as_deref().map(shown);
    let places = &settings.places;
    app.output.line(format!("# file:       {}", file.as_deref().unwrap_or("none")))?;
    app.output.line(format!("# repository: {} (from {from})", settings.location.shown()))?;
    app.output.line(format!("# key files:  {}", shown(&places.keys())))?;
    app.output.line(format!("# state:      {}", shown(&places.state)))?;
    app.output.line(format!("# cache:      {}", shown(&places.cache)))?;
    for laid in &settings.overrides {
        app.output.line(format!("# environment: {laid}"))?;
    }
    app.output.line("")?;
    app.output.lines(settings.config.to_toml().trim_end())?;
    app.output.document(&Shown {
        file,
        repository: settings.location.shown(),
        repository_from: from,
        keys: shown(&places.keys()),
        state: shown(&places.state),
        cache: shown(&places.cache),
        environment: &settings.overrides,
        config: &settings.config,
    })
}

fn init(app: &App, file: Option<PathBuf>, sqlite: &[PathBuf]) -> Result<(), Failure> {
    let file = match file {
        Some(file) => file,
        None => app.places()?.config.join("chronos.toml"),
    };
    if file.symlink_metadata().is_ok() {
        return Err(Failure::new(
            Exit::Failed,
            format!("{} is there already and was not touched", shown(&file)),
        ));
    }
    let absolute = |path: &PathBuf| std::path::absolute(path).map_err(|e| Failure::file(path, &e));
    let sqlite = sqlite.iter().map(absolute).collect::<Result<_, _>>()?;
    let found = starter::look(&starter::Host::usual(&Variables::of_process()), sqlite);
    let text = starter::file(&found);
    let full = absolute(&file)?;
    let config = File::parse(&text, &full)?;
    if let Some(folder) = file.parent().filter(|f| !f.as_os_str().is_empty()) {
        durable::create_folder(folder)?;
    }
    durable::create_new(&file, text.as_bytes())?;
    for target in &config.targets {
        let kinds: Vec<&str> = target.sources.iter().map(|s| s.kind.name()).collect();
        app.output.line(format!("Found: {} ({})", target.name, kinds.join(", ")))?;
    }
    app.output.summary(format!("Written: {}. Edit it, then `chronos config check`.", shown(&file)))?;
    let targets = config.targets.into_iter().map(|t| t.name).collect();
    let file = Some(shown(&file));
    app.output.document(&Checked { status: "written", file, targets, warnings: Vec::new() })
}
