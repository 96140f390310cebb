//! The command line as a whole, and what is said if it is wrong.

use std::io::Write;

use clap::{CommandFactory, FromArgMatches, Parser};

use crate::commands::Command;
use crate::error::{Exit, Failure};
use crate::global::Global;
use crate::output::Output;

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
    crate::examples::added(Cli::command())
}

impl Cli {
    /// Reads the command line of this process.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        Self::from_arg_matches(&program().try_get_matches()?)
    }
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
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::examples::EXAMPLES;

    #[test]
    fn the_command_line_is_consistent() {
        program().debug_assert();
    }

    /// The words of a line, with single quotes around what holds spaces.
    fn words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (number, part) in line.split('\'').enumerate() {
            if number % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    }

    #[test]
    fn every_command_has_examples_that_it_accepts() {
        for command in program().get_subcommands() {
            let (_, lines) = EXAMPLES.iter().find(|(name, _)| *name == command.get_name()).unwrap();
            for line in lines.lines() {
                let parsed = program().try_get_matches_from(words(line));
                assert_eq!(parsed.unwrap().subcommand_name(), Some(command.get_name()), "{line}");
            }
        }
        assert_eq!(EXAMPLES.len(), program().get_subcommands().count());
    }
}
