//! One `ssh` and the session over it: requests, and what the server is able to do.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use russh_sftp::client::error::Error;
use russh_sftp::client::{Config, RawSftpSession};
use russh_sftp::extensions::{FSYNC, HARDLINK, LIMITS, STATVFS};
use russh_sftp::protocol::FileAttributes;
use tokio::sync::Semaphore;

use super::command::SshCommand;
use super::failure::Failure;
use super::ssh::Ssh;

/// How long an answer is waited for, in seconds. That the host is gone `ssh` notices within a minute; this is for one whose disks hang, and leaves
/// time for what is in flight on the slowest of lines.
const PATIENCE_SECONDS: u64 = 300;

/// Bytes of a file in flight for one call: what a window of OpenSSH takes.
const FLIGHT_BYTES: u64 = 2 << 20;

/// Bytes that every server takes in one request, and the most that are sent to one that takes more.
const PART_BYTES: u64 = 32 << 10;
const PART_BYTES_MAX: u64 = 255 << 10;

/// Longest answer, in bytes: a part of a file and what is around it.
const ANSWER_BYTES_MAX: u32 = 512 << 10;

/// Files and folders open at once. OpenSSH numbers them from 0 in bytes that from 128 on are no text, and the library takes only text.
const HANDLES_MAX: usize = 100;

/// A connection; it ends with this value.
pub(super) struct Connection {
    pub(super) session: RawSftpSession,
    ssh: Ssh,
    is_broken: AtomicBool,
    pub(super) handles: Arc<Semaphore>,
    pub(super) can: Abilities,
}

/// What the server said that it is able to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Abilities {
    /// Giving a file a second name, unless that is taken.
    pub(super) hardlink: bool,
    /// Making a file safe against loss of power.
    pub(super) fsync: bool,
    /// Telling how much space is free.
    pub(super) statvfs: bool,
    /// Bytes of one read.
    pub(super) read_bytes: u64,
    /// Bytes of one write.
    pub(super) write_bytes: u64,
}

impl Abilities {
    /// Reads in flight for one call.
    pub(super) fn reads(&self) -> usize {
        (FLIGHT_BYTES / self.read_bytes).max(2) as usize
    }

    /// Writes in flight for one call.
    pub(super) fn writes(&self) -> usize {
        (FLIGHT_BYTES / self.write_bytes).max(2) as usize
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("ssh", &self.ssh).field("can", &self.can).finish_non_exhaustive()
    }
}

impl Connection {
    /// Starts `ssh` and agrees on the protocol.
    ///
    /// # Errors
    /// Why there is no connection, for people.
    pub(super) async fn open(command: &SshCommand) -> Result<Self, String> {
        let program = &command.program;
        let (ssh, stream) = Ssh::start(command).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => format!(
                "there is no program {program:?} on this host: install it (on Debian: apt install openssh-client), or name another in \
                 CHRONOS_SSH_COMMAND"
            ),
            _ => format!("{program} cannot be started: {e}"),
        })?;
        let config = Config {
            max_packet_len: ANSWER_BYTES_MAX,
            request_timeout_secs: PATIENCE_SECONDS,
            ..Config::default()
        };
        let session = RawSftpSession::new_with_config(stream, config);
        let Some(Ok(version)) = ssh.answer(session.init()).await else {
            let said = ssh.last_words().await;
            return Err(match said.as_str() {
                "" => format!(
                    "{program} made no connection that SFTP can be spoken over: the account there may lack SFTP, or print something at log-in"
                ),
                said => format!("{program} made no connection: {said}"),
            });
        };
        let can = ssh.answer(abilities(&session, &version.extensions)).await;
        let can = can.ok_or_else(|| format!("{program} ended at once: {}", ssh.said()))?;
        let (is_broken, handles) = (AtomicBool::new(false), Arc::new(Semaphore::new(HANDLES_MAX)));
        Ok(Self { session, ssh, is_broken, handles, can })
    }

    /// Whether calls can be made.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_broken.load(Ordering::Relaxed) && self.ssh.is_running()
    }

    /// Waits for the answer to a request.
    pub(super) async fn ask<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
        let ended = || Err(Error::UnexpectedBehavior("ssh has ended".to_owned()));
        self.ssh.answer(answer).await.unwrap_or_else(ended).map_err(|error| match error {
            Error::Status(status) => Failure::Refused(status.status_code, status.error_message),
            Error::Timeout => {
                let told = format!("the server has not answered for {PATIENCE_SECONDS} s");
                self.lost(io::ErrorKind::TimedOut, told)
            }
            error => {
                let said = self.ssh.said();
                let why = if said.is_empty() { error.to_string() } else { said };
                self.lost(io::ErrorKind::ConnectionReset, format!("the connection broke: {why}"))
            }
        })
    }

    /// Gives up the connection.
    pub(super) fn lost(&self, kind: io::ErrorKind, told: String) -> Failure {
        self.is_broken.store(true, Ordering::Relaxed);
        Failure::Lost(kind, told)
    }

    /// What is known of a file or folder.
    pub(super) async fn stat(&self, path: &str) -> Result<FileAttributes, Failure> {
        self.ask(self.session.stat(path)).await.map(|found| found.attrs)
    }
}

async fn abilities(session: &RawSftpSession, extensions: &HashMap<String, String>) -> Abilities {
    let has = |name: &str| extensions.contains_key(name);
    let mut can = Abilities {
        hardlink: has(HARDLINK),
        fsync: has(FSYNC),
        statvfs: has(STATVFS),
        read_bytes: PART_BYTES,
        write_bytes: PART_BYTES,
    };
    if has(LIMITS) {
        // Without an answer the smallest parts are right.
        if let Ok(limits) = session.limits().await {
            let part = |limit: u64| if limit == 0 { PART_BYTES } else { limit.min(PART_BYTES_MAX) };
            can.read_bytes = part(limits.max_read_len);
            can.write_bytes = part(limits.max_write_len);
        }
    }
    can
}
