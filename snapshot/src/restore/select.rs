//! Which entries of a snapshot are restored, and where in the target they go.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::error::{Error, Result};
use crate::path::TreePath;
use crate::record::{Manifest, SourceResult};
use crate::restore::options::{RestoreOptions, Strategy};

/// What is done with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// It is restored.
    Take,
    /// It is restored if something below it is.
    Below,
    /// Neither it nor anything below it is restored.
    Skip,
}

/// Chooses entries.
#[derive(Debug)]
pub(crate) struct Selection {
    /// Only what lies here or below.
    pub(crate) base: TreePath,
    /// What is cut off the front of each path.
    strip: TreePath,
    include: Option<Gitignore>,
    exclude: Gitignore,
    /// Modules by name; `None`: no component was asked for, or all of the target.
    modules: Option<Vec<Vec<u8>>>,
    /// Roots of the sources that were asked for.
    sources: Vec<TreePath>,
    roots: Vec<TreePath>,
    /// Extra entries are removed only at or below these paths of the snapshot.
    scope: Vec<TreePath>,
    /// What came from no file and so has no original place to go to; none if another place was named.
    streams: Vec<TreePath>,
}

impl Selection {
    /// Of what the options say. `is_folder`: whether the chosen path is one; its content goes directly into the target.
    pub(crate) fn new(
        options: &RestoreOptions,
        is_folder: bool,
        roots: Vec<TreePath>,
        manifest: Option<&Manifest>,
    ) -> Result<Self> {
        let base = options.path.clone();
        let in_place = options.to.is_none() && options.strategy != Strategy::NewLocation;
        let strip = match (in_place, is_folder) {
            (true, _) => TreePath::root(),
            (false, true) => base.clone(),
            (false, false) => base.parent().unwrap_or_default(),
        };
        let everything = options.to.as_deref().is_some_and(|to| to != Path::new("/"));
        let scope = if everything || !base.is_root() { vec![base.clone()] } else { roots.clone() };
        let include = if options.include.is_empty() { None } else { Some(patterns(&options.include)?) };
        Ok(Self {
            base,
            strip,
            include,
            exclude: patterns(&options.exclude)?,
            modules: modules(options, manifest),
            sources: manifest.map(|m| sources(options, m)).unwrap_or_default(),
            roots,
            scope,
            streams: manifest.filter(|_| in_place).map(streams).unwrap_or_default(),
        })
    }

    /// What is done with an entry of the snapshot.
    pub(crate) fn choose(&self, path: &TreePath, is_dir: bool) -> Choice {
        if self.streams.contains(path) || fits(&self.exclude, path, is_dir) {
            return Choice::Skip;
        }
        let component = self.component(path);
        if component != Choice::Take {
            return component;
        }
        if self.is_above_roots(path) && self.streams.iter().any(|stream| stream.strip(path).is_some()) {
            return Choice::Below;
        }
        match &self.include {
            Some(include) if !fits(include, path, is_dir) => {
                if is_dir {
                    Choice::Below
                } else {
                    Choice::Skip
                }
            }
            _ => Choice::Take,
        }
    }

    fn component(&self, path: &TreePath) -> Choice {
        let Some(modules) = &self.modules else { return Choice::Take };
        let named = |rest: &[u8]| {
            let first = rest.split(|b| *b == b'/').next().unwrap_or_default();
            // The module of a file is its name without the ending, as in a backup.
            let is_file = first.len() == rest.len();
            let stem = first.iter().rposition(|b| *b == b'.').filter(|at| *at > 0 && is_file);
            let stem = stem.and_then(|at| first.get(..at));
            !first.is_empty() && modules.iter().any(|c| c == first || Some(&c[..]) == stem)
        };
        let fits = |root: &TreePath| path.strip(root).is_some_and(named);
        let leads = |root: &TreePath| root.strip(path).is_some();
        if self.sources.iter().any(|s| path.strip(s).is_some())
            || named(path.as_bytes())
            || self.roots.iter().any(fits)
        {
            Choice::Take
        } else if path.is_root() || self.roots.iter().any(leads) || self.sources.iter().any(leads) {
            Choice::Below
        } else {
            Choice::Skip
        }
    }

    /// Where an entry goes.
    pub(crate) fn target(&self, path: &TreePath) -> Result<TreePath> {
        match path.strip(&self.strip) {
            Some(rest) => TreePath::new(rest),
            None => {
                Err(Error::Damaged { what: path.to_string(), why: "it lies outside its folder".to_owned() })
            }
        }
    }

    /// The path in the snapshot of something in the target.
    pub(crate) fn origin(&self, target: &TreePath) -> Option<TreePath> {
        self.strip.join(target.as_bytes()).ok()
    }

