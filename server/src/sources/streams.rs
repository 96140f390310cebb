//! Sources that are one file: standard input, and what a command prints.

use std::io;

use chronos_connect::{Process, StreamSource};
use chronos_snapshot::{Error as Failed, Source, Time, TreePath};

use crate::error::Result;

/// What is on standard input, as the file `name` with the time `mtime`.
pub fn standard_input(name: TreePath, mtime: Time) -> Result<Box<dyn Source>> {
    Ok(Box::new(StreamSource::reader(Box::new(io::stdin()), name, mtime).map_err(Failed::from)?))
}

/// What a line for the shell prints, as the file `name` with the time `mtime`.
pub fn shell_output(line: &str, name: TreePath, mtime: Time) -> Result<Box<dyn Source>> {
    let command = Process::new(["sh", "-c", line]);
    Ok(Box::new(StreamSource::command(command, name, mtime).map_err(Failed::from)?))
}
