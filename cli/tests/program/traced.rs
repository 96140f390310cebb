//! The program under `strace`, stopped or signalled by the kernel exactly when it reads a certain file.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command};

use crate::support::{Home, Ran, finish};

/// A running program whose reads of one file are watched.
pub(crate) struct Traced {
    child: Child,
    log: BufReader<File>,
}

impl Traced {
    /// Starts the program; `signal` reaches it at those of its reads of `file` that `when` names: `2` is the second
    /// one, `1+` each.
    pub(crate) fn start(home: &Home, file: &Path, signal: &str, when: &str, args: &[&str]) -> Self {
        let log = home.path("trace");
        if !log.exists() {
            rustix::fs::mknodat(rustix::fs::CWD, &log, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
                .unwrap();
        }
        let inject = format!("inject=read:signal={signal}:when={when}");
        let (log_name, file) = (log.to_str().unwrap(), file.to_str().unwrap());
        let strace = ["strace", "-f", "-o", log_name, "-P", file, "-e", "trace=read", "-e", &inject];
        let child = home.command_under(&strace, args).spawn().unwrap();
        Self { child, log: BufReader::new(File::open(log).unwrap()) }
    }

    /// Does `deed` each time the program stands still, lets it go on, and waits for its end. Tells how often it stood.
    pub(crate) fn at_each_stop(mut self, mut deed: impl FnMut()) -> (Ran, usize) {
        let (mut signalled, mut stops) = (String::new(), 0);
        let mut line = String::new();
        while self.log.read_line(&mut line).unwrap() > 0 {
            let (thread, event) = line.split_once(' ').unwrap();
            if event.contains("--- SIGSTOP {") {
                thread.clone_into(&mut signalled);
            } else if event.contains("stopped by SIGSTOP") && thread == signalled {
                deed();
                stops += 1;
                signalled.clear();
                assert!(Command::new("kill").args(["-CONT", thread]).status().unwrap().success());
            }
            line.clear();
        }
        (finish(self.child), stops)
    }

    /// Waits for the end.
    pub(crate) fn finish(self) -> Ran {
        self.at_each_stop(|| ()).0
    }
}
