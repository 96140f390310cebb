//! From the arguments of `backup`, or from a target of the configuration, to sources.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use chronos_server::{SourceKind, TargetConfig};
use chronos_snapshot::{
    FileOptions, FileSource, Preset, Source, StreamSource, Tag, Time, parse_path, read_path_list,
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
            sources = configured(target, self, own, now)?;
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

/// The sources of a configured target; the rules of the command line are added to its own.
fn configured(
    target: &TargetConfig,
    arguments: &Backup,
    own: &[PathBuf],
    now: Time,
) -> Result<Vec<Box<dyn Source>>, Failure> {
    let rules = arguments.rules(own)?;
    let files = |name: &str, roots: &[PathBuf], include: &[String], exclude: &[String]| {
        let mut options = rules.clone();
        name.clone_into(&mut options.name);
        options.roots = roots.to_vec();
        options.includes = [&target.include, include, &rules.includes].concat();
        options.excludes = [&target.exclude, exclude, &rules.excludes].concat();
        options.exclude_caches |= target.exclude_caches;
        options.one_file_system |= target.one_file_system;
        options.preset = options.preset.or_else(|| target.preset.as_ref().map(|_| Preset::Project));
        for tag in &target.exclude_if_present {
            options.exclude_if_present.push(Tag::parse(tag)?);
        }
        Ok::<_, Failure>(Box::new(FileSource::new(options)?) as Box<dyn Source>)
    };
    let mut sources = Vec::new();
    if !target.paths.is_empty() {
        sources.push(files("files", &target.paths, &[], &[])?);
    }
    for source in &target.sources {
        sources.push(match (source.kind, &source.command) {
            (SourceKind::Command, Some(command)) => {
                let name = parse_path(source.filename.as_deref().unwrap_or(&source.name))?;
                Box::new(StreamSource::command(shell(command), name, now)?)
            }
            _ => files(&source.name, &source.paths, &source.include, &source.exclude)?,
        });
    }
    Ok(sources)
}

fn shell(command: &str) -> Vec<std::ffi::OsString> {
    ["sh", "-c", command].map(Into::into).to_vec()
}

fn read_list(file: &Path, separator: u8) -> Result<Vec<PathBuf>, Failure> {
    if file == Path::new("-") {
        return Ok(read_path_list(io::stdin().lock(), "standard input", separator)?);
    }
    let open = File::open(file).map_err(|e| Failure::usage(format!("{}: {e}", file.display())))?;
    Ok(read_path_list(open, &file.display().to_string(), separator)?)
}

fn now(app: &App) -> Time {
    let nanos = app.env.clock.now();
    let second = 1_000_000_000;
    Time {
        seconds: i64::try_from(nanos.div_euclid(second)).unwrap_or(i64::MAX),
        nanos: u32::try_from(nanos.rem_euclid(second)).unwrap_or(0),
    }
}
