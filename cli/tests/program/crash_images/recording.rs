//! What runs of the real program did to the disk, written down by `strace`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::calls::{Call, calls};
use super::disk::{Disk, Inode};
use crate::support::{Home, Ran, finish};

/// Calls that change a disk, and those that tell what a descriptor stands for.
const TRACED: &str = "trace=open,openat,creat,close,dup,dup2,dup3,fcntl,lseek,write,pwrite64,writev,pwritev,\
    ftruncate,truncate,fallocate,copy_file_range,sendfile,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,\
    link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,msync";

/// Folders of a home in which the program keeps its own things.
pub(crate) const OWN: [&str; 3] = [".local", ".cache", ".config"];

/// A descriptor.
#[derive(Clone, Debug)]
struct Open {
    path: PathBuf,
    inode: Option<Inode>,
    position: u64,
    appends: bool,
}

/// Runs of the program in one home, from an empty one on.
pub(crate) struct Recording<'h> {
    home: &'h Home,
    pub(crate) disk: Disk,
    /// The next moment.
    clock: usize,
}

/// When a run began and when its result was told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) began: usize,
    pub(crate) told: usize,
}

impl<'h> Recording<'h> {
    pub(crate) fn new(home: &'h Home) -> Self {
        Self { home, disk: Disk::new(), clock: 1 }
    }

    /// Runs the program and writes down what it does.
    pub(crate) fn run(&mut self, args: &[&str]) -> (Ran, Told) {
        let log = self.home.path("strace.log");
        let strace =
            ["strace", "-f", "-qq", "-xx", "-s", "100000000", "-o", log.to_str().unwrap(), "-e", TRACED];
        let ran = finish(self.home.command_under(&strace, args).spawn().unwrap());
        let trace = std::fs::read_to_string(&log).unwrap();
        let began = self.clock;
        let mut told = None;
        let mut descriptors = HashMap::new();
        for call in calls(&trace) {
            if call.name == "write" && call.text(0) == "1" {
                told = told.or(Some(self.clock + call.ended));
            }
            if call.returned != -1 {
                self.take(&call, &mut descriptors);
            }
        }
        self.clock += trace.lines().count() + 1;
        (ran, Told { began, told: told.unwrap_or(self.clock - 1) })
    }

    fn take(&mut self, call: &Call, open: &mut HashMap<String, Open>) {
        let at = self.clock + call.ended;
        match &*call.name {
            "open" => self.open(call, self.path(call.bytes(0)), call.text(1), open),
            "creat" => self.open(call, self.path(call.bytes(0)), "O_CREAT|O_TRUNC", open),
            "openat" => self.open(call, self.below(call, 0, open), call.text(2), open),
            "close" => drop(open.remove(call.text(0))),
            "dup" | "dup2" | "dup3" => duplicate(call, open),
            "fcntl" if call.text(1).starts_with("F_DUPFD") => duplicate(call, open),
            "lseek" => {
                if let Some(file) = open.get_mut(call.text(0)) {
                    file.position = call.returned as u64;
                }
            }
            "write" => self.write(call, open),
            "mkdir" => self.make_folder(at, &self.path(call.bytes(0))),
            "mkdirat" => self.make_folder(at, &self.below(call, 0, open)),
            "unlink" | "rmdir" => self.rename(at, Some(self.path(call.bytes(0))), None),
            "unlinkat" => self.rename(at, Some(self.below(call, 0, open)), None),
            "rename" => self.rename(at, Some(self.path(call.bytes(0))), Some(self.path(call.bytes(1)))),
            "renameat" | "renameat2" => {
                self.rename(at, Some(self.below(call, 0, open)), Some(self.below(call, 2, open)));
            }
            _ => self.take_of_file(call, open),
        }
    }

    /// Calls of one open file.
    fn take_of_file(&mut self, call: &Call, open: &HashMap<String, Open>) {
        let at = self.clock + call.ended;
        let Some(inode) = open.get(call.text(0)).and_then(|file| file.inode) else { return };
        match &*call.name {
            "pwrite64" => {
                let bytes = call.bytes(1);
                self.disk.write(at, inode, call.number(3), &bytes[..call.returned as usize]);
            }
            "ftruncate" => self.disk.set_length(at, inode, call.number(1)),
            "fallocate" => {
                let length = self.disk.length(inode).max(call.number(2) + call.number(3));
                self.disk.set_length(at, inode, length);
            }
            "fsync" | "fdatasync" => self.disk.sync(self.clock + call.began, at, inode),
            "fcntl" => {}
            _ => panic!("a call that the recording does not know: {call:?}"),
        }
    }

    fn open(&mut self, call: &Call, path: PathBuf, flags: &str, open: &mut HashMap<String, Open>) {
        let at = self.clock + call.ended;
        let mut inode = None;
        if let Some(own) = self.own(&path) {
            inode = self.disk.find(own);
            if inode.is_none() && flags.contains("O_CREAT") {
                inode = Some(self.disk.make(at, own, false));
            } else if let (Some(inode), true) = (inode, flags.contains("O_TRUNC")) {
                self.disk.set_length(at, inode, 0);
            }
            assert!(inode.is_some(), "{} was made unseen", path.display());
        }
        let file = Open { path, inode, position: 0, appends: flags.contains("O_APPEND") };
        open.insert(call.returned.to_string(), file);
    }

    fn write(&mut self, call: &Call, open: &mut HashMap<String, Open>) {
        let Some(file) = open.get_mut(call.text(0)) else { return };
        let Some(inode) = file.inode else { return };
        let bytes = call.bytes(1);
        let bytes = &bytes[..call.returned as usize];
        if file.appends {
            file.position = self.disk.length(inode);
        }
        self.disk.write(self.clock + call.ended, inode, file.position, bytes);
        file.position += bytes.len() as u64;
    }

    fn make_folder(&mut self, at: usize, path: &Path) {
        if let Some(own) = self.own(path).map(Path::to_owned) {
            self.disk.make(at, &own, true);
        }
    }

    fn rename(&mut self, at: usize, gone: Option<PathBuf>, made: Option<PathBuf>) {
        let own = |path: &Option<PathBuf>| path.as_ref().and_then(|p| self.own(p)).map(Path::to_owned);
        let (gone, made) = (own(&gone), own(&made));
        let Some(inode) = gone.as_ref().and_then(|path| self.disk.find(path)) else { return };
        self.disk.name(at, gone.as_deref(), made.as_deref(), inode);
    }

    /// The path below the home if it is the home itself or one of the program's own.
    fn own<'p>(&self, path: &'p Path) -> Option<&'p Path> {
        let below = path.strip_prefix(self.home.path("")).ok()?;
        (below.as_os_str().is_empty() || OWN.iter().any(|own| below.starts_with(own))).then_some(below)
    }

    fn path(&self, bytes: Vec<u8>) -> PathBuf {
        self.home.path("").join(String::from_utf8(bytes).unwrap()).components().collect()
    }

    /// The path that a descriptor of a folder and a path below it stand for.
    fn below(&self, call: &Call, n: usize, open: &HashMap<String, Open>) -> PathBuf {
        let path = self.path(call.bytes(n + 1));
        match open.get(call.text(n)) {
            Some(folder) => folder.path.join(path.strip_prefix(self.home.path("")).unwrap_or(&path)),
            None => path,
        }
    }
}

fn duplicate(call: &Call, open: &mut HashMap<String, Open>) {
    if let Some(file) = open.get(call.text(0)).cloned() {
        open.insert(call.returned.to_string(), file);
    }
}
