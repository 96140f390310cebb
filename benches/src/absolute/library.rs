//! Backups by the libraries, in this process.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, ensure};
use chronos_snapshot::{BackupOptions, FileOptions, FileSource, backup};
use chronos_store::backend::LocalBackend;
use chronos_store::{CreateOptions, Env, LocalDirs, OpenOptions, Repository, Secret, Silent};

/// A repository and its folders, opened with a key.
pub(super) struct Library {
    place: PathBuf,
}

const KEY: [u8; 32] = [7; 32];
/// As the program does.
const LIST_THREADS: usize = 4;

impl Library {
    /// Makes a repository.
    pub(super) fn create(place: &Path) -> Result<Self> {
        fs::create_dir_all(place)?;
        let library = Self { place: place.to_owned() };
        Repository::create(
            library.backend(),
            &Secret::Key(KEY),
            &CreateOptions::default(),
            library.options(),
        )?;
        Ok(library)
    }

    fn backend(&self) -> Arc<LocalBackend> {
        Arc::new(LocalBackend::new(self.place.join("repository")))
    }

    fn options(&self) -> OpenOptions {
        let dirs = LocalDirs { cache: self.place.join("cache"), state: self.place.join("state") };
        OpenOptions { dirs, env: Env::system(), monitor: Arc::new(Silent) }
    }

    /// Opens the repository and backs a folder up.
    pub(super) fn backup(&self, data: &Path, threads: usize) -> Result<()> {
        let repository = Repository::open(self.backend(), &Secret::Key(KEY), self.options())?;
        let files =
            FileOptions { roots: vec![data.to_owned()], threads: LIST_THREADS, ..FileOptions::default() };
        let options = BackupOptions { threads, ..BackupOptions::default() };
        let report = backup(&repository, vec![Box::new(FileSource::new(files)?)], &options)?;
        ensure!(report.error_count == 0, "not everything could be read");
        Ok(())
    }
}
