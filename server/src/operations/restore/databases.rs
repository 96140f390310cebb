//! Databases of a PostgreSQL server: in the place of the live ones, exactly as they were, or as new ones beside them.
//!
//! Each is restored into a new database first, compared, and takes the name when it is whole; where that cannot be, in place in one
//! transaction. So each succeeds or fails alone.

use std::cell::RefCell;
use std::io::Write;

use chronos_connect::postgres::{
    Client, DatabasePlan, DatabaseRestore, Existing, Held, Part, Unfinished, Way, hold_database,
    plan_database, restore_database_noting,
};
use chronos_connect::{Error as Failed, Result as Outcome};
use chronos_snapshot::{ByteRange, FileOptions, Source, SourceResult, Strategy, Tree, TreePath};

use crate::config::{self, RestoreWay, SourceKind, TargetConfig};
use crate::error::{Error, Result};
use crate::operations::backup::setting;
use crate::operations::restore::Task;
use crate::operations::restore::acts::{Act, Noted};
use crate::operations::restore::done::{DatabaseDone, StepDone, StepStatus};
use crate::operations::restore::plan::StepPlan;
use crate::operations::restore::record::Record;
use crate::operations::restore::safety::{Safety, Width};
use crate::operations::restore::step::{LeftOut, Step};
use crate::sources::{Selection, Setting, of_target, postgres_client};

/// Ending of the archive of a database.
const ENDING: &[u8] = b".dump";
/// The roles of a server.
const GLOBALS: &[u8] = b"globals.sql";
/// Longest text of roles that is read.
const GLOBALS_MAX: u64 = 64 << 20;
/// Everything.
const WHOLE: ByteRange = ByteRange::ALL;
/// Bytes of a name that PostgreSQL keeps whole, less a time.
const NAME_MAX: usize = 63 - 36;

/// The databases of a source.
#[derive(Debug)]
struct Databases<'t> {
    task: &'t Task<'t>,
    plan: StepPlan,
    component: String,
    live: config::Source,
    setting: Setting,
    all: Vec<One>,
}

/// A stored database and where it goes.
#[derive(Debug)]
struct One {
    archive: TreePath,
    bytes: u64,
    options: DatabaseRestore,
    exists: bool,
    /// What keeps others from writing it.
    held: RefCell<Option<Held>>,
}

/// The step of a part of a database: which one that is is told by what it has.
pub(super) fn part<'t>(task: &'t Task<'t>) -> Result<Box<dyn Step + 't>> {
    let wrong = |why: String| wrong_part(&task.part, why);
    let mut found = Vec::new();
    for source in &task.sources {
        let Some(live) = task.source(source, SourceKind::Postgres) else { continue };
        let client = postgres_client(live, &setting(task.workplace, &FileOptions::default()))?;
        for (archive, _, name) in archives(&task.tree, &client, &TreePath::new(source.name.as_str())?)? {
            let list = client.list(|into| content(&task.tree, &archive, into))?;
            let part = task.part.within(&list).map_err(|e| wrong(e.to_string()))?;
            // What was not there before goes.
            let part = if task.undone.is_some() { task.part.clone() } else { part };
            if !part.is_all() {
                found.push((source, archive, name, part));
            }
        }
    }
    let backup = &task.snapshot.manifest.backup_id;
    match found.as_slice() {
        [(source, archive, name, part)] => {
            let lacks =
                task.part.tables.len() > part.tables.len() || task.part.schemas.len() > part.schemas.len();
            if lacks {
                let has = part
                    .schemas
                    .iter()
                    .chain(&part.tables)
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join(", ");
                return Err(wrong(format!(
                    "database {name} of {backup} has only {has} of what is asked for"
                )));
            }
            step_of(task, source, Some((archive, part)))
        }
        [] => {
            let asked = task.part.schemas.iter().chain(&task.part.tables);
            let asked = asked.map(String::as_str).collect::<Vec<_>>().join(", ");
            Err(wrong(format!("no database of target {} has {asked} in {backup}", task.target)))
        }
        several => {
            let names: Vec<&str> = several.iter().map(|(_, _, name, _)| &**name).collect();
            let names = names.join(", ");
            Err(wrong(format!(
                "it is in several databases: {names}. One restore takes a part of one; components names its source"
            )))
        }
    }
}

/// What is wrong with the part that was asked for.
pub(super) fn wrong_part(part: &Part, why: String) -> Error {
    let place = if part.tables.is_empty() { "schemas" } else { "tables" };
    Error::Value { place: place.to_owned(), why }
}

/// The step of a source of databases.
pub(super) fn databases<'t>(task: &'t Task<'t>, source: &SourceResult) -> Result<Box<dyn Step + 't>> {
    step_of(task, source, None)
}

