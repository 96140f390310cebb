//! Backing up: what is asked for becomes a plan, which is refused before anything is made, and a plan becomes a snapshot.

mod answer;
mod ended;
mod made;
mod record;
mod run;
mod several;

use std::collections::BTreeMap;

use chronos_snapshot::{BackupReport, ChangeTest, FileOptions, Outcome, Requirement, Source};

use crate::catalog::target_name;
use crate::config::OWN_TARGET;
use crate::error::{Error, Result};
use crate::operations::cleanup::Decision;
use crate::sources::{self, LIST_THREADS, Selection, Setting, Watched, moment};
use crate::targets::DEFAULT_TARGET;
use crate::workplace::Workplace;

pub use answer::{Answer, AnswerFile};
pub(crate) use answer::{files_of, megabytes};
pub use ended::Unwritten;
pub use made::{Made, default_description, make};
pub use run::RUN_ID;
pub use several::{ALL, Part, Several, SeveralRequest, claim_run, several};

/// Compression where nobody chose any: fast, and most of what there is to gain.
pub const LEVEL: i32 = 3;

/// Folder of copies of databases while they are read, in the cache folder: after a crash the next run removes what is left.
const SCRATCH: &str = "scratch";

/// What is asked for.
#[derive(Clone, Debug)]
pub struct BackupRequest {
    /// Target, or one of its other names; without sources of the request it must be configured.
    pub target: Option<String>,
    /// Why it is made.
    pub tier: String,
    /// Which sources of a configured target it takes.
    pub selection: Selection,
    /// Name.
    pub name: Option<String>,
    /// Description.
    pub description: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Free metadata.
    pub metadata: BTreeMap<String, String>,
    /// Host that the files are of, if not this one.
    pub host: Option<String>,
    /// Time of the snapshot in nanoseconds since 1970, if not now.
    pub time: Option<i128>,
    /// The snapshot that it is compared with, by any of its names; else the newest of the same kind.
    pub parent: Option<String>,
    /// How a changed file is found.
    pub changes: ChangeTest,
    /// What happens with the outcome.
    pub outcome: Outcome,
    /// Compression, 1 (fast) to 19 (small).
    pub level: i32,
    /// Rules for files that are added to those of the target.
    pub rules: FileOptions,
    /// The run over several targets that it is part of.
    pub run_id: Option<String>,
    /// Whoever asks tries again what may go well in a while: such a failure stands in the history and is not told.
    pub is_tried_again: bool,
    /// Where it is kept how a run ended that cannot be written: somebody writes it later.
    pub unwritten: Option<Unwritten>,
}

impl Default for BackupRequest {
    fn default() -> Self {
        Self {
            target: None,
            tier: "manual".to_owned(),
            selection: Selection::default(),
            name: None,
            description: String::new(),
            tags: Vec::new(),
            metadata: BTreeMap::new(),
            host: None,
            time: None,
            parent: None,
            changes: ChangeTest::default(),
            outcome: Outcome::default(),
            level: LEVEL,
            rules: FileOptions { threads: LIST_THREADS, ..FileOptions::default() },
            run_id: None,
            is_tried_again: false,
            unwritten: None,
        }
    }
}

impl BackupRequest {
    /// Whether a failure is not told, since another try may follow.
    fn leaves_untold(&self, error: &Error) -> bool {
        self.is_tried_again && error.backup_id().is_some() && error.is_transient()
    }
}

/// A backup that can be begun.
#[derive(Debug)]
pub struct Planned {
    request: BackupRequest,
    /// Name of the target.
    target: String,
    /// Whether the sources are those of a configured target: then its runs take turns and are in the history.
    is_configured: bool,
    /// Whether the target keeps to limits of its own after every backup.
    has_limits: bool,
    sources: Vec<Box<dyn Source>>,
    scope: Vec<String>,
    /// What the sources have to give.
    requirements: BTreeMap<String, Requirement>,
    watched: Watched,
}

/// What a backup did.
#[derive(Debug)]
pub struct Backup {
    /// The report of the snapshot.
    pub report: BackupReport,
    /// What went past the limits of the target, or why that could not be seen to. The snapshot is safe in both cases.
    pub removed: Result<Vec<Decision>>,
}

/// Plans a backup of `given`, or of the sources of the configured target if nothing is given.
///
/// # Errors
/// [`Error::UnknownTarget`], [`Error::NothingNamed`], [`Error::NothingOfType`], and what sources say that cannot be made.
pub fn plan(workplace: &Workplace, request: BackupRequest, given: Vec<Box<dyn Source>>) -> Result<Planned> {
    let config = &workplace.config;
    let own = config.own_now().filter(|own| request.target.as_ref() == Some(&own.name));
    let found = own.as_ref().or_else(|| request.target.as_deref().and_then(|name| config.target(name)));
    let target = match &request.target {
        Some(name) => target_name(config, name),
        None => DEFAULT_TARGET.to_owned(),
    };
    let has_limits = found.is_some_and(|t| t.preset.is_some());
    let mut requirements = BTreeMap::new();
    let mut watched = Watched::default();
    let (sources, is_configured, scope) = match found {
        _ if !given.is_empty() && target == OWN_TARGET => {
            let why =
                "chronos is the built-in target of the configuration and state of this host; name another";
            return Err(Error::Value { place: "target".to_owned(), why: why.to_owned() });
        }
        _ if !given.is_empty() => (given, false, Vec::new()),
        Some(found) => {
            let made = sources::of_target(found, &request.selection, &setting(workplace, &request.rules))?;
            watched = made.watched;
            requirements = sources::requirements(found, &request.selection);
            (made.sources, true, sources::scope(found, &request.selection))
        }
        None => {
            return Err(match request.target {
                Some(target) => Error::UnknownTarget { target },
                None => Error::NothingNamed,
            });
        }
    };
    Ok(Planned { request, target, is_configured, has_limits, sources, scope, requirements, watched })
}

impl Planned {
    /// A backup of sources that stand for some of a target's, whatever the target has to give: whoever asks has its turn.
    pub(crate) fn given(
        target: String,
        request: BackupRequest,
        sources: Vec<Box<dyn Source>>,
        scope: Vec<String>,
    ) -> Self {
        Self {
            request,
            target,
            is_configured: false,
            has_limits: false,
            sources,
            scope,
            requirements: BTreeMap::new(),
            watched: Watched::default(),
        }
    }
}

/// What sources are made with: the rules of a request, without the program's own folders, and the present moment.
pub fn setting(workplace: &Workplace, rules: &FileOptions) -> Setting {
    Setting {
        rules: FileOptions { own: workplace.own_folders(), ..rules.clone() },
        now: moment(workplace.env.clock.now()),
        variables: workplace.variables().clone(),
        secrets: workplace.config.secret_variables(),
        scratch: workplace.places.cache.join(SCRATCH),
    }
}
