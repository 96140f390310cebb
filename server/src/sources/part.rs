//! What a target is made of, before anything of it is opened.

use std::path::PathBuf;

use crate::config::{self, SourceKind, TargetConfig};
use crate::sources::Selection;

/// One source of a target.
pub(super) struct Part<'a> {
    pub(super) name: &'a str,
    /// What it can give; of an n8n that names none both workflows and credentials.
    pub(super) components: Vec<&'a str>,
    pub(super) what: What<'a>,
}

/// What is read.
pub(super) enum What<'a> {
    /// Files and folders.
    Files(Walked<'a>),
    /// The output of a command.
    Command(&'a config::Source),
    /// The workflows of an n8n.
    N8n(&'a config::Source),
    /// Databases of a PostgreSQL server.
    Postgres(&'a config::Source),
    /// A live SQLite database.
    Sqlite(&'a config::Source),
}

/// Files and folders, with patterns of their own beside those of the target.
pub(super) struct Walked<'a> {
    pub(super) roots: &'a [PathBuf],
    pub(super) include: &'a [String],
    pub(super) exclude: &'a [String],
}

impl What<'_> {
    /// Its word.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Files(_) => "files",
            Self::Command(_) => "command",
            Self::N8n(_) => "n8n",
            Self::Postgres(_) => "postgres",
            Self::Sqlite(_) => "sqlite",
        }
    }
}

impl<'a> Part<'a> {
    fn of(source: &'a config::Source) -> Self {
        let components = match source.kind {
            SourceKind::N8n if source.component.is_none() => vec!["workflows", "credentials"],
            _ => vec![source.component()],
        };
        let what = match source.kind {
            SourceKind::Files => What::Files(Walked {
                roots: &source.paths,
                include: &source.include,
                exclude: &source.exclude,
            }),
            SourceKind::Command => What::Command(source),
            SourceKind::N8n => What::N8n(source),
            SourceKind::Postgres => What::Postgres(source),
            SourceKind::Sqlite => What::Sqlite(source),
        };
        Self { name: &source.name, components, what }
    }

    /// The component that it is in a snapshot: the first that is taken.
    pub(super) fn component(&self, selection: &Selection) -> &'a str {
        let first = || self.components.first().copied().unwrap_or("files");
        self.components.iter().copied().find(|c| selection.takes(c)).unwrap_or_else(first)
    }
}

/// The sources of a target, its own paths first.
pub(super) fn parts(target: &TargetConfig) -> Vec<Part<'_>> {
    let own = Walked { roots: &target.paths, include: &[], exclude: &[] };
    let own = Part { name: "files", components: vec!["files"], what: What::Files(own) };
    let own = (!target.paths.is_empty()).then_some(own);
    own.into_iter().chain(target.sources.iter().map(Part::of)).collect()
}

/// Each component once, in the order of their names.
pub(super) fn components(parts: &[Part<'_>]) -> Vec<String> {
    let mut all: Vec<String> = parts.iter().flat_map(|p| &p.components).map(|c| (*c).to_owned()).collect();
    all.sort();
    all.dedup();
    all
}
