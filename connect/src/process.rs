//! A child process: started behind a prefix, its output streamed, its exit status part of the result.
//!
//! What it writes is never held as a whole; of its standard error the end is kept. It runs in a process group of its own, which is
//! killed when its time is over or when nobody listens any more. Secrets get to it as environment variables, never as arguments;
//! of this process it inherits none.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use chronos_snapshot::printable;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::error::{Error, Result};
use crate::prefix::Prefix;
use crate::secret::{Secret, is_secret_variable};
use crate::stream::{Feed, Pump};

/// Bytes of standard error that are shown when a command fails.
const STDERR_TAIL: usize = 4 << 10;

/// A command that can be started several times.
#[derive(Clone, Debug)]
pub struct Process {
    prefix: Prefix,
    command: Vec<OsString>,
    variables: Vec<(String, Secret)>,
    /// Which variables of this process are kept from it.
    hidden: Hidden,
    time_limit: Option<Duration>,
    /// Who runs it, if not the user of this process.
    account: Option<Account>,
    folder: Option<PathBuf>,
}

/// A user of this host and a group, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: u32,
    /// The group; it is in no other.
    pub group: u32,
}

impl Process {
    /// A program, found as a shell finds it, with its arguments.
    pub fn new<W: Into<OsString>>(command: impl IntoIterator<Item = W>) -> Self {
        Self {
            prefix: Prefix::default(),
            command: command.into_iter().map(Into::into).collect(),
            variables: Vec::new(),
            hidden: Hidden::default(),
            time_limit: None,
            account: None,
            folder: None,
        }
    }

    /// The same with more arguments.
    pub fn and<W: Into<OsString>>(&self, arguments: impl IntoIterator<Item = W>) -> Self {
        let mut more = self.clone();
        more.command.extend(arguments.into_iter().map(Into::into));
        more
    }

    /// Puts words before it.
    pub fn prefix(self, prefix: Prefix) -> Self {
        Self { prefix, ..self }
    }

    /// Gives it a variable, which may be a secret.
    pub fn variable(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.variables.push((name.into(), value));
        self
    }

    /// Keeps variables of this process whose names begin with `beginning` from it too.
    pub fn without_variables(mut self, beginning: &'static str) -> Self {
        self.hidden.beginning = Some(beginning);
        self
    }

    /// Keeps these variables of this process from it too.
    pub fn without(mut self, names: &[String]) -> Self {
        self.hidden.names = names.to_vec();
        self
    }