    /// The same as errors show it to people.
    pub(crate) fn shown_origin(&self, target: &TreePath) -> Option<String> {
        self.origin(target).map(|path| format!("/{path}"))
    }

    /// Whether a folder only leads to the roots of the snapshot.
    pub(crate) fn is_above_roots(&self, path: &TreePath) -> bool {
        !self.roots.is_empty() && self.roots.iter().all(|r| path.strip(r).is_none())
    }

    /// Whether a path of the target is a root of the snapshot or leads to one.
    pub(crate) fn leads_to_root(&self, target: &TreePath) -> bool {
        self.origin(target).is_some_and(|path| self.roots.iter().any(|r| r.strip(&path).is_some()))
    }

    /// Whether something in the target that the snapshot lacks belongs to what is restored.
    pub(crate) fn covers(&self, target: &TreePath, is_dir: bool) -> bool {
        let Some(path) = self.origin(target) else { return false };
        self.scope.iter().any(|s| path.strip(s).is_some_and(|rest| !rest.is_empty()))
            && self.choose(&path, is_dir) == Choice::Take
    }

    /// Whether something below a folder of the target may be covered.
    pub(crate) fn may_cover_below(&self, target: &TreePath) -> bool {
        let Some(path) = self.origin(target) else { return false };
        self.scope.iter().any(|s| path.strip(s).is_some()) && self.choose(&path, true) != Choice::Skip
    }

    /// Whether everything below a covered folder is covered too.
    pub(crate) fn is_whole(&self) -> bool {
        self.include.is_none() && self.exclude.is_empty() && self.modules.is_none() && self.streams.is_empty()
    }

    /// What of the chosen part is left out because it came from no file.
    pub(crate) fn without_place(&self) -> impl Iterator<Item = &TreePath> {
        let is_chosen =
            |path: &&TreePath| path.strip(&self.base).is_some() && self.component(path) == Choice::Take;
        self.streams.iter().filter(is_chosen)
    }

    /// The paths of the target that are covered.
    pub(crate) fn covered(&self) -> Vec<TreePath> {
        self.scope.iter().filter_map(|s| self.target(s).ok()).collect()
    }

    /// Whether it is known how far removals may go.
    pub(crate) fn has_scope(&self) -> bool {
        !self.scope.is_empty()
    }
}

/// The names that may be modules; the target's own name stands for everything.
fn modules(options: &RestoreOptions, manifest: Option<&Manifest>) -> Option<Vec<Vec<u8>>> {
    let components = &options.components;
    if !options.sources.is_empty() {
        return Some(Vec::new());
    }
    let all = components.iter().any(|c| manifest.is_some_and(|m| m.target == *c));
    let names = || components.iter().map(|c| c.as_bytes().to_vec()).collect();
    (!components.is_empty() && !all).then(names)
}

/// The roots of the sources that are meant by name or by component.
fn sources(options: &RestoreOptions, manifest: &Manifest) -> Vec<TreePath> {
    let is_meant = |s: &SourceResult| options.components.iter().any(|c| *c == s.name || c == s.component());
    roots(manifest, |source| match &*options.sources {
        [] => is_meant(source),
        named => named.contains(&source.name),
    })
}

/// What came from no file: standard input, commands, servers and databases.
fn streams(manifest: &Manifest) -> Vec<TreePath> {
    let streams = ["stdin", "command", "n8n", "postgres", "sqlite"];
    roots(manifest, |source| streams.contains(&&*source.kind))
}

/// The roots of some of the sources.
fn roots(manifest: &Manifest, meant: impl Fn(&SourceResult) -> bool) -> Vec<TreePath> {
    let meant = manifest.sources.iter().filter(|source| meant(source));
    let paths = meant.map(|s| if manifest.sources.len() == 1 { &manifest.paths } else { &s.paths });
    paths.flatten().flat_map(|p| TreePath::of_shown(p)).collect()
}

fn patterns(lines: &[String]) -> Result<Gitignore> {
    let mut builder = GitignoreBuilder::new("");
    let bad = |e: ignore::Error| Error::Invalid(format!("not a pattern: {e}"));
    for line in lines {
        builder.add_line(None, line).map_err(bad)?;
    }
    builder.build().map_err(bad)
}

fn fits(patterns: &Gitignore, path: &TreePath, is_dir: bool) -> bool {
    let path = Path::new(OsStr::from_bytes(path.as_bytes()));
    !patterns.is_empty()
        && !path.as_os_str().is_empty()
        && patterns.matched_path_or_any_parents(path, is_dir).is_ignore()
}
