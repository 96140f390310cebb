//! The target of a restore: every step on it goes through open folders, one component at a time, following no link.
//!
//! A path below the target is a [`TreePath`], whose components hold neither `..` nor `/`, and each is opened with
//! `O_NOFOLLOW`: whatever stands in the target, nothing outside it can be reached. Every step that changes
//! something is counted first, so that a test can stop at each.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::path::{TreePath, printable};
use crate::source::{Stat, names_in};

/// Most folders kept open at once; well below the usual limit of 1,024 descriptors.
const OPEN_FOLDERS_MAX: usize = 128;

/// Asked before each step that changes something; an error stops that step.
type Hook = Box<dyn Fn(u64) -> io::Result<()> + Send + Sync>;

/// Counts the steps that change the target.
#[derive(Default)]
pub(crate) struct Steps {
    done: AtomicU64,
    hook: Option<Hook>,
}

impl std::fmt::Debug for Steps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Steps({})", self.done())
    }
}

impl Steps {
    /// Steps that ask `hook` first.
    #[cfg(test)]
    pub(crate) fn with_hook(hook: Hook) -> Self {
        Self { done: AtomicU64::new(0), hook: Some(hook) }
    }

    /// How many steps were begun.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Begins a step.
    pub(crate) fn begin(&self) -> io::Result<()> {
        let number = self.done.fetch_add(1, Ordering::Relaxed);
        self.hook.as_ref().map_or(Ok(()), |hook| hook(number))
    }
}

/// An open folder that is restored into.
#[derive(Debug)]
pub(crate) struct Place {
    root: Arc<OwnedFd>,
    shown: PathBuf,
    steps: Arc<Steps>,
    /// Open folders, the most recently used last.
    open: Mutex<Vec<(TreePath, Arc<OwnedFd>)>>,
    /// How many files are kept open for more to be written.
    pub(crate) opened: AtomicUsize,
}