    /// Keeps all variables of this process from it but these.
    pub(crate) fn with_only(mut self, names: &'static [&'static str]) -> Self {
        self.hidden.all_but = Some(names);
        self
    }

    /// Lets it have also those variables of this process that hold secrets: what was made to fetch or use them needs them.
    pub fn with_secrets(mut self) -> Self {
        self.hidden.keeps_secrets = false;
        self
    }

    /// Kills it after this time.
    pub fn time_limit(self, limit: Option<Duration>) -> Self {
        Self { time_limit: limit, ..self }
    }

    /// Has another account run it, which root alone can do.
    pub(crate) fn account(self, account: Option<Account>) -> Self {
        Self { account, ..self }
    }

    /// The folder that it works in.
    pub(crate) fn working_directory(self, folder: &Path) -> Self {
        Self { folder: Some(folder.to_owned()), ..self }
    }

    /// Its words, for people.
    pub fn shown(&self) -> String {
        let words = self.prefix.before(self.command.clone(), &[], false).words;
        words.iter().map(|w| printable(w.as_bytes())).collect::<Vec<_>>().join(" ")
    }

    /// Starts it and streams what it writes; that it failed is an error in place of the end.
    pub fn stream(&self) -> Result<Pump> {
        self.pump(|stdout, feed| feed.copy(stdout), |ended| ended.map(drop))
    }

    /// Starts it and streams what `work` makes of what it writes. `ended` gets the outcome: what `work` gave and what the command
    /// said on standard error, or why one of them failed; and decides whether that is an error.
    pub(crate) fn pump<T>(
        &self,
        work: impl FnOnce(&mut dyn Read, &mut Feed) -> Result<T> + Send + 'static,
        ended: impl FnOnce(Result<(T, String)>) -> Result<()> + Send + 'static,
    ) -> Result<Pump> {
        let (running, mut stdout, _) = self.start(Input::Nothing)?;
        let group = Arc::clone(&running.group);
        let work = move |feed: &mut Feed| {
            let worked = work(&mut stdout, feed);
            ended(worked.and_then(|made| Ok((made, running.finish()?))))
        };
        Ok(Pump::of_work(work, move || group.kill()))
    }

    /// Runs it to its end; what it writes must not be more than `bytes_max`.
    pub fn output(&self, bytes_max: usize) -> Result<Vec<u8>> {
        let (running, stdout, _) = self.start(Input::Nothing)?;
        let read = limited(stdout, bytes_max);
        running.finish()?;
        read.map_err(|why| self.failed(why))
    }

    /// Runs it to its end with what `fill` writes as its standard input; gives what it writes, at most `bytes_max`.
    ///
    /// It may end before it has taken everything. If `fill` fails, it is killed before it could take the end of its input for
    /// the end of what it was to get.
    pub fn feed(&self, bytes_max: usize, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<Vec<u8>> {
        self.feed_through(move |stdout| limited(stdout, bytes_max), fill)
    }

    /// The same; what it writes counts only if it fails, and its last line belongs to the error: it must hold no secret.
    pub(crate) fn feed_explained(&self, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        let wrote = Arc::new(Mutex::new(Vec::new()));
        let last = Arc::clone(&wrote);
        let take = move |stdout| {
            *last.lock().unwrap_or_else(PoisonError::into_inner) = tail(stdout);
            Ok(())
        };
        let fed = self.feed_through(take, fill);
        fed.map_err(|error| explained(error, &wrote.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The same; gives the end of what it said on standard error.
    pub(crate) fn feed_told(
        &self,
        bytes_max: usize,
        fill: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<String> {
        self.fed(move |stdout| limited(stdout, bytes_max), fill).map(|(_, said)| said)
    }

    /// The same; `take` gets what it writes while it is fed, and has to read it to its end.
    pub(crate) fn feed_through<T: Send + 'static>(
        &self,
        take: impl FnOnce(ChildStdout) -> Result<T, String> + Send + 'static,
        fill: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<T> {
        self.fed(take, fill).map(|(taken, _)| taken)
    }

    fn fed<T: Send + 'static>(
        &self,
        take: impl FnOnce(ChildStdout) -> Result<T, String> + Send + 'static,
        fill: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<(T, String)> {
        let (running, stdout, stdin) = self.start(Input::Given)?;
        let reading = std::thread::spawn(move || take(stdout));
        let mut into = Inlet { stdin, is_gone: false };
        let filled = fill(&mut into);
        let is_gone = into.is_gone;
        if filled.is_err() && !is_gone {
            running.group.kill();
        }
        drop(into);
        let finished = running.finish();
        let read = reading.join().unwrap_or_else(|_| Err("its output could not be read".to_owned()));
        match filled {
            Err(error) if !is_gone => Err(error),
            _ => finished.and_then(|said| Ok((read.map_err(|why| self.failed(why))?, said))),
        }
    }

    fn failed(&self, why: impl ToString) -> Error {
        Error::Command { command: self.shown(), why: why.to_string() }
    }

    fn start(&self, input: Input) -> Result<(Running, ChildStdout, Option<ChildStdin>)> {
        let names: Vec<&str> = self.variables.iter().map(|(name, _)| name.as_str()).collect();
        let done = self.prefix.before(self.command.clone(), &names, matches!(input, Input::Given));
        let (program, arguments) =
            done.words.split_first().ok_or_else(|| Error::Invalid("no command was given".to_owned()))?;
        let mut command = Command::new(program);
        command.args(arguments).process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        let has_input = done.by_input || matches!(input, Input::Given);
        command.stdin(if has_input { Stdio::piped() } else { Stdio::null() });
        for name in std::env::vars_os().map(|(name, _)| name).filter(|name| self.hidden.has(name)) {
            command.env_remove(name);
        }
        if !done.by_input {
            command.envs(self.variables.iter().map(|(name, value)| (name, OsStr::new(value.reveal()))));
        }
        if let Some(Account { user, group }) = self.account {
            // Root's other groups are given up with it.
            command.uid(user).gid(group);
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let mut child = command.spawn().map_err(|e| Error::file(Path::new(program), e))?;
        let (stdout, stderr, mut stdin) = (child.stdout.take(), child.stderr.take(), child.stdin.take());
        let running = Running::new(child, self.shown(), self.time_limit, stderr.map(tail_of));
        let stdout = stdout.ok_or_else(|| self.failed("it has no output"))?;
        if let (true, Some(stdin)) = (done.by_input, &mut stdin) {
            self.tell(stdin)?;
        }
        Ok((running, stdout, stdin.filter(|_| matches!(input, Input::Given))))
    }

    /// Writes the variables as lines.
    fn tell(&self, stdin: &mut ChildStdin) -> Result<()> {
        for (name, value) in &self.variables {
            if value.reveal().contains(['\n', '\0']) {
                return Err(Error::Invalid(format!("the value of {name} has a line end in it")));
            }
            writeln!(stdin, "{name}={}", value.reveal()).map_err(|e| self.failed(e))?;
        }
        writeln!(stdin).map_err(|e| self.failed(e))
    }
}

/// Variables of this process that a command does not inherit.
#[derive(Clone, Debug)]
struct Hidden {
    /// Those that hold secrets.
    keeps_secrets: bool,
    /// Those whose names begin so.
    beginning: Option<&'static str>,
    names: Vec<String>,
    /// All that are not these.
    all_but: Option<&'static [&'static str]>,
}

impl Default for Hidden {
    fn default() -> Self {
        Self { keeps_secrets: true, beginning: None, names: Vec::new(), all_but: None }
    }
}

impl Hidden {
    fn has(&self, name: &OsStr) -> bool {
        (self.keeps_secrets && is_secret_variable(name))
            || self.beginning.is_some_and(|beginning| name.as_bytes().starts_with(beginning.as_bytes()))
            || self.names.iter().any(|hidden| name == hidden.as_str())
            || self.all_but.is_some_and(|kept| !kept.iter().any(|kept| name == *kept))
    }
}

#[derive(Clone, Copy)]
enum Input {
    Nothing,
    Given,
}

/// Standard input of a child that may end before it has taken everything.
struct Inlet {
    stdin: Option<ChildStdin>,
    is_gone: bool,
}

impl Write for Inlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(stdin) = &mut self.stdin else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let written = stdin.write(bytes);
        self.is_gone |= written.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::BrokenPipe);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdin.as_mut().map_or(Ok(()), Write::flush)
    }
}

/// A started command; killed if it is dropped before its end.
#[derive(Debug)]
struct Running {
    child: Child,
    shown: String,
    stderr: Option<JoinHandle<Vec<u8>>>,
    group: Arc<Group>,
    limit: Option<Duration>,
    /// Ends the thread that looks at the clock.
    watch: Option<Sender<()>>,
}

/// The processes of a command, which can be killed from any thread.
#[derive(Debug)]
struct Group {
    id: Pid,
    /// Whether the number is still that of our child.
    is_ours: Mutex<bool>,
    is_late: AtomicBool,
}

impl Group {
    fn kill(&self) {
        let ours = self.is_ours.lock().unwrap_or_else(PoisonError::into_inner);
        if *ours {
            // It may have ended by itself just now.
            let _ = kill_process_group(self.id, Signal::KILL);
        }
    }
}

impl Running {
    fn new(
        child: Child,
        shown: String,
        limit: Option<Duration>,
        stderr: Option<JoinHandle<Vec<u8>>>,
    ) -> Self {
        let id = Pid::from_child(&child);
        let group = Arc::new(Group { id, is_ours: Mutex::new(true), is_late: AtomicBool::new(false) });
        let watch = limit.map(|limit| {
            let (sender, ended) = channel::<()>();
            let group = Arc::clone(&group);
            std::thread::spawn(move || {
                if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                    group.is_late.store(true, Ordering::Relaxed);
                    group.kill();
                }
            });
            sender
        });
        Self { child, shown, stderr, group, limit, watch }
    }

    /// Waits for its end; gives the end of what it said on standard error.
    fn finish(mut self) -> Result<String> {
        self.end()
    }

    fn end(&mut self) -> Result<String> {
        let status = self.wait();
        let failed = |why| Error::Command { command: self.shown.clone(), why };
        if let (Some(limit), true) = (self.limit, self.group.is_late.load(Ordering::Relaxed)) {
            return Err(Error::TimedOut { what: format!("command {:?}", self.shown), limit });
        }
        let status = status.map_err(|e| failed(e.to_string()))?;
        let said = self.stderr.take().and_then(|t| t.join().ok()).unwrap_or_default();
        let said = printable(said.trim_ascii()).replace("\\n", "\n");
        if status.success() {
            return Ok(said);
        }
        Err(failed(if said.is_empty() { status.to_string() } else { format!("{status}: {said}") }))
    }

    /// Waits for the end; from then on the number of the process may be another's, and nobody kills it.
    fn wait(&mut self) -> io::Result<ExitStatus> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(self.group.id), options) {}
        let mut ours = self.group.is_ours.lock().unwrap_or_else(PoisonError::into_inner);
        *ours = false;
        self.watch = None;
        self.child.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let is_ours = *self.group.is_ours.lock().unwrap_or_else(PoisonError::into_inner);
        if is_ours {
            self.group.kill();
            // Its status does not matter to anybody any more.
            let _ = self.wait();
        }
    }
}

