//! What of a tree is taken: patterns, ignore files, tags, other file systems, the program's own folders.
//!
//! One decision per entry, made while walking down; nothing below a folder that is left out is looked
//! at, so no later rule can bring it back. [`Explanation`] names the rule that decided.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{FileType, Mode, OFlags};

use crate::error::{Error, Result};
use crate::path::{TreePath, printable};
use crate::source::rules::{Match1, Rule, Rules};
use crate::source::stat::Stat;

/// Longest ignore file that is read, in bytes; git stops at 100 MiB, nobody writes one of 4.
const IGNORE_FILE_BYTES_MAX: u64 = 4 << 20;

/// Types (`statfs(2)`) of file systems whose files the kernel makes up: proc, sysfs, cgroup, cgroup2, debugfs, tracefs,
/// securityfs, selinuxfs, bpf, pstore, configfs, devpts, efivarfs, `binfmt_misc`, mqueue, hugetlbfs, fusectl, nsfs.
const KERNEL_FILE_SYSTEMS: [i64; 18] = [
    0x9fa0,
    0x6265_6572,
    0x0027_e0eb,
    0x6367_7270,
    0x6462_6720,
    0x7472_6163,
    0x7363_6673,
    0xf97c_ff8c,
    0xcafe_4a11,
    0x6165_676c,
    0x6265_6570,
    0x1cd1,
    0xde5e_81e4,
    0x4249_4e4d,
    0x1980_0202,
    0x9584_58f6,
    0x6573_5543,
    0x6e73_6673,
];

/// Leaves out the content of a folder that holds a certain file; the file itself is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Name of the file.
    pub file: Vec<u8>,
    /// The bytes that it must begin with; empty: any.
    pub header: Vec<u8>,
}

impl Tag {
    /// The tag of cache folders.
    pub fn cachedir() -> Self {
        Self {
            file: b"CACHEDIR.TAG".to_vec(),
            header: b"Signature: 8a477f597d28d172789f06886806bc55".to_vec(),
        }
    }

    /// Reads `FILE[:HEADER]`.
    pub fn parse(text: &str) -> Result<Self> {
        let (file, header) = text.split_once(':').unwrap_or((text, ""));
        if file.is_empty() || file.contains('/') {
            return Err(Error::Invalid(format!("{text:?} is not FILE[:HEADER]; FILE is a name without '/'")));
        }
        Ok(Self { file: file.into(), header: header.into() })
    }

    fn marks(&self, dir: BorrowedFd<'_>) -> bool {
        let Some(mut file) = regular(dir, &self.file) else { return false };
        let mut head = vec![0; self.header.len()];
        // A tag that cannot be read says nothing.
        file.read_exact(&mut head).is_ok() && head == self.header
    }
}

/// Why an entry is in a backup or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No rule speaks of it.
    NoRule,
    /// A pattern decided.
    Pattern {
        /// File or option that holds it.
        origin: String,
        /// Line of the file, or number of the option, from 1.
        line: usize,
        /// The pattern.
        pattern: String,
    },
    /// Its folder holds a tag file.
    Tagged {
        /// Name of the tag file.
        file: String,
    },
    /// It lies on another file system than the root.
    OtherFileSystem,
    /// It is a window into the kernel (`/proc`, `/sys`, …), no stored data.
    KernelFileSystem,
    /// A folder of the program itself: a repository, a cache or its state.
    OwnFolder,
    /// No include pattern fits.
    NotIncluded,
    /// It belongs to none of the chosen modules.
    NotInModules,
    /// Not at or below a root.
    OutsideRoots,
}

impl From<&Rule> for Reason {
    fn from(rule: &Rule) -> Self {
        Self::Pattern { origin: rule.origin.clone(), line: rule.line, pattern: rule.pattern.clone() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRule => f.write_str("no rule speaks of it"),
            Self::Pattern { origin, line, pattern } => {
                write!(f, "{}:{line}: {}", printable(origin.as_bytes()), printable(pattern.as_bytes()))
            }
            Self::Tagged { file } => write!(f, "the folder holds {}", printable(file.as_bytes())),
            Self::OtherFileSystem => f.write_str("on another file system than the root"),
            Self::KernelFileSystem => f.write_str("a window into the kernel, not stored data"),
            Self::OwnFolder => f.write_str("a folder of chronos itself"),
            Self::NotIncluded => f.write_str("no include pattern fits"),
            Self::NotInModules => f.write_str("not in the chosen modules"),
            Self::OutsideRoots => f.write_str("not below a root of this backup"),
        }
    }
}

