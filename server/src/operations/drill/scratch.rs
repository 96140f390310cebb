//! The place of a drill: a folder of its own, its room looked at first, gone in every outcome.
//!
//! A lock on the folder tells that its process lives. Whoever comes next removes what a killed process left, a server that it left
//! running included.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chronos_connect::{check_space, postgres};
use chronos_store::Monitor;
use rustix::fs::{FlockOperation, flock};

use crate::error::{Error, Result};
use crate::values::shown;
use crate::workplace::Workplace;

/// How the names of such folders begin.
const BEGINNING: &str = "drill-";
/// The folder of the server in one.
const SERVER: &str = "pg";
/// The folder of what is restored.
const OWN: &str = "own";
/// Others may go through, to a server that another account runs, and see nothing.
const PASSABLE: u32 = 0o711;
/// For the owner alone.
const PRIVATE: u32 = 0o700;

/// The folder; removed when dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    monitor: Arc<dyn Monitor>,
    /// Keeps others from removing it.
    _lock: File,
}

impl Scratch {
    /// An empty folder with room for `needed` bytes.
    pub(super) fn new(workplace: &Workplace, monitor: &Arc<dyn Monitor>, needed: u64) -> Result<Self> {
        let base = workplace.drill_scratch();
        prepare(&base, workplace.config.drill.scratch.is_some())?;
        sweep(&base, &**monitor)?;
        check_space(&base, needed)?;
        loop {
            let name = hex::encode(workplace.env.random_bytes::<8>()?);
            let path = base.join(format!("{BEGINNING}{name}"));
            let failed = |e| Error::local(&path, e);
            DirBuilder::new().mode(PASSABLE).create(&path).map_err(failed)?;
            fs::set_permissions(&path, Permissions::from_mode(PASSABLE)).map_err(failed)?;
            let lock = File::open(&path).map_err(failed)?;
            flock(&lock, FlockOperation::LockExclusive).map_err(|e| failed(e.into()))?;
            // Before it was locked somebody may have taken it for a dead process's.
            if fs::metadata(&path).is_ok_and(|now| lock.metadata().is_ok_and(|own| own.ino() == now.ino())) {
                let own = path.join(OWN);
                DirBuilder::new().mode(PRIVATE).create(&own).map_err(|e| Error::local(&own, e))?;
                return Ok(Self { path, monitor: Arc::clone(monitor), _lock: lock });
            }
        }
    }

    /// Where only this user gets in: what was safe in a folder of its owner alone comes back without it.
    pub(super) fn private(&self) -> PathBuf {
        self.path.join(OWN)
    }

    /// Where a server goes.
    pub(super) fn server(&self) -> PathBuf {
        self.path.join(SERVER)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            self.monitor.problem(&format!("the scratch place of a drill is left behind: {error}"));
        }
    }
}

/// Removes what killed drills have left.
///
/// # Errors
/// The folder of such places cannot be listed.
pub(super) fn tidy(workplace: &Workplace, monitor: &dyn Monitor) -> Result<()> {
    let base = workplace.drill_scratch();
    let is_configured = workplace.config.drill.scratch.is_some();
    match base.symlink_metadata() {
        Ok(found) if is_configured || is_own(&found) => sweep(&base, monitor),
        // A place that is somebody else's holds nothing of ours.
        Ok(_) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::local(&base, e)),
    }
}

/// Whether it is a folder of this user.
fn is_own(found: &fs::Metadata) -> bool {
    found.is_dir() && found.uid() == rustix::process::geteuid().as_raw()
}

/// Makes the folder of such places. One that nobody configured has a name that others could have taken.
fn prepare(base: &Path, is_configured: bool) -> Result<()> {
    let failed = |e| Error::local(base, e);
    match DirBuilder::new().mode(PASSABLE).recursive(is_configured).create(base) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        made => made.map_err(failed)?,
    }
    if is_configured {
        return Ok(());
    }
    let found = base.symlink_metadata().map_err(failed)?;
    if is_own(&found) {
        fs::set_permissions(base, Permissions::from_mode(PASSABLE)).map_err(failed)
    } else {
        let why =
            "it belongs to somebody else: name another folder as drill.scratch in the configuration file";
        Err(Error::Value { place: shown(base), why: why.to_owned() })
    }
}

fn sweep(base: &Path, monitor: &dyn Monitor) -> Result<()> {
    for found in fs::read_dir(base).map_err(|e| Error::local(base, e))? {
        let found = found.map_err(|e| Error::local(base, e))?;
        let is_one = found.file_name().to_str().is_some_and(|name| name.starts_with(BEGINNING));
        if !is_one || !found.path().symlink_metadata().is_ok_and(|found| is_own(&found)) {
            continue;
        }
        let path = found.path();
        let lock = File::open(&path);
        let is_left = |lock: &File| flock(lock, FlockOperation::NonBlockingLockExclusive).is_ok();
        if lock.as_ref().is_ok_and(is_left) {
            let told = match remove(&path) {
                Ok(()) => format!("{}, which a killed drill left, is removed", shown(&path)),
                Err(error) => format!("what a killed drill left cannot be removed: {error}"),
            };
            monitor.problem(&told);
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    postgres::stop_left(&path.join(SERVER));
    let removed = fs::remove_dir_all(path).or_else(|e| match e.kind() {
        io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            fs::remove_dir_all(path)
        }
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(e),
    });
    removed.map_err(|e| Error::local(path, e))
}

/// Folders are restored with their modes, also those that let nobody in.
fn open_up(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(PRIVATE))?;
    for found in fs::read_dir(folder)? {
        let found = found?;
        if found.file_type()?.is_dir() {
            open_up(&found.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
    use chronos_store::Collect;

    use super::*;

    #[test]
    fn what_a_dead_process_left_goes_and_what_a_living_one_uses_stays() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["drill-left/a/b", "drill-used", "other"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("drill-file"), "").unwrap();
        let lock = File::open(dir.path().join("drill-used")).unwrap();
        flock(&lock, FlockOperation::LockExclusive).unwrap();
        let told = Collect::default();
        sweep(dir.path(), &told).unwrap();
        let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["drill-file", "drill-used", "other"]);
        assert!(told.problems().iter().any(|p| p.contains("drill-left")), "{:?}", told.problems());
    }

    #[test]
    fn a_place_that_nobody_configured_and_that_is_another_s_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("own");
        prepare(&own, false).unwrap();
        assert_eq!(own.metadata().unwrap().permissions().mode() & 0o777, PASSABLE);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&own, &link).unwrap();
        assert!(matches!(prepare(&link, false), Err(Error::Value { .. })));
    }
}
