//! `chronos config`: the configuration file, checked, shown, begun.

use std::path::PathBuf;

use chronos_server::Config as File;
use chronos_server::shown;
use chronos_server::workplace::Origin;
use chronos_store::durable;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::context::App;
use crate::error::{Exit, Failure};

/// The file that `config init` writes: everything there is, switched off.
const TEMPLATE: &str = r#"# Configuration of chronos. Unknown keys are errors. Relative paths start from the folder of this file.

[repository]
# location = "/srv/backups"
# password_file = "/etc/chronos/password"
# password_command = "pass show backups"
# key_file = "/etc/chronos/repository.key"

[limits]
# upload = "10M"      # bytes per second into the repository
# download = "50M"

# How long snapshots stay, by tier: the newest so many, those that are younger, or both. Without any rule the built-in
# ones apply; with one, tiers that no rule names stay for ever. {} alone: for ever.
[retention]
# hourly = { count = 24, age = "24h" }
# daily = { count = 7, age = "30d" }
# manual = { age = "180d" }
# other = { age = "90d" }

# [[target]]
# name = "shop"
# aliases = ["store"]
# paths = ["/srv/shop"]
# exclude = ["*.tmp"]
# exclude_caches = true
#
# [[target.source]]
# name = "shop-db"
# kind = "command"
# component = "database"   # or workflows, credentials, config, files, agents: what --type and --component mean
# command = "pg_dump -Fp shop"
# filename = "shop.sql"
"#;

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
    /// Write a first configuration file with an explanation of everything
    Init {
        /// Where [default: chronos/chronos.toml in your configuration folder]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// The JSON document of `check`.
#[derive(Serialize)]
struct Checked {
    status: &'static str,
    file: Option<String>,
    targets: Vec<String>,
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
    config: &'a File,
}

impl Config {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        match &self.action {
            Action::Check { file } => check(app, file.clone()),
            Action::Show => show(app),
            Action::Init { file } => init(app, file.clone()),
        }?;
        Ok(Exit::Done)
    }
}

fn check(app: &App, file: Option<PathBuf>) -> Result<(), Failure> {
    let (config, file) = if let Some(file) = file {
        (File::load(&file)?, Some(file))
    } else {
        let settings = app.workplace()?;
        (settings.config.clone(), settings.config_file.clone())
    };
    let targets: Vec<String> = config.targets.iter().map(|t| t.name.clone()).collect();
    match &file {
        Some(file) => app.output.line(format!("{}: good, {} targets", shown(file), targets.len()))?,
        None => app.output.line("There is no configuration file; the defaults hold")?,
    }
    app.output.document(&Checked { status: "ok", file: file.as_deref().map(shown), targets })
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
    app.output.line("")?;
    app.output.lines(settings.config.to_toml().trim_end())?;
    app.output.document(&Shown {
        file,
        repository: settings.location.shown(),
        repository_from: from,
        keys: shown(&places.keys()),
        state: shown(&places.state),
        cache: shown(&places.cache),
        config: &settings.config,
    })
}

fn init(app: &App, file: Option<PathBuf>) -> Result<(), Failure> {
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
    if let Some(folder) = file.parent().filter(|f| !f.as_os_str().is_empty()) {
        durable::create_folder(folder)?;
    }
    durable::create_new(&file, TEMPLATE.as_bytes())?;
    app.output.summary(format!("Written: {}. Edit it, then `chronos config check`.", shown(&file)))?;
    app.output.document(&Checked { status: "written", file: Some(shown(&file)), targets: Vec::new() })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_template_is_good_as_it_is_and_with_everything_switched_on() {
        let path = std::path::Path::new("/etc/chronos/chronos.toml");
        File::parse(TEMPLATE, path).unwrap();
        let is_setting = |l: &&str| l.contains(" = ") || l.starts_with('[');
        let on: Vec<&str> = TEMPLATE
            .lines()
            .filter_map(|l| Some(l.strip_prefix("# ").unwrap_or(l)).filter(is_setting))
            .collect();
        let config = File::parse(&on.join("\n"), path).unwrap();
        assert_eq!(config.targets.len(), 1);
        assert_eq!(config.retention.len(), 4);
    }
}
