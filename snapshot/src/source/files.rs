//! The file source: what lies at or below some roots of the file system, each at its absolute path.
//!
//! A root that is a link to a folder is followed (unless links are kept), and so are links above a root: both are folders in
//! the snapshot. Nothing else is followed.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::node::NodeKind;
use crate::path::{TreePath, printable};
use crate::record::{PathError, ROOTS_CUT};
use crate::source::exclude::{Explanation, Fate, Filter, Reason, Scope, Tag};
use crate::source::include::Included;
use crate::source::merge::Merged;
use crate::source::names::Names;
use crate::source::options::{self, Preset};
use crate::source::roots::{self, Root};
use crate::source::stat::{self, Stat};
use crate::source::walk::{Start, Step, Walk, Walked};
use crate::source::{AbsentSource, Entry, Item, Origin, Source};

/// Roots that a snapshot names; a manifest is read with every listing.
const ROOTS_SHOWN: usize = 50;

/// What is walked, and what of it is left out.
#[derive(Clone, Debug, Default)]
pub struct FileOptions {
    /// Files and folders; relative ones count from the working directory.
    pub roots: Vec<PathBuf>,
    /// Name of the source; empty: `files`.
    pub name: String,
    /// Rules of a kind of tree.
    pub preset: Option<Preset>,
    /// Only these folders and files directly below a root.
    pub modules: Vec<String>,
    /// Patterns to leave out, as in a `.gitignore` in each root; with a leading `/` also absolute paths.
    pub excludes: Vec<String>,
    /// Files of such patterns.
    pub exclude_files: Vec<PathBuf>,
    /// Only what fits one of these patterns, and what lies below it.
    pub includes: Vec<String>,
    /// Names of ignore files that count in every folder (`.gitignore`).
    pub ignore_files: Vec<String>,
    /// Folders with one of these files are taken without their content.
    pub exclude_if_present: Vec<Tag>,
    /// The same for cache folders.
    pub exclude_caches: bool,
    /// Stays on the file systems of the roots.
    pub one_file_system: bool,
    /// Whether a root that is a link to a folder is taken as the link that it is.
    pub keep_links: bool,
    /// The program's own folders: repositories, caches, states.
    pub own: Vec<PathBuf>,
    /// Threads that list ahead; with 0 whoever takes the entries does it all.
    pub threads: usize,
}

/// A source of files.
#[derive(Debug)]
pub struct FileSource {
    name: String,
    shown: Vec<String>,
    roots: Vec<Root>,
    missing: Vec<PathError>,
    filter: Arc<Filter>,
    threads: usize,
}

impl FileSource {
    /// Checks roots and patterns; reads nothing below the roots yet.
    pub fn new(options: FileOptions) -> Result<Self> {
        let filter = Arc::new(options::filter(&options)?);
        let (mut roots, missing) = roots::resolve(&options.roots, options.keep_links)?;
        roots::check_modules(&roots, &options.modules)?;
        let shown = shown(&options.roots);
        for root in &roots {
            refuse_own(root, &filter)?;
        }
        roots.sort_by(|a, b| a.path.cmp(&b.path));
        roots.dedup_by(|b, a| a.path == b.path);
        let name = if options.name.is_empty() { "files".to_owned() } else { options.name };
        let mut source = Self { name, shown, roots, missing, filter, threads: options.threads };
        source.drop_covered();
        Ok(source)
    }

    /// What stands for a source that cannot be made of `options`: it covers the same paths.
    pub fn absent(options: &FileOptions, why: impl Into<String>) -> AbsentSource {
        AbsentSource {
            name: if options.name.is_empty() { "files".to_owned() } else { options.name.clone() },
            kind: "files",
            component: "files".to_owned(),
            paths: shown(&options.roots),
            why: why.into(),
        }
    }