/// All that `from` gives, which must not be more than `bytes_max`. What is more is read and dropped, so that nobody waits.
fn limited(mut from: ChildStdout, bytes_max: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    from.by_ref().take(bytes_max as u64).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    match io::copy(&mut from, &mut io::sink()) {
        Ok(0) => Ok(bytes),
        Ok(_) => Err(format!("it wrote more than {bytes_max} bytes")),
        Err(e) => Err(e.to_string()),
    }
}

/// An error with the last line that the command wrote.
fn explained(error: Error, wrote: &[u8]) -> Error {
    let lines = String::from_utf8_lossy(wrote);
    match (error, lines.lines().rev().map(str::trim).find(|line| !line.is_empty())) {
        (Error::Command { command, why }, Some(last)) => {
            Error::Command { command, why: format!("{why}: {}", printable(last.as_bytes())) }
        }
        (error, _) => error,
    }
}

fn tail_of(from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || tail(from))
}

/// Reads to the end, keeps the last bytes.
fn tail(mut from: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut piece = [0; 1024];
    while let Ok(n @ 1..) = from.read(&mut piece) {
        kept.extend_from_slice(piece.get(..n).unwrap_or_default());
        let extra = kept.len().saturating_sub(STDERR_TAIL);
        kept.drain(..extra);
    }
    kept
}

mod dialogue;
#[cfg(test)]
mod tests;

pub(crate) use dialogue::Dialogue;
