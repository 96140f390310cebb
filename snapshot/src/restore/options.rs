//! What is restored, to where, and what happens to what stands there.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::path::TreePath;
use crate::restore::report::RestorePlan;
use crate::restore::undoes::Undoes;

/// What happens to the target as a whole (contract §6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Into a folder that is absent or empty.
    #[default]
    NewLocation,
    /// Over the original place, or over the folder that was named; extra files stay.
    Overwrite,
    /// The target ends exactly as the snapshot: extra files are removed.
    Replace,
    /// Only what is missing or, by choice, older.
    Merge,
}

/// What happens to an entry that stands in the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overwrite {
    /// It is written anew.
    Always,
    /// It is written anew if its type, size or time of change differ; else only differing attributes are set.
    IfChanged,
    /// It is written anew if the snapshot's time of change is later.
    IfNewer,
    /// It stays.
    Never,
}

/// Takes `-` for `_`.
fn parse<T: for<'a> Deserialize<'a>>(what: &str, text: &str) -> Result<T> {
    serde_json::from_value(text.replace('-', "_").into())
        .map_err(|_| Error::Invalid(format!("{text:?} is not {what}")))
}

impl std::str::FromStr for Strategy {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        parse("a restore strategy: new_location, overwrite, replace, merge", text)
    }
}

impl std::str::FromStr for Overwrite {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        parse("an overwrite mode: always, if-changed, if-newer, never", text)
    }
}

impl Strategy {
    /// Its name in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::NewLocation => "new_location",
            Self::Overwrite => "overwrite",
            Self::Replace => "replace",
            Self::Merge => "merge",
        }
    }
}

/// Whose an entry becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Owner {
    /// The recorded numbers.
    #[default]
    Number,
    /// The numbers that the recorded names have on this host; where there is no such name, the recorded ones.
    Name,
}

/// Called before anything in the target is changed, with what will be; returns the id of the snapshot that it made.
/// Its error stops the restore.
type Before = dyn Fn(&RestorePlan) -> Result<Option<String>> + Send + Sync;

/// A callback that makes a `restore-point` snapshot.
#[derive(Clone)]
pub struct RestorePoint(pub Arc<Before>);

impl fmt::Debug for RestorePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RestorePoint(..)")
    }
}

/// Called once everything is in its place and stays there; what is left to do is to tidy up.
#[derive(Clone)]
pub struct Committed(pub Arc<dyn Fn() + Send + Sync>);

impl fmt::Debug for Committed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Committed(..)")
    }
}

/// How a snapshot is restored.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// Names it for [`Recovered`](crate::Recovered), if its process should end before it does: letters and digits that no other has.
    pub id: Option<String>,
    /// What of the snapshot; the root: everything, each root of the backup under its absolute path.
    /// Else the content of a folder goes directly into the target, and a file under its own name.
    pub path: TreePath,
    /// The target; `None`: the original place, or for [`Strategy::NewLocation`] a new folder below `restores/`.
    pub to: Option<PathBuf>,
    /// A folder that the target lies below: on the way from there no link is followed, so that nobody who puts one there can lead the
    /// restore elsewhere. After the process died, folders that it made and that are empty are removed by their paths all the same.
    pub beneath: Option<PathBuf>,
    /// What happens to the target as a whole.
    pub strategy: Strategy,
    /// What happens to entries that stand there; `None`: always, and never in a merge.
    pub overwrite: Option<Overwrite>,
    /// Only what fits one of these patterns (gitignore syntax), and folders that lead to it; empty: everything.
    pub include: Vec<String>,
    /// Not what fits one of these patterns.
    pub exclude: Vec<String>,
    /// Only these: components or sources of the snapshot by name, its target (then everything), or modules, which are
    /// folders and files at the top of the snapshot or directly below a root of it.
    pub components: Vec<String>,
    /// Only what these sources of the snapshot gave, by their exact names; empty: what `components` says.
    pub sources: Vec<String>,
    /// Only says what would be done.
    pub dry_run: bool,
    /// Reads back what was written and compares.
    pub verify: bool,
    /// Makes holes of runs of zeros.
    pub sparse: bool,
    /// Whose the entries become.
    pub owner: Owner,
    /// Threads for reading; 0: as many as there are processors.
    pub threads: usize,
    /// Called before a target is changed, but not for [`Strategy::NewLocation`].
    pub restore_point: Option<RestorePoint>,
    /// The restore that this one undoes.
    pub undoes: Option<Undoes>,
    /// Called when it is done but for tidying up.
    pub committed: Option<Committed>,
}

impl Default for RestoreOptions {
    fn default() -> Self {
        Self {
            id: None,
            path: TreePath::root(),
            to: None,
            beneath: None,
            strategy: Strategy::default(),
            overwrite: None,
            include: Vec::new(),
            exclude: Vec::new(),
            components: Vec::new(),
            sources: Vec::new(),
            dry_run: false,
            verify: true,
            sparse: false,
            owner: Owner::default(),
            threads: 0,
            restore_point: None,
            undoes: None,
            committed: None,
        }
    }
}

impl RestoreOptions {
    /// The overwrite mode in force.
    pub(crate) fn mode(&self) -> Result<Overwrite> {
        let default = if self.strategy == Strategy::Merge { Overwrite::Never } else { Overwrite::Always };
        let mode = self.overwrite.unwrap_or(default);
        if self.strategy == Strategy::Replace && matches!(mode, Overwrite::IfNewer | Overwrite::Never) {
            return Err(Error::Invalid(
                "strategy replace makes the target the same as the snapshot: use always or if-changed"
                    .to_owned(),
            ));
        }
        Ok(mode)
    }
}
