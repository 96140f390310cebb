//! From the arguments of `backup`, or from a target of the configuration, to sources.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use chronos_server::{SourceKind, TargetConfig};
use chronos_snapshot::{
    FileOptions, FileSource, LabelledSource, Preset, Source, StreamSource, Tag, Time, parse_path,
    read_path_list,
};

use crate::commands::backup::Backup;
use crate::context::App;
use crate::error::Failure;

/// Threads that list folders ahead of those that read files.
const LIST_THREADS: usize = 4;
/// Name of the file when nobody named it.
const STREAM_NAME: &str = "stdin";

impl Backup {
    /// Everything that goes into the snapshot.
    pub(super) fn sources(
        &self,
        app: &App,
        own: &[PathBuf],
        target: Option<&TargetConfig>,
    ) -> Result<Vec<Box<dyn Source>>, Failure> {
        let mut sources: Vec<Box<dyn Source>> = Vec::new();
        if let Some(options) = self.files(own)? {
            sources.push(Box::new(FileSource::new(options)?));
        }
        let now = now(app);
        if self.stdin {
            let name = parse_path(self.stdin_filename.as_deref().unwrap_or(STREAM_NAME))?;
            sources.push(Box::new(StreamSource::reader(Box::new(io::stdin()), name, now)?));
        }
        if let Some(command) = &self.command {
            let name = parse_path(self.stdin_filename.as_deref().unwrap_or("command"))?;
            sources.push(Box::new(StreamSource::command(shell(command), name, now)?));
        }
        if sources.is_empty()
            && let Some(target) = target
        {
            for part in self.parts(target, own)? {
                sources.push(part.source(now)?);
            }
        }
        if sources.is_empty() {
            return Err(self.nothing());
        }
        Ok(sources)
    }

    fn nothing(&self) -> Failure {
        match &self.target {
            Some(name) => Failure::usage(format!("target {name} is not configured, and no path was given"))
                .hint(
                    "name a path, or add a [[target]] to the configuration; `chronos config show` prints it",
                ),
            None => Failure::usage("there is nothing to back up")
                .hint("name a file or folder, --stdin, --command, or a configured --target"),
        }
    }

    /// What is walked, if any path was given.
    pub(super) fn files(&self, own: &[PathBuf]) -> Result<Option<FileOptions>, Failure> {
        let mut roots = self.paths.clone();
        for (list, separator) in [(&self.files_from, b'\n'), (&self.files_from0, 0)] {
            for file in list {
                roots.extend(read_list(file, separator)?);
            }
        }
        if roots.is_empty() {
            return Ok(None);
        }
        let mut options = self.rules(own)?;
        options.roots = roots;
        Ok(Some(options))
    }

    /// The rules of the command line.
    fn rules(&self, own: &[PathBuf]) -> Result<FileOptions, Failure> {
        let tags = self.exclude_if_present.iter().map(|t| Tag::parse(t)).collect::<Result<_, _>>()?;
        Ok(FileOptions {
            preset: self.preset.map(Into::into),
            modules: self.modules.clone(),
            excludes: self.exclude.clone(),
            exclude_files: self.exclude_file.clone(),
            includes: self.include.clone(),
            ignore_files: self.ignore_file.clone(),
            exclude_if_present: tags,
            exclude_caches: self.exclude_caches,
            one_file_system: self.one_file_system,
            own: own.to_vec(),
            threads: LIST_THREADS,
            ..FileOptions::default()
        })
    }
}

/// One source of a configured target.
struct Part<'a> {
    name: &'a str,
    component: &'a str,
    what: What<'a>,
}

/// What is read.
enum What<'a> {
    Files(Box<FileOptions>),
    Command { command: &'a str, file: &'a str },
}

impl Part<'_> {
    fn source(self, now: Time) -> Result<Box<dyn Source>, Failure> {
        let source: Box<dyn Source> = match self.what {
            What::Files(options) => Box::new(FileSource::new(*options)?),
            What::Command { command, file } => {
                Box::new(StreamSource::command(shell(command), parse_path(file)?, now)?)
            }
        };
        Ok(Box::new(LabelledSource::new(source, self.name, self.component)))
    }
}