/// Which rule decided whether a path is backed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The path that was asked for.
    pub path: TreePath,
    /// Whether it is backed up.
    pub included: bool,
    /// The path that the rule was about: this one or a folder above it.
    pub decided_at: TreePath,
    /// The rule.
    pub reason: Reason,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.included { "backed up" } else { "left out" };
        write!(f, "/{}: {verdict}: {}", self.path, self.reason)?;
        if self.decided_at == self.path { Ok(()) } else { write!(f, " (/{})", self.decided_at) }
    }
}

/// Everything that decides, fixed for one source.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) excludes: Rules,
    pub(crate) includes: Option<Rules>,
    /// Names of the folders and files directly below a root that are wanted; empty: all.
    pub(crate) modules: Vec<Vec<u8>>,
    pub(crate) ignore_files: Vec<Vec<u8>>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) one_file_system: bool,
    /// Devices other than the roots', and whether the kernel makes up what is on them.
    pub(crate) devices: Mutex<HashMap<u64, bool>>,
    /// `(device, inode)` of the program's own folders.
    pub(crate) own: HashSet<(u64, u64)>,
}

/// What holds inside one folder.
#[derive(Debug)]
pub(crate) struct Scope {
    above: Option<Arc<Scope>>,
    /// Length of the root's path in bytes.
    root_len: usize,
    /// Device of the root.
    dev: u64,
    /// Length of this folder's path in bytes; its ignore files speak of what follows.
    dir_len: usize,
    ignores: Vec<Rules>,
    /// Below a folder that an include pattern fits.
    included: bool,
}

/// What becomes of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Taken. `included`: also by the include patterns; a folder may be taken only for what is below it.
    Take { included: bool, reason: Reason },
    /// The folder itself is taken, nothing below it.
    Shallow(Reason),
    /// Left out.
    Leave(Reason),
}

/// What entering a folder found.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) scope: Arc<Scope>,
    /// Only this name is taken, because it is a tag.
    pub(crate) tagged: Option<Vec<u8>>,
    /// Ignore files that cannot be used.
    pub(crate) problems: Vec<(Vec<u8>, String)>,
}

impl Scope {
    /// Around a root on device `dev`.
    pub(crate) fn around(root: &TreePath, dev: u64) -> Arc<Self> {
        let root_len = root.as_bytes().len();
        Arc::new(Self { above: None, root_len, dev, dir_len: root_len, ignores: Vec::new(), included: false })
    }
}

impl Filter {
    /// Whether an entry of a folder is taken.
    pub(crate) fn decide(&self, scope: &Scope, dir: BorrowedFd<'_>, path: &TreePath, stat: &Stat) -> Fate {
        let is_dir = stat.is_dir();
        if is_dir && self.own.contains(&(stat.dev, stat.inode)) {
            return Fate::Leave(Reason::OwnFolder);
        }
        let below = below(path, scope.root_len);
        if !self.modules.is_empty() && !below.contains(&b'/') && !self.is_module(below, is_dir) {
            return Fate::Leave(Reason::NotInModules);
        }
        let reason = match self.ask(scope, path, is_dir) {
            Match1::Fits(rule) => return Fate::Leave(rule.into()),
            Match1::Negated(rule) => rule.into(),
            Match1::Silent => Reason::NoRule,
        };
        if is_dir && self.one_file_system && stat.dev != scope.dev {
            return Fate::Shallow(Reason::OtherFileSystem);
        }
        if is_dir && stat.dev != scope.dev && self.is_kernel(dir, path.name(), stat.dev) {
            return Fate::Shallow(Reason::KernelFileSystem);
        }
        let Some(includes) = &self.includes else { return Fate::Take { included: true, reason } };
        match includes.decide(below, path.as_bytes(), is_dir) {
            Match1::Fits(rule) => Fate::Take { included: true, reason: rule.into() },
            Match1::Silent if scope.included => Fate::Take { included: true, reason },
            _ if is_dir => Fate::Take { included: false, reason: Reason::NotIncluded },
            _ => Fate::Leave(Reason::NotIncluded),
        }
    }

