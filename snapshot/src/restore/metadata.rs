//! Attributes of an entry: read, compared and set through a descriptor that only names it, so that no link is followed.
//!
//! Owner first (a change of owner clears setuid and capabilities), then extended attributes and ACLs, then the
//! mode, then the times.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::node::{Node, Time};
use crate::path::printable;
use crate::restore::options::Owner;
use crate::restore::place::proc_path;
use crate::source::{Stat, xattrs};

/// The bits that lend an owner's or group's rights to whoever runs the file.
const SET_ID: u32 = 0o6000;

/// What can be set of an entry besides its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attributes {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
    /// Sorted by name.
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Attributes {
    /// Of what a descriptor names.
    pub(crate) fn read(handle: &impl AsFd) -> io::Result<Self> {
        Ok(Self::look(handle)?.1)
    }

    /// The same, and what else `statx` tells.
    pub(crate) fn look(handle: &impl AsFd) -> io::Result<(Stat, Self)> {
        let stat = Stat::of(handle)?;
        Ok((stat, Self { xattrs: xattrs_of(handle)?, ..Self::without_xattrs(&stat) }))
    }

    /// What `statx` tells of them.
    pub(crate) fn without_xattrs(stat: &Stat) -> Self {
        Self {
            mode: stat.mode & 0o7777,
            uid: stat.uid,
            gid: stat.gid,
            seconds: stat.mtime.seconds,
            nanos: stat.mtime.nanos,
            xattrs: Vec::new(),
        }
    }

    /// Those that a restored entry is to have.
    pub(crate) fn of(node: &Node, owners: &Owners) -> Self {
        let (uid, gid) = owners.of(node);
        Self {
            mode: node.mode,
            uid,
            gid,
            seconds: node.mtime.seconds,
            nanos: node.mtime.nanos,
            xattrs: node.xattrs.iter().map(|x| (x.name.clone(), x.value.clone())).collect(),
        }
    }

    pub(crate) fn mtime(&self) -> Time {
        Time { seconds: self.seconds, nanos: self.nanos }
    }
}

fn xattrs_of(handle: &impl AsFd) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    // The path of a descriptor means what it names, also if that is a symbolic link.
    let found = xattrs::of_path(&proc_path(handle))?;
    Ok(found.into_iter().map(|x| (x.name, x.value)).collect())
}

/// What could not be set though the restore is otherwise fine; said once per kind, not once per file.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: Mutex<BTreeMap<String, u64>>,
}

impl Tally {
    /// Counts one more entry of which this is true.
    pub(crate) fn add(&self, what: String) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
    }

    /// Whether everything could be set.
    pub(crate) fn is_empty(&self) -> bool {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// One line per kind.
    pub(crate) fn lines(&self) -> Vec<String> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(what, count)| format!("{count} entries: {what}")).collect()
    }
}

/// Gives what a descriptor names, and what has the attributes `now`, the attributes `want`; touches only what differs.
pub(crate) fn apply(
    handle: &OwnedFd,
    is_link: bool,
    now: &Attributes,
    want: &Attributes,
    tally: &Tally,
) -> io::Result<()> {
    let set_mode = |mode| if is_link { Ok(()) } else { Ok(rustix::fs::chmod(proc_path(handle), mode)?) };
    apply_over(handle, now, want, tally, set_mode)
}

/// The same of a regular file that was just made, holds all its content and is open. `inherits`: it may have got attributes at its
/// making. What a last look showed, if it showed everything as wanted.
pub(crate) fn apply_to_made(
    file: &File,
    want: &Attributes,
    inherits: bool,
    tally: &Tally,
) -> io::Result<Option<Stat>> {
    // The time first: mostly nothing else is to be set, and one look shows all.
    set_mtime(file, want)?;
    let stat = Stat::of(file)?;
    let now = if inherits { Attributes::read(file)? } else { Attributes::without_xattrs(&stat) };
    if now == *want {
        return Ok(Some(stat));
    }
    apply_over(file, &now, want, tally, |mode| Ok(rustix::fs::fchmod(file, mode)?))?;
    Ok(None)
}

