//! An SQLite database: over the live one, while those who use it are stopped as it is configured.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use chronos_connect::sqlite::{Check, Kept, PutBack, Unfinished, put_back_noting};
use chronos_connect::{Error as Failed, Process};
use chronos_snapshot::{
    ByteRange, FileOptions, FileSource, LabelledSource, Node, Source, SourceResult, Strategy, TreePath,
};

use crate::config::{self, SourceKind, TargetConfig};
use crate::error::Result;
use crate::operations::backup::setting;
use crate::operations::restore::Task;
use crate::operations::restore::acts::{Act, Noted};
use crate::operations::restore::done::{StepDone, StepStatus};
use crate::operations::restore::files::shown;
use crate::operations::restore::plan::StepPlan;
use crate::operations::restore::record::Record;
use crate::operations::restore::safety::{Safety, Width};
use crate::operations::restore::step::{LeftOut, Step};
use crate::sources::{Selection, of_target};

/// Ending of a database in a snapshot.
const ENDING: &[u8] = b".db";
/// What lies beside a database that is in use.
const BESIDE: [&str; 4] = ["", "-wal", "-shm", "-journal"];
/// How long stopping and starting may take.
const COMMAND_LIMIT: Duration = Duration::from_mins(5);
/// Everything.
const WHOLE: ByteRange = ByteRange::ALL;

/// A stored database, and the live one.
#[derive(Debug)]
struct Database<'t> {
    task: &'t Task<'t>,
    plan: StepPlan,
    component: String,
    live: config::Source,
    stored: TreePath,
    node: Node,
}

/// The step of a source that is an SQLite database.
pub(super) fn database<'t>(task: &'t Task<'t>, source: &SourceResult) -> Result<Box<dyn Step + 't>> {
    let left_out =
        |why: String| -> Result<Box<dyn Step + 't>> { Ok(Box::new(LeftOut(task.left_out(source, why)))) };
    let Some(live) = task.source(source, SourceKind::Sqlite) else {
        return left_out(format!(
            "target {} has no SQLite database that is named {}",
            task.target, source.name
        ));
    };
    let folder = TreePath::new(source.name.as_str())?;
    let mut found = None;
    for entry in task.tree.children(&folder) {
        let (path, node) = entry?;
        if path.name().ends_with(ENDING) {
            found = Some((path, node));
        }
    }
    let Some((stored, node)) = found else { return left_out(Task::absent(source)) };
    let place = live.path.clone().unwrap_or_default();
    let is_there = place.symlink_metadata().is_ok();
    if is_there && task.strategy == Strategy::Merge {
        return left_out(format!("{} is there, and strategy merge leaves it as it is", shown(&place)));
    }
    let mut plan = StepPlan {
        sources: vec![source.name.clone()],
        into: vec![live.name.clone()],
        kind: "sqlite".to_owned(),
        place: shown(&place),
        bytes: node.size(),
        not_exact: source.error.iter().cloned().collect(),
        ..StepPlan::default()
    };
    let list = if is_there { &mut plan.overwrites } else { &mut plan.creates };
    list.push(|| shown(&place));
    let component = source.component().to_owned();
    Ok(Box::new(Database { task, plan, component, live: live.clone(), stored, node }))
}

impl Database<'_> {
    fn place(&self) -> PathBuf {
        self.live.path.clone().unwrap_or_default()
    }
}

/// A line for the shell. What it leaves running in the background must not be waited for, and so gets none of its output.
pub(super) fn shell(line: Option<&String>, secrets: &[String]) -> Option<Process> {
    let silent = |line: &String| format!("exec >/dev/null 2>&1; {line}");
    line.map(|line| {
        Process::new(["sh", "-c", &silent(line)]).without(secrets).time_limit(Some(COMMAND_LIMIT))
    })
}

impl Step for Database<'_> {
    fn plan(&self) -> &StepPlan {
        &self.plan
    }

    /// Files that are in use: what was written since is in one of them.
    fn standing(&self) -> Vec<u8> {
        let look = |ending: &&str| {
            let mut name = self.place().into_os_string();
            name.push(ending);
            PathBuf::from(name).symlink_metadata().ok()
        };
        let found = ["", "-wal", "-journal"].iter().filter_map(look);
        let numbers = found
            .flat_map(|m| [m.ino(), m.size(), m.mtime().cast_unsigned(), m.mtime_nsec().cast_unsigned()]);
        numbers.flat_map(u64::to_le_bytes).collect()
    }

    fn can_be_wider(&self) -> bool {
        true
    }

    /// A copy of the database; of one that cannot be read as such its files, as they are.
    fn live(&self, width: Width) -> Result<Vec<Box<dyn Source>>> {
        let place = self.place();
        if place.symlink_metadata().is_err() {
            return Ok(Vec::new());
        }
        let setting = setting(self.task.workplace, &FileOptions::default());
        if width == Width::Ruled {
            let source = config::Source { component: Some(self.component.clone()), ..self.live.clone() };
            let alone = TargetConfig {
                name: self.task.target.clone(),
                sources: vec![source],
                ..TargetConfig::default()
            };
            return Ok(of_target(&alone, &Selection::default(), &setting)?.sources);
        }
        let files = BESIDE.iter().map(|ending| {
            let mut name = place.clone().into_os_string();
            name.push(ending);
            PathBuf::from(name)
        });
        let roots = files.filter(|path| path.symlink_metadata().is_ok()).collect();
        let name = self.live.name.clone();
        let options =
            FileOptions { roots, name: name.clone(), own: setting.rules.own, ..FileOptions::default() };
        let source = Box::new(FileSource::new(options)?);
        Ok(vec![Box::new(LabelledSource::new(source, &name, self.component.clone()))])
    }

    fn apply(&self, _safety: Option<&Safety>, record: &Record) -> Result<StepDone> {
        let done = StepDone::of(&self.plan);
        let secrets = self.task.workplace.config.secret_variables();
        let options = PutBack {
            database: self.place(),
            size: self.node.size(),
            attributes: Some((self.node.mode, self.node.uid, self.node.gid)),
            stop: shell(self.live.stop.as_ref(), &secrets),
            start: shell(self.live.start.as_ref(), &secrets),
            // What was written after the snapshot of what is there is in it alone.
            kept: Kept::Old,
            check: Check::Full,
            required: Vec::new(),
        };
        let task = self.task;
        let mut noted: Option<Noted> = None;
        let mut note = |left: &Unfinished| {
            let act = Act::Sqlite { source: self.live.name.clone(), left: left.clone() };
            match &noted {
                Some(noted) => noted.now(&act),
                None => noted = Some(Noted::begin(record, task.repository.monitor(), &act)),
            }
            Ok(())
        };
        let content =
            |into: &mut dyn Write| task.tree.cat(&self.stored, WHOLE, into).map(drop).map_err(Failed::from);
        let report = put_back_noting(&options, content, &mut note)
            .inspect_err(|error| noted.iter().for_each(|noted| noted.failed(error)))?;
        noted.iter().for_each(Noted::done);
        let note = format!("{} tables, checked", report.checked.tables.len());
        let old = report.old.map(|old| format!("the database that was there is {}", shown(&old)));
        let notes = std::iter::once(note).chain(old).collect();
        let done = StepDone { restored: 1, bytes_written: self.node.size(), notes, ..done };
        Ok(done.ended(StepStatus::Completed))
    }
}
