//! Sources that are one file: standard input, and what a command prints.

use std::io;

use chronos_connect::{Process, StreamSource};
use chronos_snapshot::{Error as Failed, Source, Time, TreePath};

use crate::config;
use crate::error::Result;
use crate::sources::Setting;

/// What is on standard input, as the file `name` with the time `mtime`.
pub fn standard_input(name: TreePath, mtime: Time) -> Result<Box<dyn Source>> {
    Ok(Box::new(StreamSource::reader(Box::new(io::stdin()), name, mtime).map_err(Failed::from)?))
}

/// What a line for the shell prints that somebody typed, as the file `name` with the time `mtime`. It has all variables that he has.
pub fn shell_output(line: &str, name: TreePath, mtime: Time) -> Result<Box<dyn Source>> {
    output(shell(line).with_secrets(), name, mtime)
}

/// What the line of a source prints; without secrets that are not its own.
pub(super) fn configured_output(
    source: &config::Source,
    name: TreePath,
    setting: &Setting,
) -> Result<Box<dyn Source>> {
    let line = source.command.as_deref().unwrap_or_default();
    output(shell(line).without(&setting.secrets).time_limit(source.limit()), name, setting.now)
}

fn shell(line: &str) -> Process {
    Process::new(["sh", "-c", line])
}

fn output(command: Process, name: TreePath, mtime: Time) -> Result<Box<dyn Source>> {
    Ok(Box::new(StreamSource::command(command, name, mtime).map_err(Failed::from)?))
}
