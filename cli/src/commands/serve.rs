//! `chronos serve`: the HTTP services, until a signal ends them.

use std::net::SocketAddr;
use std::path::PathBuf;

use chronos_server::Network;
use chronos_server::config::parse_listen;
use chronos_server::http::{ServeOptions, log, serve};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::context::App;
use crate::error::{Exit, Failure};

/// Answer over HTTP until a signal ends it
///
/// CHRONOS makes and keeps backups, by schedule and on demand; HADES puts them back. Both run in one process, or each in its own.
/// One line on standard output says when it is ready; the log goes to standard error, as JSON lines. Callers of this host
/// need no token; on any other address they need one, and `chronos tokens add` makes it. SIGTERM lets requests finish;
/// what takes longer than a minute stops at its next safe place, and the next run uses what it stored.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Only this service
    #[arg(long, value_name = "SERVICE")]
    only: Option<Only>,

    /// Address and port of CHRONOS [default: 127.0.0.1:8010]
    #[arg(
        long,
        value_name = "ADDR:PORT",
        env = "CHRONOS_LISTEN",
        hide_env_values = true,
        value_parser = parse_listen
    )]
    chronos_listen: Option<SocketAddr>,

    /// Address and port of HADES [default: 127.0.0.1:8008]
    #[arg(
        long,
        value_name = "ADDR:PORT",
        env = "HADES_LISTEN",
        hide_env_values = true,
        value_parser = parse_listen
    )]
    hades_listen: Option<SocketAddr>,

    /// File of hashed tokens with their roles
    #[arg(long, value_name = "FILE", env = "CHRONOS_TOKEN_FILE", hide_env_values = true)]
    token_file: Option<PathBuf>,

    /// Network whose callers need no token; may be given several times
    #[arg(long = "trusted-network", value_name = "CIDR")]
    trusted: Vec<Network>,

    /// Name by which callers may ask for the service, such as that of a proxy; may be given several times
    #[arg(long = "host-name", value_name = "NAME")]
    names: Vec<String>,

    /// What is logged: error, warn, info, debug
    #[arg(long, value_name = "LEVEL", env = "CHRONOS_LOG", hide_env_values = true, default_value = "info")]
    log: String,
}

/// The services by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Only {
    /// The backup manager
    Chronos,
    /// Rollback and recovery
    Hades,
}

/// The JSON document.
#[derive(Serialize)]
struct Document {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    chronos: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hades: Option<String>,
    repository: String,
}

impl Serve {
    /// Runs the command.
    pub(crate) fn run(self, app: &App) -> Result<Exit, Failure> {
        log::begin(Some(&self.log)).map_err(Failure::usage)?;
        let workplace = app.workplace()?;
        let mut options = ServeOptions::of(&workplace.config.service)?;
        options.chronos = self.chronos_listen.or(options.chronos).filter(|_| self.only != Some(Only::Hades));
        options.hades = self.hades_listen.or(options.hades).filter(|_| self.only != Some(Only::Chronos));
        options.token_file = self.token_file.or(options.token_file);
        options.trusted.extend(self.trusted);
        options.names.extend(self.names);
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        serve(workplace, options, |listening| {
            let repository = workplace.location.shown();
            let url = |address| format!("{scheme}://{address}");
            let (chronos, hades) = (listening.chronos.map(url), listening.hades.map(url));
            let ready = [("CHRONOS", &chronos), ("HADES", &hades)].into_iter();
            let ready = ready.filter_map(|(name, url)| Some(format!("{name} is ready at {}", url.as_ref()?)));
            app.output.line(format!("{} for {repository}", ready.collect::<Vec<_>>().join(" and ")))?;
            app.output.document(&Document { status: "ready", chronos, hades, repository })
        })?;
        Ok(Exit::Done)
    }
}
