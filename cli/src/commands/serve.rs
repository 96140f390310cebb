//! `chronos serve`: the HTTP service, until a signal ends it.

use std::net::SocketAddr;
use std::path::PathBuf;

use chronos_server::Network;
use chronos_server::config::parse_listen;
use chronos_server::http::{ServeOptions, log, serve};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::context::App;
use crate::error::{Exit, Failure};

/// What is said wherever HADES is asked for.
const NO_HADES: &str = "HADES, the recovery service, is not in this version";

/// Answer over HTTP until a signal ends it
///
/// One line on standard output says when it is ready; the log goes to standard error, as JSON lines. Callers of this host
/// need no token; on any other address they need one, and `chronos tokens add` makes it. SIGTERM lets requests finish;
/// what takes longer than a minute stops at its next safe place, and the next run uses what it stored.
/// This version serves CHRONOS alone: HADES, the recovery service on port 8008, is not in it.
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

    /// Address and port of HADES, which is not in this version
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse_listen)]
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
    /// Recovery; not in this version
    Hades,
}

/// The JSON document.
#[derive(Serialize)]
struct Document {
    status: &'static str,
    chronos: String,
    repository: String,
}

impl Serve {
    /// Runs the command.
    pub(crate) fn run(self, app: &App) -> Result<Exit, Failure> {
        if self.only == Some(Only::Hades) || self.hades_listen.is_some() {
            return Err(Failure::usage(NO_HADES).hint("`chronos serve` serves CHRONOS alone"));
        }
        let is_alone = self.only == Some(Only::Chronos);
        log::begin(Some(&self.log)).map_err(Failure::usage)?;
        let workplace = app.workplace()?;
        let mut options = ServeOptions::of(&workplace.config.service)?;
        options.listen = self.chronos_listen.unwrap_or(options.listen);
        options.token_file = self.token_file.or(options.token_file);
        options.trusted.extend(self.trusted);
        options.names.extend(self.names);
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        serve(workplace, options, |address| {
            let repository = workplace.location.shown();
            let chronos = format!("{scheme}://{address}");
            let rest = if is_alone { String::new() } else { format!("; {NO_HADES}") };
            app.output.line(format!("CHRONOS is ready at {chronos} for {repository}{rest}"))?;
            app.output.document(&Document { status: "ready", chronos, repository })
        })?;
        Ok(Exit::Done)
    }
}
