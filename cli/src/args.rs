//! The command line: global options and the list of commands.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use chronos_server::{parse_duration, parse_size};
use chronos_snapshot::{BACKUP_TYPES, TIERS};
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, CommandFactory, FromArgMatches, Parser};
use jiff::Timestamp;

use crate::commands::Command;
use crate::error::{Exit, Failure};
use crate::output::Output;
use crate::output::progress::Mode;

/// Text below the list of commands.
const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 done in part, 4 damage found, 10 no repository,
11 busy, 12 wrong password or key, 130 interrupted.

A snapshot is named by its backup id, a unique beginning of its content id, its timestamp
(YYYYMMDD_HHMMSS), NAME_TIMESTAMP, `latest`, or `latest:TARGET`.";

/// Encrypted, deduplicating backups of folders, dumps and databases.
#[derive(Debug, Parser)]
#[command(name = "chronos", version, about, after_help = AFTER_HELP, max_term_width = 110)]
#[command(disable_help_subcommand = true, infer_long_args = false, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The command line with its help.
pub(crate) fn program() -> clap::Command {
    crate::commands::examples::added(Cli::command())
}

impl Cli {
    /// Reads the command line of this process.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        Self::from_arg_matches(&program().try_get_matches()?)
    }
}

/// Options that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Repository: a folder [env: `CHRONOS_REPO`, then `BACKUP_PATH`, `CRONOS_BACKUP_DIR`; then the configuration; then your own]
    #[arg(short, long, global = true, value_name = "LOCATION")]
    pub(crate) repo: Option<String>,

    /// Configuration file [env: `CHRONOS_CONFIG`; else chronos/chronos.toml in your configuration folder, then in /etc]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// File whose first line is the password [env: `CHRONOS_PASSWORD` holds it, `CHRONOS_PASSWORD_FILE` names a file]
    #[arg(long, global = true, value_name = "FILE", group = "secret")]
    pub(crate) password_file: Option<PathBuf>,

    /// Command that prints the password
    #[arg(long, global = true, value_name = "COMMAND", group = "secret")]
    pub(crate) password_command: Option<String>,

    /// Key file that opens the repository [env: `CHRONOS_KEY_FILE`]
    #[arg(long, global = true, value_name = "FILE", group = "secret")]
    pub(crate) key_file: Option<PathBuf>,

    /// Answer with exactly one JSON document on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Progress on standard error
    #[arg(long, global = true, value_name = "HOW", default_value = "auto")]
    pub(crate) progress: Mode,

    /// Say only what was asked for, and what went wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Write at most so many bytes per second to the repository, such as 10M
    #[arg(long, global = true, value_name = "RATE", value_parser = parse_rate)]
    pub(crate) limit_upload: Option<u64>,

    /// Read at most so many bytes per second from the repository
    #[arg(long, global = true, value_name = "RATE", value_parser = parse_rate)]
    pub(crate) limit_download: Option<u64>,

    /// Folder for what may be deleted at any moment [default: chronos in your cache folder]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
}

/// Text that may hold bytes that are none: taken as it is shown everywhere, `\xff`.
pub(crate) fn shown() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().map(|text| chronos_snapshot::printable(text.as_bytes()))
}

/// A tier; `_` counts as `-`.
pub(crate) fn parse_tier(text: &str) -> Result<String, String> {
    one_of(text, TIERS)
}

/// A backup type; `_` counts as `-`.
pub(crate) fn parse_type(text: &str) -> Result<String, String> {
    one_of(text, BACKUP_TYPES)
}

/// A target's name.
pub(crate) fn parse_target(text: &str) -> Result<String, String> {
    chronos_server::check_target_name(text).map(|()| text.to_owned())
}

/// A name or tag of a snapshot.
pub(crate) fn parse_label(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(|c| c.is_control() || matches!(c, '/' | ',')) {
        return Err("a name or tag is text without control characters, '/' and ','".into());
    }
    Ok(text.to_owned())
}

/// `KEY=VALUE`.
pub(crate) fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".into()),
    }
}

/// A moment: RFC 3339, or a date with or without a time in the time zone of the process.
pub(crate) fn parse_time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let civil = text
        .parse::<jiff::civil::DateTime>()
        .or_else(|_| text.parse::<jiff::civil::Date>().map(|d| d.at(0, 0, 0, 0)))
        .map_err(|_| {
            format!("{text:?} is not a time such as 2026-01-31, '2026-01-31 13:00' or 2026-01-31T13:00:00Z")
        })?;
    civil.to_zoned(jiff::tz::TimeZone::system()).map(|z| z.timestamp()).map_err(|e| format!("{text:?}: {e}"))
}

/// A duration, in nanoseconds.
pub(crate) fn parse_nanos(text: &str) -> Result<i64, String> {
    let seconds = parse_duration(text)?;
    i64::try_from(seconds)
        .ok()
        .and_then(|s| s.checked_mul(1_000_000_000))
        .ok_or_else(|| format!("{text:?} is longer than this program can count"))
}

/// A size in bytes.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    parse_size(text)
}

fn parse_rate(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        0 => Err("0 would stop everything; leave the option out for no limit".into()),
        rate => Ok(rate),
    }
}

fn one_of(text: &str, known: &[&str]) -> Result<String, String> {
    let wanted = text.replace('_', "-");
    if known.contains(&wanted.as_str()) {
        return Ok(wanted);
    }
    Err(format!("there is {}", known.join(", ")))
}

/// Says what is wrong with the command line, or gives the help that was asked for.
pub(crate) fn usage_error(error: &clap::Error) -> Exit {
    let wants_json = std::env::args_os().skip(1).take_while(|a| a != "--").any(|a| a == "--json");
    if !error.use_stderr() {
        let text = error.render();
        let is_plain = crate::context::variable("NO_COLOR").is_some();
        let written = if !is_plain && std::io::IsTerminal::is_terminal(&std::io::stdout()) {
            writeln!(std::io::stdout(), "{}", text.ansi())
        } else {
            write!(std::io::stdout(), "{text}")
        };
        // A reader that closes the pipe has read enough of the help.
        return if written.is_ok() { Exit::Done } else { Exit::Failed };
    }
    if wants_json {
        let text = error.render().to_string();
        let message = text.trim().strip_prefix("error: ").unwrap_or(text.trim()).to_owned();
        Output::new(true, true, 0, std::sync::Arc::default()).failure(&Failure::usage(message));
    } else {
        // Nothing can be told if standard error is closed; the exit code says it.
        drop(error.print());
    }
    Exit::Usage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        program().debug_assert();
    }

    #[test]
    fn underscores_and_dashes_mean_the_same() {
        assert_eq!(parse_tier("pre_deploy").as_deref(), Ok("pre-deploy"));
        assert!(parse_tier("never").is_err());
        assert!(parse_label("a/b").is_err() && parse_label("").is_err() && parse_label("a b").is_ok());
    }
}
