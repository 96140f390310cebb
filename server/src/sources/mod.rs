//! From a configured target to the sources of its snapshot: the one place that knows every kind of source.

mod connected;
mod part;
mod selection;
mod streams;
mod upstream;

use std::collections::BTreeMap;
use std::path::PathBuf;

use chronos_connect::n8n::Parts;
use chronos_snapshot::{
    AbsentSource, Error as Failed, FileOptions, FileSource, LabelledSource, Preset, Requirement, Source, Tag,
    Time, parse_path,
};
use serde::Serialize;

use crate::config::{self, OWN_TARGET, TargetConfig};
use crate::error::{Error, Result};
use crate::sources::part::{Part, Walked, What, components, parts};
use crate::workplace::Variables;

pub(crate) use connected::{n8n_client, n8n_instance, n8n_way_back, postgres_client};
pub use selection::Selection;
pub use streams::{shell_output, standard_input};
use upstream::Failure;
pub use upstream::Watched;

/// Threads that list folders ahead of those that read files.
pub const LIST_THREADS: usize = 4;

/// A source of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceState {
    /// Its name.
    pub name: String,
    /// `files`, `command`, `n8n`, `postgres`, `sqlite`.
    pub kind: &'static str,
    /// Which component it is; of an n8n the first.
    pub component: String,
}

/// What every source of a run is made with.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// Rules for files that are added to the target's own; its roots do not count.
    pub rules: FileOptions,
    /// The moment that streams are stamped with.
    pub now: Time,
    /// Where secrets may be.
    pub variables: Variables,
    /// Names of variables that the configuration takes secrets from.
    pub secrets: Vec<String>,
    /// Folder for copies of databases while they are read.
    pub scratch: PathBuf,
}

/// The sources of a run.
#[derive(Debug, Default)]
pub struct Made {
    /// Ready to be opened together.
    pub sources: Vec<Box<dyn Source>>,
    /// What outside systems say of themselves if they fail.
    pub watched: Watched,
}

/// The sources of a configured target that a selection takes. One that cannot even be made, for want of its secret, has failed
/// like one that cannot be opened: the others go on.
///
/// # Errors
/// [`Error::NothingOfType`] if it takes none; paths and patterns that are wrong.
pub fn of_target(target: &TargetConfig, selection: &Selection, setting: &Setting) -> Result<Made> {
    let mut made = Made::default();
    for part in taken(target, selection)? {
        let source = match &part.what {
            What::Files(walked) => Ok(walk(target, &part, walked, setting)?),
            What::Command(source) => Ok(command(source, setting)?),
            What::N8n(source) => {
                let workflow = selection.workflow.as_deref();
                connected::n8n(source, n8n_parts(&part, selection), workflow, setting).map(|source| {
                    made.watched.add(Failure::N8n(source.failure()));
                    Box::new(source) as Box<dyn Source>
                })
            }
            What::Postgres(source) => connected::postgres(source, setting).map(|source| {
                made.watched.add(Failure::Postgres(source.failure()));
                Box::new(source) as Box<dyn Source>
            }),
            What::Sqlite(source) => {
                connected::sqlite(source, setting).map(|s| Box::new(s) as Box<dyn Source>)
            }
        };
        let component = part.component(selection).to_owned();
        made.sources.push(match source {
            Ok(source) => Box::new(LabelledSource::new(source, part.name, component)),
            Err(error) => Box::new(AbsentSource {
                name: part.name.to_owned(),
                kind: part.what.kind(),
                component,
                paths: Vec::new(),
                why: error.to_string(),
            }),
        });
    }
    Ok(made)
}

/// What is walked for a configured target, for whoever wants to know which rule decides about a path.
pub fn walked(target: &TargetConfig, selection: &Selection, setting: &Setting) -> Result<Vec<FileOptions>> {
    let parts = taken(target, selection)?;
    let walked = parts.iter().filter_map(|part| match &part.what {
        What::Files(walked) => Some(files(target, walked, setting)),
        _ => None,
    });
    walked.collect()
}