    /// Which rule decides whether `path` is backed up.
    pub fn explain(&self, path: &Path) -> Result<Explanation> {
        let path = TreePath::from_absolute(&roots::absolute(path)?)?;
        let mut answer = None;
        for root in self.roots.iter().rev().filter(|r| path.strip(&r.path).is_some()) {
            let found = self.explain_below(root, &path)?;
            if found.included {
                return Ok(found);
            }
            answer.get_or_insert(found);
        }
        let outside = Explanation {
            path: path.clone(),
            included: false,
            decided_at: path,
            reason: Reason::OutsideRoots,
        };
        Ok(answer.unwrap_or(outside))
    }

    /// Removes roots that the walk of another one reaches.
    fn drop_covered(&mut self) {
        let all = self.roots.clone();
        let mut outer: Vec<&Root> = Vec::new();
        let mut kept = Vec::with_capacity(all.len());
        for root in &all {
            while outer.last().is_some_and(|o| root.path.strip(&o.path).is_none()) {
                outer.pop();
            }
            let covered = outer.last().is_some_and(|o| {
                o.is_dir
                    && (self.filter.takes_all()
                        || self.filter.includes.is_none()
                            && self.explain_below(o, &root.path).is_ok_and(|e| e.included))
            });
            if !covered {
                kept.push(root.clone());
                outer.push(root);
            }
        }
        self.roots = kept;
    }

    /// Goes down from `root` to `path` as the walk does.
    fn explain_below(&self, root: &Root, path: &TreePath) -> Result<Explanation> {
        let answer = |included, decided_at: &TreePath, reason| {
            Ok(Explanation { path: path.clone(), included, decided_at: decided_at.clone(), reason })
        };
        let mut at = root.path.clone();
        let mut scope = Scope::around(&root.path, root.dev);
        let mut state = (true, Reason::NoRule);
        let mut is_included = false;
        let rest = path.strip(&root.path).unwrap_or_default();
        for name in rest.split(|b| *b == b'/').filter(|n| !n.is_empty()) {
            let error = |e| Error::file(format!("/{at}"), e);
            let dir = stat::open_root(&at.to_absolute()).map_err(error)?;
            let names = stat::names_in(dir.as_fd()).map_err(error)?;
            let entered = self.filter.enter(dir.as_fd(), &at, &names, &scope, is_included);
            if let Some(tag) = entered.tagged.filter(|t| t != name) {
                return answer(false, &at, Reason::Tagged { file: printable(&tag) });
            }
            if let (false, reason) = state {
                return answer(false, &at, reason);
            }
            scope = entered.scope;
            at = at.join(name)?;
            let stat = Stat::at(dir.as_fd(), name).map_err(|e| Error::file(format!("/{at}"), e))?;
            state = match self.filter.decide(&scope, dir.as_fd(), &at, &stat) {
                Fate::Leave(reason) => return answer(false, &at, reason),
                // The folder itself is taken; what is below it is not.
                Fate::Shallow(reason) if at == *path => return answer(true, &at, reason),
                Fate::Shallow(reason) => (false, reason),
                Fate::Take { included, reason } => {
                    is_included = included;
                    if at == *path {
                        return answer(included, &at, reason);
                    }
                    (true, reason)
                }
            };
        }
        answer(state.0, &at, state.1)
    }
}

impl Source for FileSource {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn kind(&self) -> &'static str {
        "files"
    }

    fn paths(&self) -> Vec<String> {
        self.shown.clone()
    }

    fn open(&mut self) -> Result<Box<dyn Iterator<Item = Item> + Send>> {
        let names = Arc::new(Names::load());
        let mut streams: Vec<Box<dyn Iterator<Item = Item> + Send>> = Vec::new();
        for layer in roots::layers(&self.roots) {
            let steps = steps(&layer, &names);
            let walk = Walk::new(steps, Arc::clone(&self.filter), Arc::clone(&names), self.threads);
            streams.push(Box::new(Included::new(walk)));
        }
        let missing = self.missing.clone().into_iter().map(Item::Problem);
        Ok(match (streams.pop(), streams.is_empty()) {
            (Some(only), true) => Box::new(missing.chain(only)),
            (last, _) => {
                streams.extend(last);
                Box::new(missing.chain(Merged::new(streams).map(|(_, item)| item)))
            }
        })
    }

    fn is_repeatable(&self) -> bool {
        true
    }
}

