//! Files and configuration: over the places of the target, or everything of a snapshot into a new place.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chronos_snapshot::{
    Committed, FileOptions, FileSource, LabelledSource, Manifest, Node, NodeKind, RestoreOptions,
    RestorePlan, RestorePoint, RestoreReport, Source, SourceResult, Strategy, Tree, TreePath, printable,
    restore,
};

use crate::config::{SourceKind, TargetConfig};
use crate::error::{Error, Result};
use crate::operations::backup::setting;
use crate::operations::restore::Task;
use crate::operations::restore::acts::{Act, Noted};
use crate::operations::restore::done::{StepDone, StepStatus};
use crate::operations::restore::plan::StepPlan;
use crate::operations::restore::record::Record;
use crate::operations::restore::safety::{Safety, Width};
use crate::operations::restore::step::{LeftOut, Step};
use crate::sources::{LIST_THREADS, Selection, walked};

/// Files over the places of the target: all of them or none, unless their places are not those of the snapshot.
#[derive(Debug)]
struct Files<'t> {
    task: &'t Task<'t>,
    plan: StepPlan,
    parts: Vec<Part>,
    live: Vec<Live>,
}

/// What is put back as a whole.
#[derive(Debug)]
struct Part {
    options: RestoreOptions,
    planned: RestorePlan,
}

/// Where a source is.
#[derive(Debug)]
struct Live {
    name: String,
    component: String,
    /// How it is read.
    rules: FileOptions,
}

/// Where the files of a source go.
enum Way {
    /// To where they came from.
    Back,
    /// Each root of the snapshot to another place.
    Moved(Vec<(TreePath, PathBuf)>),
}

/// The steps of the sources that are files.
pub(super) fn in_place<'t>(task: &'t Task<'t>) -> Result<Vec<Box<dyn Step + 't>>> {
    let mut steps: Vec<Box<dyn Step + 't>> = Vec::new();
    let mut step = Files { task, plan: StepPlan::default(), parts: Vec::new(), live: Vec::new() };
    let mut back = Vec::new();
    for source in task.sources.iter().filter(|s| s.kind == "files") {
        match way(task, source) {
            Err(why) => steps.push(Box::new(LeftOut(task.left_out(source, why)))),
            Ok((way, live)) => {
                match way {
                    Way::Back => back.push(source.name.clone()),
                    Way::Moved(roots) => {
                        let one = |(path, to): (TreePath, PathBuf)| RestoreOptions {
                            path,
                            to: Some(to),
                            ..task.options()
                        };
                        step.parts.extend(roots.into_iter().map(one).map(Part::of));
                    }
                }
                step.plan.sources.push(source.name.clone());
                step.plan.into.push(source.name.clone());
                step.plan.not_exact.extend(source.error.clone());
                step.live.push(live);
            }
        }
    }
    if !back.is_empty() {
        step.parts.insert(0, Part::of(RestoreOptions { sources: back, ..task.options() }));
    }
    if !step.parts.is_empty() {
        step.look()?;
        steps.insert(0, Box::new(step));
    }
    Ok(steps)
}

/// The one step that puts everything into a new place.
pub(super) fn new_place<'t>(task: &'t Task<'t>) -> Result<Vec<Box<dyn Step + 't>>> {
    let files = task.sources.iter().filter(|source| !task.is_new_database(source));
    let names: Vec<String> = files.map(|source| source.name.clone()).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let is_all = names.len() == task.snapshot.manifest.sources.len();
    let sources = if is_all { Vec::new() } else { names.clone() };
    let (to, beneath) = (task.place.clone(), task.beneath.clone());
    let options = RestoreOptions { to, beneath, sources, ..task.options() };
    let mut step =
        Files { task, plan: StepPlan::default(), parts: vec![Part::of(options)], live: Vec::new() };
    step.plan.sources = names;
    step.look()?;
    Ok(vec![Box::new(step)])
}

impl Part {
    fn of(options: RestoreOptions) -> Self {
        Self { options, planned: RestorePlan::default() }
    }
}

impl Task<'_> {
    fn options(&self) -> RestoreOptions {
        RestoreOptions { strategy: self.strategy, undoes: self.undoes.clone(), ..RestoreOptions::default() }
    }

    /// A source that cannot be put back.
    pub(super) fn left_out(&self, source: &SourceResult, why: String) -> StepPlan {
        StepPlan {
            sources: vec![source.name.clone()],
            kind: source.kind.clone(),
            place: self.target.clone(),
            left_out: Some(why),
            ..StepPlan::default()
        }
    }
}

