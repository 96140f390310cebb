//! How a place is opened: the storage itself, and what stands before it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chronos_store::backend::{
    Backend, BackendResult, CacheBackend, LocalBackend, RetryBackend, RetryPolicy, SystemPace,
    ThrottleBackend,
};

use crate::location::Location;
use crate::object;
use crate::sftp;
use crate::variables::Variables;

/// Bytes of copies kept for repositories behind a network: the states and index of a few terabytes.
const CACHE_BYTES_MAX: u64 = 2 << 30;

/// Magic numbers of file systems behind which a network or another process may be: NFS, SMB1, CIFS, SMB2,
/// FUSE, 9p, AFS, Ceph (`statfs(2)`).
const REMOTE_FILE_SYSTEMS: [u32; 8] =
    [0x6969, 0x517B, 0xFF53_4D42, 0xFE53_4D42, 0x6573_5546, 0x0102_1997, 0x5346_414F, 0x00C3_6400];

/// How a location is opened.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Most bytes per second written to the repository.
    pub limit_upload: Option<u64>,
    /// Most bytes per second read from it.
    pub limit_download: Option<u64>,
    /// The program's cache folder; used for places behind a network. `None`: no copies are kept.
    pub cache_dir: Option<PathBuf>,
    /// Keys, profiles and servers of object stores; what is started instead of `ssh`.
    pub variables: Variables,
}

/// Opens a place. Nothing is written, and there need not be a repository yet.
///
/// # Errors
/// What is missing to speak to an object store is told at once; whether it answers shows with the first call.
pub fn open(location: &Location, options: &OpenOptions) -> BackendResult<Arc<dyn Backend>> {
    let is_remote = is_remote(location);
    let mut backend: Arc<dyn Backend> = match location {
        Location::Local(path) => Arc::new(LocalBackend::new(path)),
        Location::Bucket(bucket) => Arc::new(object::open(bucket, &options.variables)?),
        Location::Sftp(place) => Arc::new(sftp::open(place, &options.variables)?),
    };
    let pace = Arc::new(SystemPace::default());
    if is_remote {
        backend = Arc::new(RetryBackend::new(backend, RetryPolicy::default(), pace.clone()));
    }
    if options.limit_upload.is_some() || options.limit_download.is_some() {
        let (up, down) = (options.limit_upload, options.limit_download);
        backend = Arc::new(ThrottleBackend::new(backend, up, down, pace));
    }
    if let Some(folder) = options.cache_dir.as_ref().filter(|_| is_remote) {
        backend = Arc::new(CacheBackend::new(backend, &folder.join("objects"), CACHE_BYTES_MAX));
    }
    Ok(backend)
}

/// Whether a network, or another process, lies between this host and the place.
pub fn is_remote(location: &Location) -> bool {
    match location {
        Location::Local(path) => is_on_network(path),
        Location::Bucket(_) | Location::Sftp(_) => true,
    }
}

/// Whether the path, or the nearest folder above it that is there, lies behind a network or another process.
fn is_on_network(path: &Path) -> bool {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = absolute.ancestors().find_map(|p| rustix::fs::statfs(p).ok());
    // The numbers are 32 bits wide, whatever the width and sign of the field.
    found.is_some_and(|fs| REMOTE_FILE_SYSTEMS.iter().any(|m| i64::from(*m) == (fs.f_type & 0xFFFF_FFFF)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use chronos_store::backend::{BackendExt, Durability};

    use super::*;

    #[test]
    fn opening_makes_nothing_and_writing_does() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/repo");
        let options = OpenOptions { limit_upload: Some(1 << 40), ..OpenOptions::default() };
        let backend = open(&Location::Local(path.clone()), &options).unwrap();
        assert!(!backend.exists("config").unwrap() && !path.exists());
        backend.write_new("config", b"{}", Durability::Now).unwrap();
        assert!(path.join("config").exists());
        assert_eq!(backend.location(), path.display().to_string());
    }
}
