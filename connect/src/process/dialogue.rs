//! A child process that is told something, answers a line, and is told more.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, channel};

use crate::error::Result;
use crate::process::{Input, Process, Running};

/// A started command; killed if it is dropped before its end.
#[derive(Debug)]
pub(crate) struct Dialogue {
    process: Process,
    running: Running,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Process {
    /// Starts it.
    pub(crate) fn dialogue(&self) -> Result<Dialogue> {
        let (running, stdout, stdin) = self.start(Input::Given)?;
        let (sender, lines) = channel();
        std::thread::spawn(move || read_lines(stdout, |line| sender.send(line).is_ok()));
        Ok(Dialogue { process: self.clone(), running, stdin, lines })
    }
}

impl Dialogue {
    /// Tells it something; gives what follows `mark` in the first line that begins with it. That it has ended is an error with what
    /// it said.
    pub(crate) fn ask(&mut self, text: &str, mark: &str) -> Result<String> {
        let told = self.stdin.as_mut().map_or(Ok(()), |into| {
            into.write_all(text.as_bytes())?;
            into.flush()
        });
        if let Err(error) = told {
            return Err(self.end(Some(error)));
        }
        let mut lines = self.lines.iter();
        let found = lines.find_map(|line| line.strip_prefix(mark).map(str::to_owned));
        found.ok_or_else(|| self.end(None))
    }

    /// What it is told by, to be given back.
    pub(crate) fn take_input(&mut self) -> Option<ChildStdin> {
        self.stdin.take()
    }

    /// Waits for its end, when `rest`, by which it was told, is closed.
    pub(crate) fn finish(mut self, rest: Option<ChildStdin>) -> Result<()> {
        drop((rest, self.stdin.take()));
        self.running.finish().map(drop)
    }

    /// Why it ended.
    fn end(&mut self, told: Option<io::Error>) -> crate::error::Error {
        self.stdin = None;
        match self.running.end() {
            Err(error) => error,
            Ok(_) => {
                self.process.failed(told.map_or_else(|| "it ended too early".to_owned(), |e| e.to_string()))
            }
        }
    }
}

/// Hands lines on as long as somebody takes them, and reads the rest, so that nobody waits.
fn read_lines(from: ChildStdout, take: impl Fn(String) -> bool) {
    let mut from = BufReader::new(from);
    let mut line = String::new();
    // That nothing more can be read is told by the end of the process.
    while matches!(from.read_line(&mut line), Ok(1..)) {
        if !take(line.trim_end_matches('\n').to_owned()) {
            break;
        }
        line.clear();
    }
    let _ = io::copy(&mut from, &mut io::sink());
}
