//! The `chronos` program: reads the command line, runs one command, ends with its exit code.

mod args;
mod commands;
mod context;
mod error;
mod examples;
mod global;
mod output;
mod signals;
mod values;

use std::process::ExitCode;
use std::sync::Arc;

use args::Cli;
use context::App;
use error::{Exit, Failure};
use output::Output;
use output::progress::Progress;

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => return args::usage_error(&error).into(),
    };
    let stop = match signals::install() {
        Ok(stop) => stop,
        Err(error) => {
            let output = Output::new(cli.global.json, false, 0, Arc::default());
            output.failure(&Failure::new(Exit::Failed, format!("signals cannot be handled: {error}")));
            return Exit::Failed.into();
        }
    };
    let global = &cli.global;
    let progress = Arc::new(Progress::new(global.progress, global.quiet, stop));
    let output = Output::new(global.json, global.quiet, global.verbose, progress);
    let app = App::new(cli.global, output, args::program);
    let ended = cli.command.run(&app).unwrap_or_else(|failure| {
        app.output.failure(&failure);
        failure.exit
    });
    app.output.finish();
    app.deliver();
    ended.into()
}
