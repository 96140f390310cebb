//! Options that every command takes.

use std::path::PathBuf;

use chronos_server::Choices;
use clap::Args;

use crate::output::progress::Mode;
use crate::values::parse_rate;

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

impl Global {
    /// What these options name.
    pub(crate) fn choices(&self) -> Choices {
        Choices {
            repo: self.repo.clone(),
            config: self.config.clone(),
            cache_dir: self.cache_dir.clone(),
            password_file: self.password_file.clone(),
            password_command: self.password_command.clone(),
            key_file: self.key_file.clone(),
            limit_upload: self.limit_upload,
            limit_download: self.limit_download,
        }
    }
}
