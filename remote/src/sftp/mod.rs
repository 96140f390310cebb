//! Repositories on another host, by SFTP through the user's own `ssh`: its configuration, agent and jump hosts hold here too.
//!
//! One object is one file there, laid out as in a folder of this host, so that the same repository can be opened there too. A file is
//! written whole below `.tmp`, made safe, and gets its name by a hard link, which no server makes over something that is there
//! (`hardlink@openssh.com`). A server without that extension is asked to rename, which the protocol forbids where the name is taken;
//! `chronos probe` shows whether it keeps to that.
//!
//! Durability is that of a local folder where the server has `fsync@openssh.com` and lets a folder be opened, as OpenSSH on Linux does: the
//! bytes are safe before the name is given, and the name before the call returns. There is no difference between *now* and *deferred*:
//! a server that loses its power between a write and the next `sync` could otherwise not be told from one whose connection broke. Of a
//! server that cannot sync folders the newest names may be missing after a loss of power; of one that has no `fsync` the bytes as well.

mod backend;
mod command;
mod connection;
mod durable;
mod failure;
mod folders;
mod handle;
mod leftovers;
mod list;
mod place;
mod pool;
mod read;
mod ssh;
mod write;

pub(crate) use backend::SftpBackend;

use chronos_store::backend::BackendResult;

use crate::location::SftpPlace;
use crate::variables::Variables;

/// Makes ready to speak to a host; `ssh` is started by the first call.
///
/// # Errors
/// If the variable that names another program than `ssh` cannot be understood.
pub(crate) fn open(place: &SftpPlace, variables: &Variables) -> BackendResult<SftpBackend> {
    Ok(SftpBackend::new(place, command::SshCommand::new(place, variables)?))
}
