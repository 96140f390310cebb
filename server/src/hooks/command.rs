//! A hook that is a line for the shell: the document on its standard input, its output kept, its time limited.
//!
//! What always holds: it ends within its time, or its processes are killed. What it leaves running in the background keeps nobody
//! waiting.

use std::ffi::OsString;
use std::io::{PipeReader, Read, Write, pipe};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use chronos_connect::is_secret_variable;
use chronos_snapshot::printable;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// Bytes of its output that are kept, from the end.
const OUTPUT_MAX: usize = 4 << 10;
/// How often it is looked whether the work is to stop.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long the end of its output is waited for once it has ended: others may hold it open.
const OUTPUT_WAIT: Duration = Duration::from_millis(500);

/// Runs it; gives what it said. It has the variables of this process but `without` and those in which this program takes secrets.
///
/// # Errors
/// A sentence: its exit status and what it said, or that it took too long.
pub(crate) fn run(
    line: &str,
    document: &str,
    without: &[String],
    limit: Duration,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<String, String> {
    let told = |e: std::io::Error| e.to_string();
    let (output, writer) = pipe().map_err(told)?;
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line]).process_group(0).stdin(Stdio::piped());
    command.stdout(writer.try_clone().map_err(told)?).stderr(writer);
    let is_hidden = |name: &OsString| is_secret_variable(name) || without.iter().any(|w| name == w.as_str());
    for name in std::env::vars_os().map(|(name, _)| name).filter(is_hidden) {
        command.env_remove(name);
    }
    let mut child = command.spawn().map_err(told)?;
    // It holds the other end of the pipe.
    drop(command);
    let kept = Arc::new(Mutex::new(Vec::new()));
    let (ends, ended) = channel::<()>();
    let into = Arc::clone(&kept);
    thread::spawn(move || keep(output, &into, ends));
    give(&mut child, document);
    let status = wait(&mut child, limit, is_cancelled);
    // Either all is read, or somebody else keeps it open.
    let _ = ended.recv_timeout(OUTPUT_WAIT);
    let said =
        printable(kept.lock().unwrap_or_else(PoisonError::into_inner).trim_ascii()).replace("\\n", "\n");
    match status? {
        status if status.success() => Ok(said),
        _ if !said.is_empty() => Err(said),
        status => Err(status.to_string()),
    }
}

/// Writes the document. One that does not read it need not.
fn give(child: &mut Child, document: &str) {
    if let Some(mut stdin) = child.stdin.take() {
        let document = document.to_owned();
        thread::spawn(move || drop(stdin.write_all(document.as_bytes())));
    }
}

/// Reads to the end, keeps the last bytes.
fn keep(mut output: PipeReader, kept: &Mutex<Vec<u8>>, _ends: Sender<()>) {
    let mut piece = [0; 1024];
    while let Ok(n @ 1..) = output.read(&mut piece) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(piece.get(..n).unwrap_or_default());
        let extra = kept.len().saturating_sub(OUTPUT_MAX);
        kept.drain(..extra);
    }
}

/// Waits for its end; kills it and what it started when its time is over.
fn wait(child: &mut Child, limit: Duration, is_cancelled: &dyn Fn() -> bool) -> Result<ExitStatus, String> {
    let id = Pid::from_child(child);
    let (ends, ended) = channel::<()>();
    let watch = thread::spawn(move || {
        // It stays a zombie, so that its number is not another's when it is killed.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(id), options) {}
        drop(ends);
    });
    let until = Instant::now() + limit;
    let mut why = None;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if ended.recv_timeout(left.min(PATIENCE)) == Err(RecvTimeoutError::Disconnected) {
            break;
        }
        if why.is_none() && is_cancelled() {
            why = Some("it was stopped".to_owned());
        } else if why.is_none() && left.is_zero() {
            why = Some(format!("it took longer than {} seconds", limit.as_secs()));
        }
        if why.is_some() {
            // It may have ended just now.
            let _ = kill_process_group(id, Signal::KILL);
            break;
        }
    }
    let status = child.wait().map_err(|e| e.to_string());
    // It has nothing more to wait for.
    drop(watch.join());
    match why {
        Some(why) => Err(why),
        None => status,
    }
}