/// The roots of a source that the snapshot has.
pub(crate) fn roots(tree: &Tree, manifest: &Manifest, source: &SourceResult) -> Result<Vec<TreePath>> {
    let shown = if manifest.sources.len() == 1 { &manifest.paths } else { &source.paths };
    let mut roots = Vec::new();
    for text in shown {
        for path in TreePath::of_shown(text) {
            if tree.range(&path).next().transpose()?.is_some() {
                roots.push(path);
                break;
            }
        }
    }
    Ok(roots)
}

/// Where a source goes, and how what is there is read; or why it goes nowhere.
fn way(task: &Task<'_>, source: &SourceResult) -> std::result::Result<(Way, Live), String> {
    let target = task.config.ok_or("its target is not configured")?;
    let roots = roots(&task.tree, &task.snapshot.manifest, source).map_err(|e| e.to_string())?;
    if roots.is_empty() {
        return Err(Task::absent(source));
    }
    let reduced = alone(target, source).ok_or_else(|| {
        format!("target {} has no source of files that is named {}", target.name, source.name)
    })?;
    let setting = setting(task.workplace, &FileOptions { threads: LIST_THREADS, ..FileOptions::default() });
    let rules = walked(&reduced, &Selection::default(), &setting).map_err(|e| e.to_string())?;
    let rules = rules.into_iter().next().ok_or("it has no paths")?;
    let places: Vec<TreePath> = rules.roots.iter().filter_map(|path| place(path)).collect();
    let live = |rules| Live { name: source.name.clone(), component: source.component().to_owned(), rules };
    let is_covered = |root: &TreePath| places.iter().any(|place| root.strip(place).is_some());
    if roots.iter().all(is_covered) {
        return Ok((Way::Back, live(rules)));
    }
    let is_elsewhere = task.target != task.snapshot.manifest.target;
    if !is_elsewhere || roots.len() != rules.roots.len() {
        let were: Vec<String> = roots.iter().map(|r| format!("/{r}")).collect();
        let are: Vec<String> = rules.roots.iter().map(|path| shown(path)).collect();
        return Err(format!(
            "its files were at {}, and those of target {} are at {}: strategy new_location restores them elsewhere",
            were.join(", "),
            target.name,
            are.join(", ")
        ));
    }
    let mut moved = Vec::new();
    for (root, to) in roots.into_iter().zip(&rules.roots) {
        moved.push(towards(&task.tree, root, to)?);
    }
    Ok((Way::Moved(moved), live(rules)))
}

/// The content of a folder goes into the other folder; a file keeps its name, and goes beside where the other one is.
fn towards(tree: &Tree, root: TreePath, to: &Path) -> std::result::Result<(TreePath, PathBuf), String> {
    let node = tree.get(&root).map_err(|e| e.to_string())?;
    if node.as_ref().is_none_or(Node::is_dir) {
        return Ok((root, to.to_owned()));
    }
    match (to.parent(), to.file_name()) {
        (Some(folder), Some(name)) if name.as_bytes() == root.name() => Ok((root, folder.to_owned())),
        _ => Err(format!("/{root} is a file of another name than {}", shown(to))),
    }
}

/// An absolute path as one of a snapshot.
fn place(path: &Path) -> Option<TreePath> {
    let path: PathBuf = std::path::absolute(path).ok()?.components().collect();
    TreePath::from_absolute(&path).ok()
}

/// The target with nothing but the source that has this one's place.
fn alone(target: &TargetConfig, source: &SourceResult) -> Option<TargetConfig> {
    let files: Vec<_> = target.sources.iter().filter(|s| s.kind == SourceKind::Files).collect();
    let count = files.len() + usize::from(!target.paths.is_empty());
    let own = || TargetConfig { sources: Vec::new(), ..target.clone() };
    let only = |s: &crate::config::Source| TargetConfig {
        paths: Vec::new(),
        sources: vec![s.clone()],
        ..target.clone()
    };
    if source.name == "files" && !target.paths.is_empty() {
        return Some(own());
    }
    if let Some(found) = files.iter().find(|s| s.name == source.name) {
        return Some(only(found));
    }
    match (count, files.first()) {
        (1, Some(found)) => Some(only(found)),
        (1, None) => Some(own()),
        _ => None,
    }
}