/// What a snapshot is limited to; empty: it takes all sources of the target.
pub fn scope(target: &TargetConfig, selection: &Selection) -> Vec<String> {
    if let Some(workflow) = &selection.workflow {
        return vec![workflow.clone()];
    }
    let all = components_of(target);
    let taken: Vec<String> = all.iter().filter(|c| selection.takes(c)).cloned().collect();
    if taken.len() == all.len() { Vec::new() } else { taken }
}

/// What the sources that a selection takes have to give. One workflow, or a part of an n8n, is not measured by what is required
/// of all.
pub fn requirements(target: &TargetConfig, selection: &Selection) -> BTreeMap<String, Requirement> {
    if selection.workflow.is_some() {
        return BTreeMap::new();
    }
    let whole = |part: &Part<'_>| part.components.iter().all(|c| selection.takes(c));
    let required = parts(target).into_iter().filter(whole).map(|part| {
        let source = target.sources.iter().find(|source| source.name == part.name);
        (part.name.to_owned(), source.map(config::Source::requirement).unwrap_or_default())
    });
    required.collect()
}

/// Whether a selection takes anything of a target.
pub fn has_any(target: &TargetConfig, selection: &Selection) -> bool {
    components_of(target).iter().any(|c| selection.takes(c))
}

/// The sources of a target, for people.
pub fn described(target: &TargetConfig) -> Vec<SourceState> {
    let described = parts(target).into_iter().map(|part| SourceState {
        name: part.name.to_owned(),
        kind: part.what.kind(),
        component: part.components.first().copied().unwrap_or_default().to_owned(),
    });
    described.collect()
}

/// The components that a target has, each once.
pub fn components_of(target: &TargetConfig) -> Vec<String> {
    components(&parts(target))
}

fn taken<'a>(target: &'a TargetConfig, selection: &Selection) -> Result<Vec<Part<'a>>> {
    let mut parts = parts(target);
    let components = components(&parts);
    parts.retain(|part| part.components.iter().any(|c| selection.takes(c)));
    if parts.is_empty() {
        let (target, wanted) = (target.name.clone(), selection.shown());
        return Err(Error::NothingOfType { target, wanted, components });
    }
    Ok(parts)
}

/// Files; a source that is not there has failed, and the others go on.
fn walk(
    target: &TargetConfig,
    part: &Part<'_>,
    walked: &Walked<'_>,
    setting: &Setting,
) -> Result<Box<dyn Source>> {
    let options = FileOptions { name: part.name.to_owned(), ..files(target, walked, setting)? };
    let absent = FileSource::absent(&options, "");
    Ok(match FileSource::new(options) {
        Err(error @ (Failed::NotFound { .. } | Failed::File { .. })) => {
            Box::new(AbsentSource { why: error.to_string(), ..absent })
        }
        source => Box::new(source?),
    })
}

/// A command whose output becomes a file.
fn command(source: &config::Source, setting: &Setting) -> Result<Box<dyn Source>> {
    let name = parse_path(source.filename.as_deref().unwrap_or(&source.name))?;
    streams::configured_output(source, name, setting)
}

/// What of an n8n a selection takes.
fn n8n_parts(part: &Part<'_>, selection: &Selection) -> Parts {
    let takes = |component| part.components.contains(&component) && selection.takes(component);
    match (takes("workflows"), takes("credentials")) {
        (true, false) if part.components.len() > 1 => Parts::Workflows,
        (false, true) => Parts::Credentials,
        _ => Parts::All,
    }
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
    // What stands behind the links of a configuration is named beside them.
    options.keep_links = target.name == OWN_TARGET;
    options.preset = options.preset.or_else(|| target.preset.as_ref().map(|_| Preset::Project));
    for tag in &target.exclude_if_present {
        options.exclude_if_present.push(Tag::parse(tag)?);
    }
    Ok(options)
}

/// A moment of the clock, as times of files are written.
pub fn moment(nanos: i128) -> Time {
    let second = 1_000_000_000;
    Time {
        seconds: i64::try_from(nanos.div_euclid(second)).unwrap_or(i64::MAX),
        nanos: u32::try_from(nanos.rem_euclid(second)).unwrap_or(0),
    }
}
