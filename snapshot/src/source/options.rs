//! From the options of a file source to its filter: patterns in their order, presets, own folders.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::sync::Mutex;

use chronos_store::Repository;

use crate::error::{Error, Result};
use crate::path::printable;
use crate::source::FileOptions;
use crate::source::exclude::{Filter, Tag};
use crate::source::names::Names;
use crate::source::rules::RulesBuilder;
use crate::source::stat;

/// Rules for a kind of tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// A project tree (contract §5): without its environment, caches, history, backups, logs and data.
    Project,
}

impl Preset {
    /// The patterns that it leaves out. They come first, so that a later `!pattern` brings something back.
    pub fn excludes(self) -> &'static [&'static str] {
        match self {
            Self::Project => &[".venv", "__pycache__", ".git", "backups", "logs", "data"],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Project => "preset project",
        }
    }
}

/// Compiles the options.
pub(crate) fn filter(options: &FileOptions) -> Result<Filter> {
    let mut tags = options.exclude_if_present.clone();
    if options.exclude_caches {
        tags.push(Tag::cachedir());
    }
    if let Some(bad) =
        options.ignore_files.iter().chain(&options.modules).find(|n| n.is_empty() || n.contains('/'))
    {
        return Err(Error::Invalid(format!("{bad:?} is not a name: it is empty or holds '/'")));
    }
    Ok(Filter {
        excludes: excludes(options)?.build()?,
        includes: includes(options)?,
        modules: options.modules.iter().map(|m| m.clone().into_bytes()).collect(),
        ignore_files: options.ignore_files.iter().map(|n| n.clone().into_bytes()).collect(),
        tags,
        one_file_system: options.one_file_system,
        devices: Mutex::default(),
        own: own(options),
    })
}

impl FileOptions {
    /// Refuses patterns, modules and names of files that are none, before anything is begun.
    ///
    /// # Errors
    /// [`Error::Invalid`] that says which; [`Error::File`] for a file of patterns that cannot be read.
    pub fn check(&self) -> Result<()> {
        filter(self).map(drop)
    }

    /// Keeps a repository that lies in a folder of this host, and the program's own folders for it, out of the backup.
    pub fn keep_out(&mut self, repository: &Repository) {
        let dirs = repository.dirs();
        // A location elsewhere names no folder here, and then nothing is kept out by it.
        self.own.extend([dirs.cache.clone(), dirs.state.clone(), repository.location().into()]);
    }
}

fn excludes(options: &FileOptions) -> Result<RulesBuilder> {
    let mut rules = RulesBuilder::with_absolute();
    if let Some(preset) = options.preset {
        for (number, pattern) in preset.excludes().iter().enumerate() {
            rules.add(preset.name(), number + 1, pattern)?;
        }
    }
    for path in &options.exclude_files {
        let bytes = std::fs::read(path).map_err(|e| Error::file(path, e))?;
        rules.add_file(&printable(path.as_os_str().as_bytes()), &bytes, true)?;
    }
    for (number, pattern) in options.excludes.iter().enumerate() {
        rules.add("--exclude", number + 1, pattern)?;
    }
    Ok(rules)
}

fn includes(options: &FileOptions) -> Result<Option<crate::source::rules::Rules>> {
    let mut rules = RulesBuilder::with_absolute();
    for (number, pattern) in options.includes.iter().enumerate() {
        rules.add("--include", number + 1, pattern)?;
    }
    let rules = rules.build()?;
    Ok(Some(rules).filter(|r| !r.is_empty()))
}

fn own(options: &FileOptions) -> HashSet<(u64, u64)> {
    let names = Names::empty();
    // A folder that is not there yet holds nothing that could be backed up.
    let found = |p: &std::path::PathBuf| stat::folder(p.as_os_str().as_bytes(), &names).ok();
    options.own.iter().filter_map(found).map(|(_, stat)| (stat.dev, stat.inode)).collect()
}

impl Filter {
    /// Whether nothing but the program's own folders is left out.
    pub(crate) fn takes_all(&self) -> bool {
        self.excludes.is_empty()
            && self.includes.is_none()
            && self.modules.is_empty()
            && self.ignore_files.is_empty()
            && self.tags.is_empty()
            && !self.one_file_system
    }
}