/// The same; `only`: this part of one of them.
fn step_of<'t>(
    task: &'t Task<'t>,
    source: &SourceResult,
    only: Option<(&TreePath, &Part)>,
) -> Result<Box<dyn Step + 't>> {
    let left_out =
        |why: String| -> Result<Box<dyn Step + 't>> { Ok(Box::new(LeftOut(task.left_out(source, why)))) };
    let Some(live) = task.source(source, SourceKind::Postgres) else {
        return left_out(format!("target {} has no PostgreSQL that is named {}", task.target, source.name));
    };
    let setting = setting(task.workplace, &FileOptions::default());
    let client = postgres_client(live, &setting)?;
    let folder = TreePath::new(source.name.as_str())?;
    let globals = globals(&task.tree, &folder)?;
    let mut step = Databases {
        task,
        plan: StepPlan {
            sources: vec![source.name.clone()],
            into: vec![live.name.clone()],
            kind: "postgres".to_owned(),
            place: client.connection.shown(),
            tables: only.map(|(_, part)| part.tables.clone()).unwrap_or_default(),
            schemas: only.map(|(_, part)| part.schemas.clone()).unwrap_or_default(),
            not_exact: source.error.iter().cloned().collect(),
            ..StepPlan::default()
        },
        component: source.component().to_owned(),
        live: live.clone(),
        setting,
        all: Vec::new(),
    };
    let stored = archives(&task.tree, &client, &folder)?;
    if stored.is_empty() {
        return left_out(Task::absent(source));
    }
    let is_alone = stored.len() == 1;
    for (archive, bytes, name) in stored {
        if only.is_some_and(|(meant, _)| *meant != archive) {
            continue;
        }
        let Some(database) = step.place_of(&client, &name, is_alone) else {
            return left_out(format!(
                "database {name} is none of target {}: {}",
                task.target, step.plan.place
            ));
        };
        let existing = if task.strategy == Strategy::NewLocation { Existing::Refuse } else { Existing::Keep };
        let way = live.restore.map(|way| match way {
            RestoreWay::Swap => Way::Swap,
            RestoreWay::InPlace => Way::InPlace,
        });
        let options = DatabaseRestore {
            globals: globals.clone(),
            way,
            ends_sessions: live.end_sessions,
            part: only.map(|(_, part)| part.clone()).unwrap_or_default(),
            ..DatabaseRestore::new(client.clone(), database, existing)
        };
        step.look(One { archive, bytes, options, exists: false, held: RefCell::default() })?;
    }
    if step.all.is_empty() {
        return left_out(
            "all its databases are there, and strategy merge leaves them as they are".to_owned(),
        );
    }
    Ok(Box::new(step))
}

/// The archives of a source: where they are, how long, and of which database.
pub(crate) fn archives(
    tree: &Tree,
    client: &Client,
    folder: &TreePath,
) -> Result<Vec<(TreePath, u64, String)>> {
    let mut found = Vec::new();
    for entry in tree.children(folder) {
        let (path, node) = entry?;
        if path.name().ends_with(ENDING) {
            let list = client.list(|into| content(tree, &path, into))?;
            found.push((path, node.size(), list.database));
        }
    }
    Ok(found)
}