/// The steps of one layer: for each root the folders above it, itself, and its content.
fn steps(layer: &[Root], names: &Names) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut last = TreePath::root();
    for root in layer {
        let mut above: Vec<TreePath> = std::iter::successors(root.path.parent(), TreePath::parent)
            .take_while(|p| !p.is_root() && last.strip(p).is_none())
            .collect();
        above.reverse();
        for path in above {
            steps.push(folder(path, Origin::AboveRoot, names));
        }
        last.clone_from(&root.path);
        if root.is_dir {
            if !root.path.is_root() {
                let itself = folder(root.path.clone(), Origin::Nothing, names);
                let is_unreadable = matches!(itself, Step::Give(Walked::Problem(_)));
                steps.push(itself);
                if is_unreadable {
                    continue;
                }
            }
            let scope = Scope::around(&root.path, root.dev);
            steps.push(Step::Walk(Start { path: root.path.clone(), expected: None, scope, included: false }));
        } else {
            steps.push(file(root.path.clone(), names));
        }
    }
    steps
}

/// The roots for people. A long list is cut, and a hash of it all tells it from others.
fn shown(roots: &[PathBuf]) -> Vec<String> {
    let one = |root: &PathBuf| {
        let path = roots::absolute(root).unwrap_or_else(|_| root.clone());
        printable(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))
    };
    let mut shown: Vec<String> = roots.iter().map(one).collect();
    if shown.len() > ROOTS_SHOWN {
        let hash = blake3::hash(shown.join("\0").as_bytes()).to_hex();
        let more = shown.len() - ROOTS_SHOWN;
        shown.truncate(ROOTS_SHOWN);
        shown.push(format!("{ROOTS_CUT}{more} more ({})", hash.get(..16).unwrap_or(&hash)));
    }
    shown
}

fn refuse_own(root: &Root, filter: &Filter) -> Result<()> {
    for path in std::iter::successors(Some(root.path.clone()), TreePath::parent) {
        // A folder above a root that cannot be looked at is not our own.
        let Ok((_, stat)) = stat::folder(&path.to_absolute(), &Names::empty()) else { continue };
        if filter.own.contains(&(stat.dev, stat.inode)) {
            let place =
                if path == root.path { "is".to_owned() } else { format!("lies in /{path}, which is") };
            return Err(Error::Refused(format!(
                "/{} {place} a folder of chronos itself (a repository, its cache or state); nothing was backed up",
                root.path
            )));
        }
    }
    Ok(())
}

fn folder(path: TreePath, origin: Origin, names: &Names) -> Step {
    Step::Give(match stat::folder(&path.to_absolute(), names) {
        Ok((node, _)) => Walked::Entry { entry: Entry { path, node, origin }, included: true },
        Err(e) => problem(&path, &e),
    })
}

fn file(path: TreePath, names: &Names) -> Step {
    let found = || {
        let dir = stat::open_root(&path.parent().unwrap_or_default().to_absolute())?;
        let folder = Stat::of(&dir)?;
        Ok((stat::look(dir.as_fd(), path.name(), names)?, (folder.dev, folder.inode)))
    };
    Step::Give(match found() {
        Ok((node, folder)) => {
            let is_file = matches!(node.kind, NodeKind::File(_));
            let origin = if is_file { Origin::File(folder) } else { Origin::Nothing };
            Walked::Entry { entry: Entry { path, node, origin }, included: true }
        }
        Err(e) => problem(&path, &e),
    })
}

fn problem(path: &TreePath, error: &std::io::Error) -> Walked {
    Walked::Problem(PathError { path: format!("/{path}"), error: error.to_string() })
}