impl Files<'_> {
    /// Finds out what is going to be done.
    fn look(&mut self) -> Result<()> {
        let task = self.task;
        "files".clone_into(&mut self.plan.kind);
        let mut places = Vec::new();
        for part in &mut self.parts {
            let dry = RestoreOptions { dry_run: true, ..part.options.clone() };
            let report = restore(task.repository, &task.snapshot, &dry)?;
            let planned = report.plan;
            let full = |path: &TreePath| shown(&absolute(&planned, path));
            let plan = &mut self.plan;
            planned.creates.iter().for_each(|p| plan.creates.push(|| full(p)));
            planned.overwrites.iter().for_each(|p| plan.overwrites.push(|| full(p)));
            planned.attributes.iter().for_each(|p| plan.attributes.push(|| full(p)));
            planned.removes.iter().for_each(|p| plan.removes.push(|| full(p)));
            plan.bytes += planned.bytes;
            plan.not_exact.extend(planned.problems.iter().map(|p| format!("{}: {}", p.path, p.error)));
            plan.not_exact.extend(report.notes);
            match &part.options.to {
                Some(to) => places.push(shown(to)),
                None => places.extend(self.live.iter().flat_map(|l| l.rules.roots.iter().map(|p| shown(p)))),
            }
            // Of a new place nothing has to be known later, and there it may be long.
            if task.strategy != Strategy::NewLocation {
                part.planned = planned;
                part.planned.creates.sort_unstable();
            }
        }
        places.dedup();
        self.plan.place = places.join(", ");
        Ok(())
    }

    /// Whether everything is taken that stands there, whatever the rules of the target say.
    fn is_whole(&self, width: Width) -> bool {
        width == Width::Whole || self.task.strategy == Strategy::Replace && self.task.undone.is_none()
    }

    /// Puts one part back, unless what stands there is not as it was when that was planned and kept.
    fn put(
        &self,
        part: &Part,
        safety: Option<&Safety>,
        record: &Record,
    ) -> chronos_snapshot::Result<RestoreReport> {
        let (planned, place) = (part.planned.clone(), self.plan.place.clone());
        let tree = safety.map(|safety| safety.tree().clone());
        let is_kept = tree.is_some() || !self.task.force;
        let check = move |now: &RestorePlan| {
            let other = || (now.standing != planned.standing).then(|| place.clone());
            let lost = || if is_kept { stands(now, tree.as_ref()).err() } else { None };
            let why = moved(&planned, now).or_else(lost).or_else(other);
            match why {
                Some(why) => Err(chronos_snapshot::Error::Refused(format!(
                    "{why}: it was changed since the restore was planned; nothing was touched"
                ))),
                None => Ok(None),
            }
        };
        let repository = self.task.repository;
        let id = hex::encode(repository.env().random_bytes::<16>()?);
        let place = part.options.to.as_deref().map_or_else(|| self.plan.place.clone(), shown);
        let noted = Noted::begin(record, repository.monitor(), &Act::Files { id: id.clone(), place });
        let options = RestoreOptions {
            id: Some(id),
            restore_point: Some(RestorePoint(Arc::new(check))),
            committed: Some(Committed(Arc::new(move || noted.done()))),
            ..part.options.clone()
        };
        restore(repository, &self.task.snapshot, &options)
    }
}