/// The stored roles, if there are any.
pub(crate) fn globals(tree: &Tree, folder: &TreePath) -> Result<Option<String>> {
    let path = folder.join(GLOBALS)?;
    let Some(node) = tree.get(&path)? else { return Ok(None) };
    if node.size() > GLOBALS_MAX {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    tree.cat(&path, WHOLE, &mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn content(tree: &Tree, path: &TreePath, into: &mut dyn Write) -> Outcome<()> {
    tree.cat(path, WHOLE, into).map(drop).map_err(Failed::from)
}

/// The databases of a source.
pub(crate) fn configured(live: &config::Source, client: &Client) -> Vec<String> {
    match &*live.databases {
        // Without a name the server takes that of the user.
        [] => {
            let own = client.connection.database.clone().or_else(|| client.connection.user.clone());
            own.into_iter().collect()
        }
        named => named.to_vec(),
    }
}

/// The database of a source that a stored one goes to: that of its name; `may_be_only`: else the only one.
pub(crate) fn database_of(
    live: &config::Source,
    client: &Client,
    stored: &str,
    may_be_only: bool,
) -> Option<String> {
    match &*configured(live, client) {
        names if names.iter().any(|n| n == stored) => Some(stored.to_owned()),
        [one] if may_be_only => Some(one.clone()),
        _ => None,
    }
}

impl Databases<'_> {
    /// The database that a stored one goes to. In place, only configured ones are written.
    fn place_of(&self, client: &Client, stored: &str, is_alone: bool) -> Option<String> {
        if self.task.strategy == Strategy::NewLocation {
            let stamp = self.task.stamp();
            let mut end = stored.len().min(NAME_MAX);
            while !stored.is_char_boundary(end) {
                end -= 1;
            }
            return Some(format!("{}_{stamp}", stored.get(..end).unwrap_or_default()));
        }
        database_of(&self.live, client, stored, is_alone && self.task.is_elsewhere())
    }

    /// Finds out what is going to be done with one, and adds it.
    fn look(&mut self, one: One) -> Result<()> {
        let task = self.task;
        let mut from = |into: &mut dyn Write| content(&task.tree, &one.archive, into);
        let plan = plan_database(&one.options, &mut from)?;
        let DatabasePlan { archive, exists, rows, goes, comes, way, drops, stays, seen } = plan;
        let mut one = One { exists, ..one };
        if task.strategy != Strategy::NewLocation {
            // What is written after the snapshot of what is there must not be lost.
            one.options.existing = rows.map_or(Existing::Keep, |rows| Existing::DropIfUntouched { rows });
            one.options.way = Some(way.way);
            one.options.in_place.seen = seen.filter(|_| !task.force);
        }
        let name = &one.options.database;
        if exists && task.strategy == Strategy::Merge {
            self.plan.not_exact.push(format!("database {name} is there, and stays as it is"));
            return Ok(());
        }
        let of = |what: String| format!("{name}: {what}");
        if exists {
            let tables = archive.tables().len();
            let how = match (way.way, way.why) {
                (Way::Swap, _) => String::new(),
                (Way::InPlace, None) => ", in place in one transaction".to_owned(),
                (Way::InPlace, Some(why)) => format!(", in place in one transaction, since {why}"),
            };
            let what = if one.options.part.is_all() { "" } else { "part of " };
            self.plan.overwrites.push(|| format!("{what}database {name}, with {tables} tables{how}"));
        } else {
            let is_new = task.strategy == Strategy::NewLocation;
            let after = if is_new { ", named after the time of the restore" } else { "" };
            self.plan.creates.push(|| format!("database {name}{after}"));
        }
        drops.into_iter().for_each(|what| self.plan.overwrites.push(|| of(what)));
        self.plan.not_exact.extend(stays.into_iter().map(of));
        comes.into_iter().for_each(|what| self.plan.creates.push(|| of(what)));
        goes.into_iter().for_each(|what| self.plan.removes.push(|| of(what)));
        self.plan.bytes += one.bytes;
        self.all.push(one);
        Ok(())
    }
}

impl Step for Databases<'_> {
    fn plan(&self) -> &StepPlan {
        &self.plan
    }

    fn live(&self, _width: Width) -> Result<Vec<Box<dyn Source>>> {
        let there: Vec<String> =
            self.all.iter().filter(|one| one.exists).map(|one| one.options.database.clone()).collect();
        if there.is_empty() {
            return Ok(Vec::new());
        }
        let source =
            config::Source { databases: there, component: Some(self.component.clone()), ..self.live.clone() };
        let alone =
            TargetConfig { name: self.task.target.clone(), sources: vec![source], ..TargetConfig::default() };
        Ok(of_target(&alone, &Selection::default(), &self.setting)?.sources)
    }

    fn hold(&self) -> Result<()> {
        for one in self.all.iter().filter(|one| one.exists) {
            let mut from = |into: &mut dyn Write| content(&self.task.tree, &one.archive, into);
            one.held.replace(hold_database(&one.options, &mut from)?);
        }
        Ok(())
    }

    fn apply(&self, _safety: Option<&Safety>, record: &Record) -> Result<StepDone> {
        let mut done = StepDone::of(&self.plan);
        for one in &self.all {
            let task = self.task;
            let mut from = |into: &mut dyn Write| content(&task.tree, &one.archive, into);
            task.repository.monitor().item(one.options.database.as_bytes());
            let mut noted = None;
            let mut note = |left: &Unfinished| {
                let act = Act::Postgres { source: self.live.name.clone(), left: left.clone() };
                match &noted {
                    Some(noted) => Noted::now(noted, &act),
                    None => noted = Some(Noted::begin(record, task.repository.monitor(), &act)),
                }
                Ok(())
            };
            match restore_database_noting(&one.options, one.held.take(), &mut from, &mut note) {
                Ok(report) => {
                    noted.iter().for_each(Noted::done);
                    done.restored += 1;
                    done.bytes_written += one.bytes;
                    let name = &one.options.database;
                    done.databases.push(DatabaseDone {
                        name: name.clone(),
                        created: !one.exists,
                        tables: report.counted.map_or(report.tables as u64, |counted| counted.tables),
                        rows: report.counted.map(|counted| counted.rows),
                        rows_estimated: report.counted.is_some_and(|counted| !counted.is_exact),
                    });
                    done.notes.extend(report.roles.into_iter().map(|role| format!("role {role} was made")));
                    done.notes.extend(report.notes);
                    for difference in report.differences {
                        done.lacks(format!("database {name}"), format!("it is restored, but {difference}"));
                    }
                }
                Err(error) => {
                    noted.iter().for_each(|noted| noted.failed(&error));
                    if done.restored == 0 {
                        return Err(Error::from(error));
                    }
                    let why = format!(
                        "{} of its databases are back; then {}: {error}",
                        done.restored, one.options.database
                    );
                    return Ok(done.failed(why));
                }
            }
        }
        let status = if done.error_count == 0 { StepStatus::Completed } else { StepStatus::Partial };
        Ok(done.ended(status))
    }
}
