//! Which host this is, and since which start of its kernel.
//!
//! Used only to give up on dead sessions sooner; a wrong answer can cost a session its work, never
//! data, since every session is decided by one create.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::durable;
use crate::error::{Error, Result};

/// Where the kernel tells a random id of its present run.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What stays the same for an installed system, as far as it is there.
const MACHINE: [&str; 2] = ["/etc/machine-id", "/proc/sys/kernel/hostname"];

/// Longest content of an id file that is believed.
const ID_BYTES_MAX: u64 = 256;

/// Identity of a host and of the present run of its kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The host: 32 hex digits that tell nothing else of it.
    pub id: String,
    /// The run of its kernel; all processes of an earlier run are dead.
    pub boot: String,
}

impl Host {
    /// This host. A random part is kept in the program's state folder `state`, since images of machines
    /// are often copied with everything that names them.
    pub fn this(state: &Path) -> Result<Self> {
        let mut hasher = blake3::Hasher::new_derive_key("chronos v1 host");
        hasher.update(random_part(&state.join("host"))?.as_bytes());
        for file in MACHINE {
            hasher.update(read_id(Path::new(file)).unwrap_or_default().as_bytes()).update(b"\0");
        }
        let id = hasher.finalize().to_hex().chars().take(32).collect();
        Ok(Self { id, boot: boot_id() })
    }

    /// Whether whatever ran when `other` was noted is dead for sure: this host was started anew since.
    pub fn outlived(&self, other: &Self) -> bool {
        self.id == other.id && self.boot != other.boot && !self.boot.is_empty() && !other.boot.is_empty()
    }
}

/// The present run of the kernel. Empty where it cannot be told (no /proc): then every run looks like the same
/// one, and only locks tell.
pub(crate) fn boot_id() -> String {
    read_id(Path::new(BOOT_ID)).unwrap_or_default()
}

fn read_id(path: &Path) -> Option<String> {
    use std::io::Read;
    let mut text = String::new();
    fs::File::open(path).ok()?.take(ID_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned())
}

/// The random part of the host's identity, made when it is first asked for.
///
/// Where nothing can be kept (read-only, full), this process is a host of its own: nobody takes its sessions
/// for dead, and restoring goes on.
fn random_part(path: &Path) -> Result<String> {
    let kept = || read_id(path).filter(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()));
    if let Some(id) = kept() {
        return Ok(id);
    }
    let mut random = [0u8; 16];
    getrandom::fill(&mut random).map_err(|e| Error::local(path, e.into()))?;
    let id = hex::encode(random);
    let made = path.parent().map_or(Ok(()), durable::create_folder);
    let made = made.and_then(|()| durable::create_new(path, id.as_bytes()));
    if let Err(Error::Local { source, .. }) = made
        && source.kind() == io::ErrorKind::AlreadyExists
    {
        // Another process was faster, or the file is damaged and is made anew; if that fails, see above.
        if let Some(theirs) = kept() {
            return Ok(theirs);
        }
        let _ = durable::replace(path, id.as_bytes());
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_host_stays_the_same_and_differs_from_its_copies() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let host = Host::this(one.path()).unwrap();
        assert_eq!(host, Host::this(one.path()).unwrap());
        assert_ne!(host.id, Host::this(two.path()).unwrap().id);
        assert!(!host.boot.is_empty());
        durable::replace(&one.path().join("host"), b"garbage").unwrap();
        let healed = Host::this(one.path()).unwrap();
        assert_eq!(healed, Host::this(one.path()).unwrap());
    }

    #[test]
    fn a_state_folder_that_cannot_be_written_stops_nothing() {
        let dir = tempfile::tempdir().unwrap();
        durable::replace(&dir.path().join("file"), b"").unwrap();
        let host = Host::this(&dir.path().join("file/below")).unwrap();
        assert_eq!(host.id.len(), 32);
    }

    #[test]
    fn only_another_run_of_the_same_host_is_outlived() {
        let host = |id: &str, boot: &str| Host { id: id.to_owned(), boot: boot.to_owned() };
        assert!(host("a", "2").outlived(&host("a", "1")));
        assert!(!host("a", "1").outlived(&host("a", "1")));
        assert!(!host("b", "2").outlived(&host("a", "1")));
        assert!(!host("a", "").outlived(&host("a", "1")));
        assert!(!host("a", "1").outlived(&host("a", "")));
    }
}