impl Step for Files<'_> {
    fn plan(&self) -> &StepPlan {
        &self.plan
    }

    fn live(&self, width: Width) -> Result<Vec<Box<dyn Source>>> {
        let mut sources: Vec<Box<dyn Source>> = Vec::new();
        for live in &self.live {
            let mut options = live.rules.clone();
            if self.is_whole(width) {
                options = FileOptions {
                    roots: options.roots,
                    own: options.own,
                    one_file_system: true,
                    threads: LIST_THREADS,
                    ..FileOptions::default()
                };
                options.roots.extend(self.parts.iter().flat_map(|part| part.planned.roots_before()));
            }
            options.name.clone_from(&live.name);
            options.roots.retain(|root| root.symlink_metadata().is_ok());
            if options.roots.is_empty() {
                continue;
            }
            let source = Box::new(FileSource::new(options)?);
            sources.push(Box::new(LabelledSource::new(source, &live.name, live.component.clone())));
        }
        Ok(sources)
    }

    fn standing(&self) -> Vec<u8> {
        self.parts.iter().flat_map(|part| part.planned.standing).collect()
    }

    fn touches(&self, path: &str) -> bool {
        self.task.strategy != Strategy::NewLocation
            && self.parts.iter().any(|part| part.planned.touches(path))
    }

    fn check_kept(&self, safety: &Safety) -> Result<()> {
        if self.task.strategy == Strategy::NewLocation {
            return Ok(());
        }
        let lost = |why| Error::NoSafety { target: self.task.target.clone(), why, cause: None };
        self.parts.iter().try_for_each(|part| stands(&part.planned, Some(safety.tree())).map_err(lost))
    }

    fn apply(&self, safety: Option<&Safety>, record: &Record) -> Result<StepDone> {
        let mut done = StepDone::of(&self.plan);
        if !self.plan.has_work() && self.task.strategy != Strategy::NewLocation {
            return Ok(done.ended(StepStatus::Unchanged));
        }
        for (number, part) in self.parts.iter().enumerate() {
            let report = match self.put(part, safety, record) {
                Ok(report) => report,
                Err(error) if number == 0 => return Err(error.into()),
                // What the parts before have written stays.
                Err(error) => {
                    return Ok(done.failed(format!("{number} of its places are back; then: {error}")));
                }
            };
            done.restored += report.files_restored;
            done.bytes_written += report.bytes_written;
            done.notes.extend(report.notes);
            report.errors.into_iter().for_each(|e| done.lacks(e.path, e.error));
        }
        let status = if done.error_count == 0 { StepStatus::Completed } else { StepStatus::Partial };
        Ok(done.ended(status))
    }
}

/// What a plan would change that another one would not.
fn moved(planned: &RestorePlan, now: &RestorePlan) -> Option<String> {
    let lists = [
        (&planned.overwrites, &now.overwrites),
        (&planned.attributes, &now.attributes),
        (&planned.removes, &now.removes),
    ];
    for (before, now_list) in lists.into_iter().filter(|(before, now_list)| before != now_list) {
        let new = now_list.iter().find(|path| !before.contains(path));
        let gone = before.iter().find(|path| !now_list.contains(path));
        if let Some(path) = new.or(gone) {
            return Some(shown(&absolute(now, path)));
        }
    }
    let is_new = |path: &&TreePath| planned.creates.binary_search(path).is_err();
    now.creates.iter().find(is_new).map(|path| shown(&absolute(now, path)))
}

/// Fails if something that stands there and is going to be changed is not as it is in the snapshot of what was there before; of what
/// is removed, also what is below it.
fn stands(plan: &RestorePlan, kept: Option<&Tree>) -> std::result::Result<(), String> {
    let stays = plan.overwrites.iter().chain(&plan.attributes).map(|path| (absolute(plan, path), false));
    let goes = plan.removes.iter().map(|path| (absolute(plan, path), true));
    let mut all: Vec<(PathBuf, bool)> = stays.chain(goes).collect();
    while let Some((path, goes)) = all.pop() {
        let now = match path.symlink_metadata() {
            // What is not there cannot be lost.
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            now => now.map_err(|e| format!("{}: {e}", shown(&path)))?,
        };
        let lacking = || format!("{} is not in the snapshot of what is there", shown(&path));
        let at = TreePath::from_absolute(&path).map_err(|e| e.to_string())?;
        let tree = kept.ok_or_else(lacking)?;
        let node = tree.get(&at).map_err(|e| e.to_string())?.ok_or_else(lacking)?;
        let is_file = matches!(node.kind, NodeKind::File(_));
        if is_file != now.is_file()
            || is_file
                && (now.len() != node.size()
                    || (now.mtime(), now.mtime_nsec()) != (node.mtime.seconds, i64::from(node.mtime.nanos)))
        {
            return Err(shown(&path));
        }
        if goes && now.is_dir() {
            let entries = path.read_dir().map_err(|e| format!("{}: {e}", shown(&path)))?;
            for entry in entries {
                all.push((entry.map_err(|e| format!("{}: {e}", shown(&path)))?.path(), true));
            }
        }
    }
    Ok(())
}

fn absolute(plan: &RestorePlan, path: &TreePath) -> PathBuf {
    // The root of what is restored to is itself.
    if path.is_root() { plan.target.clone() } else { plan.target.join(OsStr::from_bytes(path.as_bytes())) }
}

/// A path, for people.
pub(super) fn shown(path: &Path) -> String {
    printable(path.as_os_str().as_bytes())
}