    /// Options come first, then the ignore files of the nearest folder, the later names of a folder first.
    fn ask<'r>(&'r self, mut scope: &'r Scope, path: &TreePath, is_dir: bool) -> Match1<'r> {
        let absolute = path.as_bytes();
        let by_option = self.excludes.decide(below(path, scope.root_len), absolute, is_dir);
        if by_option != Match1::Silent {
            return by_option;
        }
        loop {
            for rules in scope.ignores.iter().rev() {
                let found = rules.decide(below(path, scope.dir_len), absolute, is_dir);
                if found != Match1::Silent {
                    return found;
                }
            }
            match &scope.above {
                Some(above) => scope = above,
                None => return Match1::Silent,
            }
        }
    }

    /// Whether the folder `name` in `dir`, on another device than the root, is on a file system made by the kernel.
    fn is_kernel(&self, dir: BorrowedFd<'_>, name: &[u8], dev: u64) -> bool {
        let mut known = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        *known.entry(dev).or_insert_with(|| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let found = rustix::fs::openat(dir, name, flags, Mode::empty()).and_then(rustix::fs::fstatfs);
            found.is_ok_and(|fs| KERNEL_FILE_SYSTEMS.contains(&fs.f_type))
        })
    }

    fn is_module(&self, name: &[u8], is_dir: bool) -> bool {
        let stem = name
            .iter()
            .rposition(|b| *b == b'.')
            .filter(|at| *at > 0 && !is_dir)
            .and_then(|at| name.get(..at));
        self.modules.iter().any(|m| m == name || Some(m.as_slice()) == stem)
    }

    /// Looks at a folder's own ignore files and tags. `names` are sorted; `included` as [`Fate::Take`] said.
    pub(crate) fn enter(
        &self,
        dir: BorrowedFd<'_>,
        path: &TreePath,
        names: &[Vec<u8>],
        scope: &Arc<Scope>,
        included: bool,
    ) -> Entered {
        let has = |name: &[u8]| names.binary_search_by(|n| n.as_slice().cmp(name)).is_ok();
        let tagged = self.tags.iter().find(|t| has(&t.file) && t.marks(dir)).map(|t| t.file.clone());
        let mut ignores = Vec::new();
        let mut problems = Vec::new();
        for name in self.ignore_files.iter().filter(|n| has(n)) {
            match load(dir, path, name) {
                Ok(rules) => ignores.extend(rules.filter(|r| !r.is_empty())),
                Err(e) => problems.push((name.clone(), e.to_string())),
            }
        }
        let included = included && self.includes.is_some();
        let scope = if ignores.is_empty() && included == scope.included {
            Arc::clone(scope)
        } else {
            Arc::new(Scope {
                above: Some(Arc::clone(scope)),
                root_len: scope.root_len,
                dev: scope.dev,
                dir_len: path.as_bytes().len(),
                ignores,
                included,
            })
        };
        Entered { scope, tagged, problems }
    }
}

/// What follows the folder whose path has `len` bytes.
fn below(path: &TreePath, len: usize) -> &[u8] {
    let start = if len == 0 { 0 } else { len + 1 };
    path.as_bytes().get(start..).unwrap_or_default()
}

/// The rules of an ignore file; `None` if it is no regular file.
fn load(dir: BorrowedFd<'_>, path: &TreePath, name: &[u8]) -> Result<Option<Rules>> {
    let Some(file) = regular(dir, name) else { return Ok(None) };
    let origin = format!("/{}", path.join(name)?);
    let mut bytes = Vec::new();
    file.take(IGNORE_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|e| Error::file(&origin, e))?;
    if bytes.len() as u64 > IGNORE_FILE_BYTES_MAX {
        return Err(Error::Invalid(format!("an ignore file of more than {IGNORE_FILE_BYTES_MAX} bytes")));
    }
    let mut builder = crate::source::rules::RulesBuilder::relative();
    builder.add_file(&origin, &bytes, false)?;
    builder.build().map(Some)
}

/// Opens a regular file for reading; `None` if it is something else or cannot be opened.
fn regular(dir: BorrowedFd<'_>, name: &[u8]) -> Option<std::fs::File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    // A link or an unreadable file sets no rules, as in git.
    let file = rustix::fs::openat(dir, name, flags, Mode::empty()).ok()?;
    let stat = Stat::of(file.as_fd()).ok()?;
    (stat.file_type() == FileType::RegularFile).then(|| file.into())
}
