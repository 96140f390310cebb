//! From the arguments of `backup` to sources.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use chronos_server::sources::{LIST_THREADS, moment, shell_output, standard_input};
use chronos_server::{Workplace, shown};
use chronos_snapshot::{FileOptions, FileSource, Source, Tag, parse_path, read_path_list};

use crate::commands::backup::Backup;
use crate::context::App;
use crate::error::Failure;

/// Name of the file when nobody named it.
const STREAM_NAME: &str = "stdin";

impl Backup {
    /// What the command line says is backed up.
    pub(super) fn given(&self, app: &App) -> Result<Vec<Box<dyn Source>>, Failure> {
        let mut sources: Vec<Box<dyn Source>> = Vec::new();
        if let Some(options) = self.files(app.workplace()?)? {
            sources.push(Box::new(FileSource::new(options)?));
        }
        let now = moment(app.env.clock.now());
        if self.stdin {
            let name = parse_path(self.stdin_filename.as_deref().unwrap_or(STREAM_NAME))?;
            sources.push(standard_input(name, now)?);
        }
        if let Some(command) = &self.command {
            let name = parse_path(self.stdin_filename.as_deref().unwrap_or("command"))?;
            sources.push(shell_output(command, name, now)?);
        }
        Ok(sources)
    }

    /// What is walked, if any path was given.
    pub(super) fn files(&self, workplace: &Workplace) -> Result<Option<FileOptions>, Failure> {
        let mut roots = self.paths.clone();
        for (list, separator) in [(&self.files_from, b'\n'), (&self.files_from0, 0)] {
            for file in list {
                roots.extend(read_list(file, separator)?);
            }
        }
        if roots.is_empty() {
            return Ok(None);
        }
        Ok(Some(FileOptions { roots, own: workplace.own_folders(), ..self.rules()? }))
    }

    /// The rules of the command line.
    pub(super) fn rules(&self) -> Result<FileOptions, Failure> {
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
            threads: LIST_THREADS,
            ..FileOptions::default()
        })
    }
}

fn read_list(file: &Path, separator: u8) -> Result<Vec<PathBuf>, Failure> {
    if file == Path::new("-") {
        return Ok(read_path_list(io::stdin().lock(), "standard input", separator)?);
    }
    let open = File::open(file).map_err(|e| Failure::usage(format!("{}: {e}", shown(file))))?;
    Ok(read_path_list(open, &shown(file), separator)?)
}
