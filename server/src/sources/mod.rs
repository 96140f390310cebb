//! From a configured target to the sources of its snapshot: the one place that knows every kind of source.

mod selection;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use chronos_snapshot::{
    AbsentSource, Error as Failed, FileOptions, FileSource, LabelledSource, Preset, Requirement, Source,
    StreamSource, Tag, Time, parse_path,
};

use serde::Serialize;

use crate::config::{self, SourceKind, TargetConfig};
use crate::error::{Error, Result};

pub use selection::Selection;

/// Threads that list folders ahead of those that read files.
pub const LIST_THREADS: usize = 4;

/// A source of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceState {
    /// Its name.
    pub name: String,
    /// `files`, `command`, …
    pub kind: String,
    /// Which component it is.
    pub component: String,
}

/// What every source of a run is made with.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// Rules for files that are added to the target's own; its roots do not count.
    pub rules: FileOptions,
    /// The moment that streams are stamped with.
    pub now: Time,
}

/// One source of a target.
struct Part<'a> {
    name: &'a str,
    component: &'a str,
    what: What<'a>,
}

/// What is read.
enum What<'a> {
    /// Files and folders.
    Files(Walked<'a>),
    /// What a program gives.
    Stream(&'a config::Source),
}

/// Files and folders, with patterns of their own beside those of the target.
struct Walked<'a> {
    roots: &'a [PathBuf],
    include: &'a [String],
    exclude: &'a [String],
}

/// The sources of a configured target that a selection takes.
///
/// # Errors
/// [`Error::NothingOfType`] if it takes none.
pub fn of_target(
    target: &TargetConfig,
    selection: &Selection,
    setting: &Setting,
) -> Result<Vec<Box<dyn Source>>> {
    let parts = taken(target, selection)?;
    let is_alone = parts.len() == 1;
    parts.into_iter().map(|part| made(target, &part, setting, is_alone)).collect()
}

/// What the sources that a selection takes have to give. One workflow is not measured by what is required of all.
pub fn requirements(target: &TargetConfig, selection: &Selection) -> BTreeMap<String, Requirement> {
    if selection.workflow.is_some() {
        return BTreeMap::new();
    }
    let taken = parts(target).into_iter().filter(|part| selection.takes(part.component));
    let required = taken.map(|part| {
        let source = target.sources.iter().find(|source| source.name == part.name);
        (part.name.to_owned(), source.map(config::Source::requirement).unwrap_or_default())
    });
    required.collect()
}

/// What is walked for a configured target, for whoever wants to know which rule decides about a path.
pub fn walked(target: &TargetConfig, selection: &Selection, setting: &Setting) -> Result<Vec<FileOptions>> {
    let parts = taken(target, selection)?;
    let walked = parts.iter().filter_map(|part| match &part.what {
        What::Files(walked) => Some(files(target, walked, setting)),
        What::Stream(_) => None,
    });
    walked.collect()
}

/// What a snapshot is limited to; empty: it takes all sources of the target.
pub fn scope(target: &TargetConfig, selection: &Selection) -> Vec<String> {
    if let Some(workflow) = &selection.workflow {
        return vec![workflow.clone()];
    }
    let all = components(&parts(target));
    let taken: Vec<String> = all.iter().filter(|c| selection.takes(c)).cloned().collect();
    if taken.len() == all.len() { Vec::new() } else { taken }
}

/// Whether a selection takes anything of a target.
pub fn has_any(target: &TargetConfig, selection: &Selection) -> bool {
    parts(target).iter().any(|part| selection.takes(part.component))
}

/// The sources of a target, for people.
pub fn described(target: &TargetConfig) -> Vec<SourceState> {
    let described = parts(target).into_iter().map(|part| SourceState {
        name: part.name.to_owned(),
        kind: match part.what {
            What::Files(_) => SourceKind::Files.name(),
            What::Stream(source) => source.kind.name(),
        }
        .to_owned(),
        component: part.component.to_owned(),
    });
    described.collect()
}

/// The components that a target has.
pub fn components_of(target: &TargetConfig) -> Vec<String> {
    components(&parts(target))
}