impl Backup {
    /// The sources of a configured target that the type takes; the rules of the command line are added to its own.
    fn parts<'t>(&self, target: &'t TargetConfig, own: &[PathBuf]) -> Result<Vec<Part<'t>>, Failure> {
        let rules = self.rules(own)?;
        let files = |roots: &[PathBuf], include: &[String], exclude: &[String]| {
            let mut options = rules.clone();
            options.roots = roots.to_vec();
            options.includes = [&target.include, include, &rules.includes].concat();
            options.excludes = [&target.exclude, exclude, &rules.excludes].concat();
            options.exclude_caches |= target.exclude_caches;
            options.one_file_system |= target.one_file_system;
            options.preset = options.preset.or_else(|| target.preset.as_ref().map(|_| Preset::Project));
            for tag in &target.exclude_if_present {
                options.exclude_if_present.push(Tag::parse(tag)?);
            }
            Ok::<_, Failure>(What::Files(Box::new(options)))
        };
        let mut parts = Vec::new();
        if !target.paths.is_empty() {
            parts.push(Part { name: "files", component: "files", what: files(&target.paths, &[], &[])? });
        }
        for source in &target.sources {
            let what = match (source.kind, &source.command) {
                (SourceKind::Command, Some(command)) => {
                    What::Command { command, file: source.filename.as_deref().unwrap_or(&source.name) }
                }
                _ => files(&source.paths, &source.include, &source.exclude)?,
            };
            parts.push(Part { name: &source.name, component: source.component(), what });
        }
        let there: BTreeSet<&str> = parts.iter().map(|p| p.component).collect();
        parts.retain(|p| self.takes(p.component));
        if parts.is_empty() {
            return Err(Failure::usage(format!(
                "target {} has nothing of type {}: its sources are of {}",
                target.name,
                self.backup_type,
                there.into_iter().collect::<Vec<_>>().join(", ")
            ))
            .hint("give a source its `component` in the configuration, or take --type full"));
        }
        Ok(parts)
    }

    /// What a snapshot of a configured target is limited to; empty: it takes all of its sources.
    pub(super) fn scope(&self, target: Option<&TargetConfig>) -> Vec<String> {
        let Some(target) = target.filter(|_| !self.names_sources()) else { return Vec::new() };
        let files = (!target.paths.is_empty()).then_some("files");
        let all: BTreeSet<&str> =
            files.into_iter().chain(target.sources.iter().map(chronos_server::Source::component)).collect();
        let taken: Vec<String> = all.iter().filter(|c| self.takes(c)).map(|c| (*c).to_owned()).collect();
        if taken.len() == all.len() { Vec::new() } else { taken }
    }

    /// Whether the command line says what is backed up.
    fn names_sources(&self) -> bool {
        let lists = [&self.paths, &self.files_from, &self.files_from0];
        self.stdin || self.command.is_some() || lists.into_iter().any(|l| !l.is_empty())
    }

    /// Whether the type takes a component.
    fn takes(&self, component: &str) -> bool {
        match self.backup_type.as_str() {
            "config" => matches!(component, "config" | "credentials"),
            one @ ("workflows" | "database") => component == one,
            _ => true,
        }
    }

    /// Everything that is walked: of the command line, else of the configured target.
    pub(super) fn walked(
        &self,
        own: &[PathBuf],
        target: Option<&TargetConfig>,
    ) -> Result<Vec<FileOptions>, Failure> {
        if let Some(options) = self.files(own)? {
            return Ok(vec![options]);
        }
        let Some(target) = target else { return Ok(Vec::new()) };
        let parts = self.parts(target, own)?.into_iter();
        Ok(parts.filter_map(|p| if let What::Files(o) = p.what { Some(*o) } else { None }).collect())
    }
}

fn shell(command: &str) -> Vec<std::ffi::OsString> {
    ["sh", "-c", command].map(Into::into).to_vec()
}

fn read_list(file: &Path, separator: u8) -> Result<Vec<PathBuf>, Failure> {
    if file == Path::new("-") {
        return Ok(read_path_list(io::stdin().lock(), "standard input", separator)?);
    }
    let open =
        File::open(file).map_err(|e| Failure::usage(format!("{}: {e}", chronos_server::shown(file))))?;
    Ok(read_path_list(open, &chronos_server::shown(file), separator)?)
}

fn now(app: &App) -> Time {
    let nanos = app.env.clock.now();
    let second = 1_000_000_000;
    Time {
        seconds: i64::try_from(nanos.div_euclid(second)).unwrap_or(i64::MAX),
        nanos: u32::try_from(nanos.rem_euclid(second)).unwrap_or(0),
    }
}
