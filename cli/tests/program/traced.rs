//! The program under `strace`, stopped or signalled by the kernel exactly when it reads a certain file or makes a certain
//! call.

use std::ffi::OsStr;
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
        let inject = format!("inject=read:signal={signal}:when={when}");
        let watch = ["-P", file.to_str().unwrap(), "-e", "trace=read", "-e", &inject];
        Self::under(home, &watch, args)
    }

    /// Starts the program; `signal` reaches it once, if one thread alone makes this system call: at its `turn`-th.
    pub(crate) fn signalled_at(home: &Home, call: &str, turn: usize, signal: &str, args: &[&str]) -> Self {
        let inject = format!("inject={call}:signal={signal}:when={turn}");
        Self::under(home, &["-e", &format!("trace={call}"), "-e", &inject], args)
    }

    /// Starts the program; each of its threads stops it when it makes its `turn`-th system call of this name.
    pub(crate) fn stopped_at<S: AsRef<OsStr>>(home: &Home, call: &str, turn: usize, args: &[S]) -> Self {
        let inject = format!("inject={call}:signal=SIGSTOP:when={turn}");
        Self::under(home, &["-e", &format!("trace={call}"), "-e", &inject], args)
    }

    fn under<S: AsRef<OsStr>>(home: &Home, watch: &[&str], args: &[S]) -> Self {
        let log = home.path("trace");
        if !log.exists() {
            rustix::fs::mknodat(rustix::fs::CWD, &log, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
                .unwrap();
        }
        let strace = [&["strace", "-f", "-o", log.to_str().unwrap()][..], watch].concat();
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
                // A thread that is gone by now was woken by the signal for another one.
                Command::new("kill").args(["-CONT", thread]).output().unwrap();
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