fn apply_over(
    handle: &impl AsFd,
    now: &Attributes,
    want: &Attributes,
    tally: &Tally,
    set_mode: impl Fn(Mode) -> io::Result<()>,
) -> io::Result<()> {
    let (mut mode, mut found) = (want.mode, now.mode);
    let other_owner = (now.uid, now.gid) != (want.uid, want.gid);
    if other_owner && !set_owner(handle, want, tally)? {
        // Rights must not be lent to an owner that nobody chose.
        mode &= !SET_ID;
    }
    let other_xattrs = now.xattrs != want.xattrs;
    if other_xattrs {
        set_xattrs(&proc_path(handle), now, want, tally)?;
    }
    if other_owner || other_xattrs {
        // A change of owner may have cleared bits, an ACL may have changed the group's: look again.
        found = Stat::of(handle)?.mode & 0o7777;
    }
    if found != mode {
        set_mode(Mode::from_raw_mode(mode))?;
    }
    set_mtime(handle, want)
}

/// The bits that this process needs besides `mode` to open a file of its own for reading.
pub(crate) fn needed_to_read(mode: u32) -> u32 {
    const OWNER_READS: u32 = 0o400;
    if mode & OWNER_READS == 0 && !rustix::process::geteuid().is_root() { OWNER_READS } else { 0 }
}

/// Sets the time of the last change alone.
fn set_mtime(handle: &impl AsFd, want: &Attributes) -> io::Result<()> {
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: want.seconds, tv_nsec: i64::from(want.nanos) },
    };
    Ok(rustix::fs::utimensat(handle, c"", &times, AtFlags::EMPTY_PATH)?)
}

fn set_owner(handle: &impl AsFd, want: &Attributes, tally: &Tally) -> io::Result<bool> {
    let set = |uid: Option<u32>, gid: Option<u32>| {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        rustix::fs::chownat(handle, c"", uid, gid, AtFlags::EMPTY_PATH)
    };
    match set(Some(want.uid), Some(want.gid)) {
        Ok(()) => Ok(true),
        Err(Errno::PERM | Errno::INVAL | Errno::NOTSUP) => {
            // The group alone may be one of the user's own; if it is not, the one note says it all.
            let _group_too = set(None, Some(want.gid));
            tally.add("the owner could not be set (only root can give files to others)".to_owned());
            Ok(false)
        }
        Err(e) => Err(e.into()),
    }
}

fn set_xattrs(path: &str, now: &Attributes, want: &Attributes, tally: &Tally) -> io::Result<()> {
    for (name, _) in &now.xattrs {
        // Labels that the kernel gives by itself (security.selinux) stay unless the snapshot has others.
        let is_ours = !name.starts_with(b"security.") || name == b"security.capability";
        if is_ours && !want.xattrs.iter().any(|(n, _)| n == name) {
            let done = rustix::fs::removexattr(path, name.as_slice());
            settle(done, name, tally)?;
        }
    }
    for (name, value) in &want.xattrs {
        if !now.xattrs.iter().any(|(n, v)| n == name && v == value) {
            let done = rustix::fs::setxattr(path, name.as_slice(), value, XattrFlags::empty());
            settle(done, name, tally)?;
        }
    }
    Ok(())
}

fn settle(done: Result<(), Errno>, name: &[u8], tally: &Tally) -> io::Result<()> {
    match done {
        Ok(()) | Err(Errno::NODATA) => Ok(()),
        Err(e @ (Errno::NOTSUP | Errno::PERM | Errno::ACCESS | Errno::INVAL)) => {
            tally.add(format!("attribute {} could not be set: {}", printable(name), io::Error::from(e)));
            Ok(())
        }
        Err(e) => Err(e.into()),
    }
}

/// Whose restored entries become.
#[derive(Debug)]
pub(crate) struct Owners {
    users: HashMap<String, u32>,
    groups: HashMap<String, u32>,
}

impl Owners {
    /// Loads the names of this host where they matter.
    pub(crate) fn load(owner: Owner) -> Self {
        let read = |path: &str| match owner {
            Owner::Number => HashMap::new(),
            // A host without these files has numbers only.
            // Not all of it need be UTF-8: full names are older than that.
            Owner::Name => numbers(&String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default())),
        };
        Self { users: read("/etc/passwd"), groups: read("/etc/group") }
    }

    fn of(&self, node: &Node) -> (u32, u32) {
        let find = |names: &HashMap<String, u32>, name: Option<&str>, number| {
            name.and_then(|n| names.get(n)).copied().unwrap_or(number)
        };
        (
            find(&self.users, node.user.as_deref(), node.uid),
            find(&self.groups, node.group.as_deref(), node.gid),
        )
    }
}

/// Name and number of each line of `/etc/passwd` or `/etc/group`; the first line of a name counts.
fn numbers(text: &str) -> HashMap<String, u32> {
    let mut found = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(Ok(number))) = (fields.next(), fields.nth(1).map(str::parse)) {
            found.entry(name.to_owned()).or_insert(number);
        }
    }
    found
}
