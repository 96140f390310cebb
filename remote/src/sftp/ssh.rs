//! A running `ssh`: its pipes, what it says, and its end.

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::CommandExt;
use std::pin::pin;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::net::unix::pipe;

use super::command::SshCommand;

/// Most of what `ssh` says that is kept, in bytes: its last lines.
const SAID_BYTES_MAX: usize = 4 << 10;

/// How long its words are waited for once it has ended: a connection that it leaves behind for others keeps the pipe open.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How often is looked whether it still runs while an answer is waited for.
const LOOK: Duration = Duration::from_secs(2);

/// An `ssh` that was started; it ends with this value.
#[derive(Debug)]
pub(super) struct Ssh {
    child: Mutex<Child>,
    said: Arc<Mutex<Vec<u8>>>,
    listener: tokio::task::JoinHandle<()>,
}

impl Ssh {
    /// Starts it, and gives what is to be spoken over.
    ///
    /// # Errors
    /// As the system says; [`io::ErrorKind::NotFound`] if there is no such program.
    pub(super) fn start(command: &SshCommand) -> io::Result<(Self, UnixStream)> {
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut child = command
            .to_command()
            .stdin(Stdio::from(OwnedFd::from(theirs.try_clone()?)))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::piped())
            // Whoever interrupts this program by the keyboard leaves it the connection to end its work with.
            .process_group(0)
            .spawn()?;
        let said = Arc::new(Mutex::default());
        let pipe = child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let pipe = pipe::Receiver::from_owned_fd(OwnedFd::from(pipe))?;
        let listener = tokio::spawn(listen(pipe, Arc::clone(&said)));
        Ok((Self { child: Mutex::new(child), said, listener }, UnixStream::from_std(ours)?))
    }

    /// Whether it runs.
    pub(super) fn is_running(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(child.try_wait(), Ok(None))
    }

    /// Waits for what comes over it, as long as it runs: the library may wait on when a connection ends in the moment of a request.
    pub(super) async fn answer<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        let mut answer = pin!(answer);
        loop {
            match tokio::time::timeout(LOOK, answer.as_mut()).await {
                Ok(answer) => return Some(answer),
                Err(_) if self.is_running() => {}
                Err(_) => return None,
            }
        }
    }

    /// What it said until now, on one line.
    pub(super) fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&said);
        // Lines of a frame around a warning say nothing.
        let speaks = |line: &&str| line.chars().any(char::is_alphanumeric);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(speaks).collect();
        lines.join("; ")
    }

    /// Ends it, and gives what it said to the last.
    pub(super) async fn last_words(mut self) -> String {
        self.end();
        // Without an end of the pipe what came until now has to do.
        let _ = tokio::time::timeout(LAST_WORDS, &mut self.listener).await;
        self.said()
    }

    fn end(&self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Ssh {
    fn drop(&mut self) {
        self.end();
        self.listener.abort();
    }
}

async fn listen(pipe: pipe::Receiver, said: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 1024];
    while pipe.readable().await.is_ok() {
        match pipe.try_read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                said.extend_from_slice(buffer.get(..n).unwrap_or_default());
                let surplus = said.len().saturating_sub(SAID_BYTES_MAX);
                said.drain(..surplus);
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
}