fn parts(target: &TargetConfig) -> Vec<Part<'_>> {
    let own = What::Files(Walked { roots: &target.paths, include: &[], exclude: &[] });
    let own = (!target.paths.is_empty()).then_some(Part { name: "files", component: "files", what: own });
    let named = target.sources.iter().map(|source| Part {
        name: &source.name,
        component: source.component(),
        what: match source.kind {
            SourceKind::Files => What::Files(Walked {
                roots: &source.paths,
                include: &source.include,
                exclude: &source.exclude,
            }),
            SourceKind::Command | SourceKind::N8n | SourceKind::Postgres | SourceKind::Sqlite => {
                What::Stream(source)
            }
        },
    });
    own.into_iter().chain(named).collect()
}

fn taken<'a>(target: &'a TargetConfig, selection: &Selection) -> Result<Vec<Part<'a>>> {
    let mut parts = parts(target);
    let components = components(&parts);
    parts.retain(|part| selection.takes(part.component));
    if parts.is_empty() {
        let (target, wanted) = (target.name.clone(), selection.shown());
        return Err(Error::NothingOfType { target, wanted, components });
    }
    Ok(parts)
}

/// Each component once, in the order of their names.
fn components(parts: &[Part<'_>]) -> Vec<String> {
    let mut all: Vec<String> = parts.iter().map(|p| p.component.to_owned()).collect();
    all.sort();
    all.dedup();
    all
}

/// A source; one of several that is not there has failed, and the others go on.
fn made(
    target: &TargetConfig,
    part: &Part<'_>,
    setting: &Setting,
    is_alone: bool,
) -> Result<Box<dyn Source>> {
    let source: Box<dyn Source> = match &part.what {
        What::Files(walked) => {
            let options = FileOptions { name: part.name.to_owned(), ..files(target, walked, setting)? };
            let absent = FileSource::absent(&options, "");
            match FileSource::new(options) {
                Err(error @ (Failed::NotFound { .. } | Failed::File { .. })) if !is_alone => {
                    Box::new(AbsentSource { why: error.to_string(), ..absent })
                }
                source => Box::new(source?),
            }
        }
        What::Stream(source) => stream(source, setting)?,
    };
    Ok(Box::new(LabelledSource::new(source, part.name, part.component)))
}

/// A source whose content comes out of a program.
fn stream(source: &config::Source, setting: &Setting) -> Result<Box<dyn Source>> {
    if source.kind != SourceKind::Command {
        let place = format!("source {:?}", source.name);
        let why = format!("sources of kind {:?} are not in this version", source.kind.name());
        return Err(Error::Value { place, why });
    }
    let command = source.command.as_deref().unwrap_or_default();
    let name = parse_path(source.filename.as_deref().unwrap_or(&source.name))?;
    Ok(Box::new(StreamSource::command(shell(command), name, setting.now)?))
}

/// How files of a target are walked: by its rules, those of the source, and those that were added.
fn files(target: &TargetConfig, walked: &Walked<'_>, setting: &Setting) -> Result<FileOptions> {
    let rules = &setting.rules;
    let mut options = rules.clone();
    options.roots = walked.roots.to_vec();
    options.includes = [&*target.include, walked.include, &*rules.includes].concat();
    options.excludes = [&*target.exclude, walked.exclude, &*rules.excludes].concat();
    options.exclude_caches |= target.exclude_caches;
    options.one_file_system |= target.one_file_system;
    options.preset = options.preset.or_else(|| target.preset.as_ref().map(|_| Preset::Project));
    for tag in &target.exclude_if_present {
        options.exclude_if_present.push(Tag::parse(tag)?);
    }
    Ok(options)
}

/// A line for the shell as arguments.
pub fn shell(command: &str) -> Vec<OsString> {
    ["sh", "-c", command].map(Into::into).to_vec()
}

/// A moment of the clock, as times of files are written.
pub fn moment(nanos: i128) -> Time {
    let second = 1_000_000_000;
    Time {
        seconds: i64::try_from(nanos.div_euclid(second)).unwrap_or(i64::MAX),
        nanos: u32::try_from(nanos.rem_euclid(second)).unwrap_or(0),
    }
}
