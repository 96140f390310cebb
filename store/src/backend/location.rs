//! Where a repository lies, as users write it, and how such a place is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{
    Backend, BackendError, BackendResult, CacheBackend, LocalBackend, RetryBackend, RetryPolicy, SystemPace,
    ThrottleBackend,
};

/// Bytes of copies kept for repositories on network file systems: the states and index of a few terabytes.
const CACHE_BYTES_MAX: u64 = 2 << 30;

/// Magic numbers of file systems behind which a network or another process may be: NFS, SMB1, CIFS, SMB2,
/// FUSE, 9p, AFS, Ceph (`statfs(2)`).
const REMOTE_FILE_SYSTEMS: [u32; 8] =
    [0x6969, 0x517B, 0xFF53_4D42, 0xFE53_4D42, 0x6573_5546, 0x0102_1997, 0x5346_414F, 0x00C3_6400];

/// A place for a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A folder.
    Local(PathBuf),
    /// An object store, as written.
    S3(String),
    /// A folder on another host, as written.
    Sftp(String),
}

impl Location {
    /// Understands `path`, `file:path`, `s3://…` and `sftp://…`.
    pub fn parse(text: &str) -> BackendResult<Self> {
        let invalid = |why: &str| BackendError::Invalid(format!("repository location {text:?}: {why}"));
        if text.is_empty() || text.contains('\0') {
            return Err(invalid("not a path"));
        }
        if let Some(rest) = text.strip_prefix("file:") {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            return if path.is_empty() { Err(invalid("no path")) } else { Ok(Self::Local(path.into())) };
        }
        match text.split_once("://") {
            Some(("s3", _)) => Ok(Self::S3(text.to_owned())),
            Some(("sftp", _)) => Ok(Self::Sftp(text.to_owned())),
            Some((scheme, _)) if !scheme.contains('/') => {
                Err(invalid("only paths, s3:// and sftp:// are known"))
            }
            _ => Ok(Self::Local(text.into())),
        }
    }
}

/// How a location is opened.
#[derive(Clone, Debug, Default)]
pub struct LocationOptions {
    /// Most bytes per second written to the repository.
    pub limit_upload: Option<u64>,
    /// Most bytes per second read from it.
    pub limit_download: Option<u64>,
    /// The program's cache folder; used for places behind a network. `None`: no copies are kept.
    pub cache_dir: Option<PathBuf>,
}

/// Opens the place that `text` names. Nothing is written, and there need not be a repository yet.
pub fn open_location(text: &str, options: &LocationOptions) -> BackendResult<Arc<dyn Backend>> {
    let path = match Location::parse(text)? {
        Location::Local(path) => path,
        Location::S3(text) | Location::Sftp(text) => {
            let why = "this kind of place is not available in this version";
            return Err(BackendError::Invalid(format!("repository location {text:?}: {why}")));
        }
    };
    let remote = is_remote(&path);
    let mut backend: Arc<dyn Backend> = Arc::new(LocalBackend::new(path));
    let pace = Arc::new(SystemPace::default());
    if remote {
        backend = Arc::new(RetryBackend::new(backend, RetryPolicy::default(), pace.clone()));
    }
    if options.limit_upload.is_some() || options.limit_download.is_some() {
        let (up, down) = (options.limit_upload, options.limit_download);
        backend = Arc::new(ThrottleBackend::new(backend, up, down, pace));
    }
    if let Some(folder) = options.cache_dir.as_ref().filter(|_| remote) {
        backend = Arc::new(CacheBackend::new(backend, &folder.join("objects"), CACHE_BYTES_MAX));
    }
    Ok(backend)
}

/// Whether the path, or the nearest folder above it that is there, lies behind a network or another process.
fn is_remote(path: &Path) -> bool {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = absolute.ancestors().find_map(|p| rustix::fs::statfs(p).ok());
    // The numbers are 32 bits wide, whatever the width and sign of the field.
    found.is_some_and(|fs| REMOTE_FILE_SYSTEMS.iter().any(|m| i64::from(*m) == (fs.f_type & 0xFFFF_FFFF)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::backend::{BackendExt, Durability};
    use crate::error::ErrorKind;

    #[test]
    fn locations_are_told_apart() {
        let local = |text: &str, path: &str| {
            assert_eq!(Location::parse(text).unwrap(), Location::Local(path.into()), "{text}");
        };
        local("/srv/backup", "/srv/backup");
        local("backup", "backup");
        local("./a://b", "./a://b");
        local("file:///srv/backup", "/srv/backup");
        local("file:backup", "backup");
        local("c:backup", "c:backup");
        assert_eq!(Location::parse("s3://b/p").unwrap(), Location::S3("s3://b/p".to_owned()));
        assert_eq!(Location::parse("sftp://h/p").unwrap(), Location::Sftp("sftp://h/p".to_owned()));
        for bad in ["", "file:", "file://", "http://x/y", "rest://x", "a\0b"] {
            assert_eq!(Location::parse(bad).unwrap_err().kind(), ErrorKind::Refused, "{bad}");
        }
    }

    #[test]
    fn places_of_later_versions_are_refused_by_name() {
        for text in ["s3://bucket/path", "sftp://host/path"] {
            let error = open_location(text, &LocationOptions::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn opening_makes_nothing_and_writing_does() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/repo");
        let options = LocationOptions { limit_upload: Some(1 << 40), ..LocationOptions::default() };
        let backend = open_location(path.to_str().unwrap(), &options).unwrap();
        assert!(!backend.exists("config").unwrap() && !path.exists());
        backend.write_new("config", b"{}", Durability::Now).unwrap();
        assert!(path.join("config").exists());
        assert_eq!(backend.location(), path.display().to_string());
    }
}
