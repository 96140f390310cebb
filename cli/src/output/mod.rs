//! Everything that is printed: the answer on standard output, notes and progress on standard error.
//!
//! What always holds: with `--json` exactly one document goes to standard output; nothing that is written here drives a terminal or
//! looks like a line of its own, whatever it was made of. Only contents that were asked for (`cat`, `export -o -`) are written as
//! they are.

pub(crate) mod entry;
pub(crate) mod json;
pub(crate) mod progress;
pub(crate) mod snapshot;
pub(crate) mod table;

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chronos_snapshot::harmless;
use serde::Serialize;

use crate::error::{Exit, Failure};
use progress::Progress;
use table::Table;

/// Where answers and notes go.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    verbose: u8,
    answered: AtomicBool,
    progress: Arc<Progress>,
}

impl Output {
    /// An output of this kind.
    pub(crate) fn new(json: bool, quiet: bool, verbose: u8, progress: Arc<Progress>) -> Self {
        Self { json, quiet, verbose, answered: AtomicBool::new(false), progress }
    }

    /// Whether the answer is one JSON document.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether `-v` was given.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose > 0
    }

    /// One line of the answer; nothing with `--json`.
    pub(crate) fn line(&self, text: impl Display) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        self.text(&format!("{}\n", harmless(&text.to_string())))
    }

    /// Several lines of the answer, which hold nothing of a repository; nothing with `--json`.
    pub(crate) fn lines(&self, text: &str) -> Result<(), Failure> {
        text.split('\n').try_for_each(|line| self.line(line))
    }

    /// One line of a summary: part of the answer that `-q` leaves out.
    pub(crate) fn summary(&self, text: impl Display) -> Result<(), Failure> {
        if self.quiet { Ok(()) } else { self.line(text) }
    }

    /// A table; nothing with `--json`.
    pub(crate) fn table(&self, table: &Table) -> Result<(), Failure> {
        if self.json { Ok(()) } else { self.text(&table.to_string()) }
    }

    /// The JSON document; nothing without `--json`.
    pub(crate) fn document(&self, value: &impl Serialize) -> Result<(), Failure> {
        if !self.json {
            return Ok(());
        }
        self.answered.store(true, Ordering::Relaxed);
        self.text(&json::document(value)?)
    }

    /// Bytes of the answer as they are (`cat`, `export -o -`).
    pub(crate) fn bytes(&self) -> io::StdoutLock<'static> {
        self.progress.finish();
        self.answered.store(true, Ordering::Relaxed);
        io::stdout().lock()
    }

    /// A note for people on standard error; left out with `-q`.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.quiet {
            self.say(&text.to_string());
        }
    }

    /// A note that only `-v` shows.
    pub(crate) fn detail(&self, text: impl Display) {
        if self.verbose > 0 {
            self.say(&text.to_string());
        }
    }

    /// A warning on standard error, always shown.
    pub(crate) fn warning(&self, text: impl Display) {
        self.say(&format!("warning: {text}"));
    }

    /// Says why the command failed: on standard error, and as the document with `--json`.
    pub(crate) fn failure(&self, failure: &Failure) {
        self.progress.finish();
        if failure.silent {
            return;
        }
        let message = format!("chronos: {}", failure.message);
        if failure.exit == Exit::Usage {
            // Of the command line or the configuration, with the place marked in the lines below.
            message.split('\n').for_each(|line| self.say(line));
        } else {
            self.say(&message);
        }
        if let Some(hint) = &failure.hint {
            self.say(&format!("  {hint}"));
        }
        if self.json && !self.answered.load(Ordering::Relaxed) {
            let told = self.document(&json::Problem::from(failure));
            // The exit code tells the failure already; there is no other way to say more.
            drop(told);
        }
    }

    /// Takes the progress away; the last thing a command does.
    pub(crate) fn finish(&self) {
        self.progress.finish();
    }

    /// Who the libraries report to.
    pub(crate) fn monitor(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// One line on standard error.
    fn say(&self, line: &str) {
        self.progress.say(&harmless(line));
    }

    fn text(&self, text: &str) -> Result<(), Failure> {
        self.progress.finish();
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| Failure::stdout(&e))
    }
}