impl Place {
    /// Opens the folder at `path`; links on the way to it are followed, for the user named it.
    pub(crate) fn open(path: &Path, steps: Arc<Steps>) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| Error::file(path, e.into()))?;
        Ok(Self {
            root: Arc::new(root),
            shown: path.to_owned(),
            steps,
            open: Mutex::default(),
            opened: AtomicUsize::default(),
        })
    }

    /// Stands for a folder at `path` that does not exist yet; nothing is to be looked up in it.
    pub(crate) fn absent(path: &Path, steps: Arc<Steps>) -> Result<Self> {
        Ok(Self { shown: path.to_owned(), ..Self::open(Path::new("/"), steps)? })
    }

    /// A folder inside this one, as a place of its own; no link on the way to it is followed.
    pub(crate) fn within(&self, path: &TreePath) -> io::Result<Self> {
        Ok(Self {
            root: self.folder(path)?,
            shown: self.shown.join(OsStr::from_bytes(path.as_bytes())),
            steps: Arc::clone(&self.steps),
            open: Mutex::default(),
            opened: AtomicUsize::default(),
        })
    }

    /// The path that it was opened by.
    pub(crate) fn path(&self) -> &Path {
        &self.shown
    }

    /// The path for people.
    pub(crate) fn show(&self, path: &TreePath) -> String {
        if path.is_root() {
            return printable(self.shown.as_os_str().as_bytes());
        }
        format!("{}/{path}", printable(self.shown.as_os_str().as_bytes()).trim_end_matches('/'))
    }

    /// An error about `path`.
    pub(crate) fn error(&self, path: &TreePath, source: impl Into<io::Error>) -> Error {
        Error::File { path: self.show(path), source: source.into() }
    }

    /// Counts a step that is not made through this.
    pub(crate) fn step(&self) -> io::Result<()> {
        self.steps.begin()
    }

    /// The open folder at `path`.
    pub(crate) fn folder(&self, path: &TreePath) -> io::Result<Arc<OwnedFd>> {
        if path.is_root() {
            return Ok(Arc::clone(&self.root));
        }
        let (at, mut fd) = self.deepest_open(path);
        if at == *path {
            return Ok(fd);
        }
        let rest = path.strip(&at).unwrap_or_default();
        let names: Vec<&[u8]> = rest.split(|b| *b == b'/').filter(|n| !n.is_empty()).collect();
        let mut end = path.as_bytes().len() - rest.len();
        let mut opened = Vec::new();
        for (number, name) in names.iter().enumerate() {
            fd = Arc::new(open_folder(&fd, name)?);
            end += name.len() + usize::from(number > 0);
            // The last ones are kept, so that a walk upwards does not begin at the root for each.
            if number + OPEN_FOLDERS_MAX / 2 >= names.len() {
                let at = path.as_bytes().get(..end).unwrap_or_default();
                opened.push((TreePath::new(at).map_err(io::Error::other)?, Arc::clone(&fd)));
            }
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(p, _)| !opened.iter().any(|(o, _)| o == p));
        open.extend(opened);
        let excess = open.len().saturating_sub(OPEN_FOLDERS_MAX);
        open.drain(..excess);
        Ok(fd)
    }

    fn deepest_open(&self, path: &TreePath) -> (TreePath, Arc<OwnedFd>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let best = open
            .iter()
            .enumerate()
            .filter(|(_, (p, _))| path.strip(p).is_some())
            .max_by_key(|(_, (p, _))| p.as_bytes().len())
            .map(|(i, _)| i);
        match best {
            Some(i) => {
                let entry = open.remove(i);
                open.push(entry.clone());
                entry
            }
            None => (TreePath::root(), Arc::clone(&self.root)),
        }
    }

    /// Forgets open folders at and below a path that now means something else.
    fn forget(&self, path: &TreePath) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(p, _)| p.strip(path).is_none());
    }

    fn above(&self, path: &TreePath) -> io::Result<Arc<OwnedFd>> {
        self.folder(&path.parent().ok_or(Errno::INVAL)?)
    }

    /// What stands at `path`; `None` if nothing does.
    pub(crate) fn look(&self, path: &TreePath) -> io::Result<Option<Stat>> {
        let stat = match path.parent() {
            None => Stat::of(&*self.root),
            Some(parent) => match self.folder(&parent) {
                Ok(folder) => Stat::at(folder.as_fd(), path.name()),
                Err(e) => Err(e),
            },
        };
        match stat {
            Ok(stat) => Ok(Some(stat)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The names in a folder, sorted.
    pub(crate) fn names(&self, path: &TreePath) -> io::Result<Vec<Vec<u8>>> {
        // A descriptor of its own: the position in a folder belongs to the descriptor.
        let folder = self.folder(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fresh = rustix::fs::openat(&*folder, c".", flags, Mode::empty())?;
        names_in(fresh.as_fd())
    }

    /// Where a symbolic link points.
    pub(crate) fn link_target(&self, path: &TreePath) -> io::Result<Vec<u8>> {
        let folder = self.above(path)?;
        Ok(rustix::fs::readlinkat(&*folder, path.name(), Vec::new())?.into_bytes())
    }

    /// A descriptor that only names what stands at `path`, whatever it is.
    pub(crate) fn handle(&self, path: &TreePath) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if path.is_root() {
            return Ok(rustix::fs::openat(&*self.root, c".", flags, Mode::empty())?);
        }
        let folder = self.above(path)?;
        Ok(rustix::fs::openat(&*folder, path.name(), flags, Mode::empty())?)
    }

    /// Makes a folder that only its owner may enter.
    pub(crate) fn make_folder(&self, path: &TreePath) -> io::Result<()> {
        self.step()?;
        let folder = self.above(path)?;
        Ok(rustix::fs::mkdirat(&*folder, path.name(), Mode::RWXU)?)
    }

    /// Makes a folder as anybody makes one.
    pub(crate) fn make_plain_folder(&self, path: &TreePath) -> io::Result<()> {
        self.step()?;
        let folder = self.above(path)?;
        Ok(rustix::fs::mkdirat(&*folder, path.name(), Mode::RWXU | Mode::RWXG | Mode::RWXO)?)
    }

    /// Keeps what is made in a folder of ours from getting the access rules of what surrounds it.
    pub(crate) fn stop_inheriting(&self, path: &TreePath) -> io::Result<()> {
        let handle = self.handle(path)?;
        match rustix::fs::removexattr(proc_path(&handle), c"system.posix_acl_default") {
            Ok(()) | Err(Errno::NODATA | Errno::NOTSUP | Errno::NOSYS) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Makes a regular file that was not there.
    pub(crate) fn make_file_in(&self, folder: &OwnedFd, name: &[u8], mode: u32) -> io::Result<File> {
        self.step()?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(mode))?.into())
    }

    /// Opens a regular file for writing again; it must still be the one with that inode.
    pub(crate) fn open_file_in(folder: &OwnedFd, name: &[u8], inode: u64) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = rustix::fs::openat(folder, name, flags, Mode::empty())?;
        let stat = Stat::of(&fd)?;
        if stat.inode != inode || stat.file_type() != FileType::RegularFile {
            return Err(io::Error::other("was exchanged for something else during the restore"));
        }
        Ok(fd.into())
    }

    /// Opens whatever file stands at `path` for reading; never waits for the other end of a pipe.
    pub(crate) fn open_to_read(&self, path: &TreePath) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let folder = self.above(path)?;
        Ok(rustix::fs::openat(&*folder, path.name(), flags, Mode::empty())?.into())
    }

    /// Makes a symbolic link.
    pub(crate) fn make_symlink(&self, path: &TreePath, target: &[u8]) -> io::Result<()> {
        self.step()?;
        let folder = self.above(path)?;
        Ok(rustix::fs::symlinkat(target, &*folder, path.name())?)
    }

    /// Makes a named pipe or a device.
    pub(crate) fn make_special(&self, path: &TreePath, kind: FileType, rdev: u64) -> io::Result<()> {
        self.step()?;
        let folder = self.above(path)?;
        Ok(rustix::fs::mknodat(&*folder, path.name(), kind, Mode::RUSR | Mode::WUSR, rdev)?)
    }

    /// Gives what stands at `from` a second name.
    pub(crate) fn make_hard_link(&self, from: &TreePath, to: &TreePath) -> io::Result<()> {
        self.step()?;
        let (old, new) = (self.above(from)?, self.above(to)?);
        Ok(rustix::fs::linkat(&*old, from.name(), &*new, to.name(), AtFlags::empty())?)
    }

    /// Renames; what stands at `to` is never overwritten.
    pub(crate) fn rename(&self, from: &TreePath, to: &TreePath) -> io::Result<()> {
        self.step()?;
        let (old, new) = (self.above(from)?, self.above(to)?);
        let done = rustix::fs::renameat_with(&*old, from.name(), &*new, to.name(), RenameFlags::NOREPLACE);
        let done = match done {
            // File systems without the flag: the look before is the best there is.
            Err(Errno::INVAL | Errno::NOSYS) => match Stat::at(new.as_fd(), to.name()) {
                Ok(_) => Err(Errno::EXIST),
                Err(_) => rustix::fs::renameat(&*old, from.name(), &*new, to.name()),
            },
            other => other,
        };
        self.forget(from);
        self.forget(to);
        Ok(done?)
    }

    /// Exchanges two names in one step; `false` where the file system cannot.
    pub(crate) fn exchange(&self, one: &TreePath, other: &TreePath) -> io::Result<bool> {
        self.step()?;
        let (a, b) = (self.above(one)?, self.above(other)?);
        let done = rustix::fs::renameat_with(&*a, one.name(), &*b, other.name(), RenameFlags::EXCHANGE);
        self.forget(one);
        self.forget(other);
        match done {
            Ok(()) => Ok(true),
            Err(Errno::INVAL | Errno::NOSYS) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Removes one thing that is no folder.
    pub(crate) fn remove_file(&self, path: &TreePath) -> io::Result<()> {
        let folder = self.above(path)?;
        self.remove_file_in(&folder, path.name())
    }

    /// The same of a name in an open folder.
    pub(crate) fn remove_file_in(&self, folder: &OwnedFd, name: &[u8]) -> io::Result<()> {
        self.step()?;
        Ok(rustix::fs::unlinkat(folder, name, AtFlags::empty())?)
    }

    /// Removes whatever stands at `path`, with everything below it; nothing there is fine.
    pub(crate) fn remove_all(&self, path: &TreePath) -> io::Result<()> {
        let Some(stat) = self.look(path)? else { return Ok(()) };
        if !stat.is_dir() {
            return self.remove_file(path);
        }
        // A stack of its own: a tree may be deeper than the program's.
        let mut stack = vec![(path.clone(), false)];
        while let Some((at, emptied)) = stack.pop() {
            if emptied {
                self.step()?;
                let folder = self.above(&at)?;
                self.forget(&at);
                rustix::fs::unlinkat(&*folder, at.name(), AtFlags::REMOVEDIR)?;
                continue;
            }
            stack.push((at.clone(), true));
            self.open_up(&at)?;
            for name in self.names(&at)? {
                let below = at.join(&name).map_err(io::Error::other)?;
                match self.look(&below)? {
                    Some(stat) if stat.is_dir() => stack.push((below, false)),
                    Some(_) => self.remove_file(&below)?,
                    None => {}
                }
            }
        }
        Ok(())
    }

    /// Gives the owner the rights to empty a folder that is about to be removed.
    fn open_up(&self, path: &TreePath) -> io::Result<()> {
        let needed = Mode::RWXU.bits();
        let stat = self.look(path)?.ok_or(Errno::NOENT)?;
        if stat.mode & needed != needed && !rustix::process::geteuid().is_root() {
            self.step()?;
            self.forget(path);
            let handle = self.handle(path)?;
            let mode = Mode::from_raw_mode((stat.mode & 0o7777) | needed);
            rustix::fs::chmod(proc_path(&handle), mode)?;
        }
        Ok(())
    }

    /// Whether all these folders lie in memory: what was written there is nowhere else, now or later.
    pub(crate) fn is_memory(&self, folders: &[TreePath]) -> io::Result<bool> {
        /// `TMPFS_MAGIC` and `RAMFS_MAGIC` of statfs(2).
        const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
        for path in folders {
            let found = rustix::fs::fstatfs(&*self.folder(path)?)?;
            if !IN_MEMORY.contains(&(found.f_type.cast_unsigned())) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes everything written on the file systems of these folders durable.
    pub(crate) fn sync(&self, folders: &[TreePath]) -> io::Result<()> {
        if self.steps.hook.is_some() {
            // Whoever stops steps cannot cut the power: there is nothing to be seen of it.
            return self.step();
        }
        let mut seen = Vec::new();
        for path in std::iter::once(&TreePath::root()).chain(folders) {
            let folder = self.folder(path)?;
            let dev = Stat::of(&*folder)?.dev;
            if !seen.contains(&dev) {
                seen.push(dev);
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                rustix::fs::syncfs(rustix::fs::openat(&*folder, c".", flags, Mode::empty())?)?;
            }
        }
        Ok(())
    }
}

/// Opens a folder inside another for reading, or only for passing through where it may not be read.
fn open_folder(above: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(above, name, flags | OFlags::RDONLY, Mode::empty()) {
        Err(Errno::ACCESS) => Ok(rustix::fs::openat(above, name, flags | OFlags::PATH, Mode::empty())?),
        // With O_DIRECTORY and O_NOFOLLOW a link gives ENOTDIR or ELOOP; both mean that a link or a file is in the way.
        Err(Errno::LOOP | Errno::NOTDIR) => Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            format!("{} is a link or no folder", crate::path::printable(name)),
        )),
        other => Ok(other?),
    }
}

/// A path that means exactly what a descriptor means.
pub(crate) fn proc_path(fd: &impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}
