//! One restore from beginning to end: the order of its steps, and the way back from each.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, io};

use chronos_store::Monitor;

use crate::error::{Error, Result};
use crate::path::{TreePath, printable};
use crate::record::{Manifest, PathError};
use crate::restore::chosen::Walk;
use crate::restore::exchange;
use crate::restore::journal::{Journal, Record};
use crate::restore::metadata::{Attributes, Owners, Tally};
use crate::restore::options::{Overwrite, RestoreOptions, Strategy};
use crate::restore::place::{Place, Steps};
use crate::restore::plan::{Action, Plan, Planner};
use crate::restore::recover;
use crate::restore::report::{RecoveredOutcome, RestorePlan, RestoreReport, RestoreStatus};
use crate::restore::select::Selection;
use crate::restore::standing::Standing;
use crate::restore::supply::Supply;
use crate::restore::write::Builder;
use crate::shown::counted;

/// What one restore needs.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) supply: &'a dyn Supply,
    pub(crate) options: &'a RestoreOptions,
    /// What the snapshot says of itself, if it is known.
    pub(crate) manifest: Option<&'a Manifest>,
    /// Roots of the snapshot.
    pub(crate) roots: Vec<TreePath>,
    /// What the snapshot could not read: [`Strategy::Replace`] leaves that alone.
    pub(crate) unread: Vec<String>,
    /// Whether the chosen path is a folder.
    pub(crate) is_folder: bool,
    /// The new place if none was named.
    pub(crate) default: PathBuf,
    pub(crate) state: &'a Path,
    /// Names the journal and what is built; unique.
    pub(crate) id: String,
    /// Folders that are never removed.
    pub(crate) own: Vec<PathBuf>,
    pub(crate) monitor: &'a dyn Monitor,
    pub(crate) steps: Arc<Steps>,
}

/// What a restore works with once it is planned.
struct Work<'a> {
    target: PathBuf,
    selection: &'a Selection,
    owners: &'a Owners,
    mode: Overwrite,
    plan: Plan,
    standing: Standing,
    shown: RestorePlan,
    restore_point: Option<String>,
    notes: Vec<String>,
}

/// What was done.
#[derive(Default)]
struct Done {
    files: u64,
    bytes: u64,
    problems: Vec<PathError>,
    notes: Vec<String>,
    damaged: bool,
}

impl Job<'_> {
    /// Does it.
    pub(crate) fn run(&self) -> Result<RestoreReport> {
        let options = self.options;
        let mode = options.mode()?;
        let selection = Selection::new(options, self.is_folder, self.roots.clone(), self.manifest)?;
        let owners = Owners::load(options.owner);
        let target = self.target()?;
        let mut notes = Vec::new();
        if !options.dry_run {
            notes = self.recover()?;
        }
        self.refuse_own(&target)?;
        if !self.unread.is_empty() {
            notes.push(format!(
                "{} things that the snapshot could not read are left as they are",
                self.unread.len()
            ));
        }
        let missing = self.missing_folders(&target)?;
        let absent = !missing.is_empty();
        let place =
            if absent { Place::absent(&target, Arc::clone(&self.steps))? } else { self.open(&target)? };
        if options.strategy == Strategy::NewLocation && !absent {
            Self::check_empty(&place)?;
        }
        self.monitor.phase("plan");
        let mut planner = Planner::new(&place, &selection, &owners, options.strategy, mode);
        planner.prefix = format!(".chronos-restore-{}", self.id);
        planner.own = self.own_folders();
        planner.spared = self.unread.iter().cloned().collect();
        planner.undoes.clone_from(&options.undoes);
        planner.in_place = options.to.is_none();
        planner.absent = absent;
        planner.shows = options.dry_run;
        let plan = planner.run(Walk::new(self.supply, &selection))?;
        if !plan.chosen && !plan.damaged && !selection.is_whole() {
            return Err(self.nothing_chosen(&selection));
        }
        notes.extend(selection.without_place().map(|path| {
            format!("{path} came from no file and has no original place: `--to FOLDER` restores it elsewhere")
        }));
        let standing = Standing::of(&place, &plan)?;
        let shown = RestorePlan { standing: standing.hash(), ..shown(&target, &plan, &selection) };
        let mut work = Work {
            target,
            selection: &selection,
            owners: &owners,
            mode,
            plan,
            standing,
            shown,
            restore_point: None,
            notes,
        };
        if options.dry_run {
            return Ok(Self::report(options, work, None));
        }
        if let (Some(make), true) = (&options.restore_point, options.strategy != Strategy::NewLocation) {
            work.restore_point = (make.0)(&work.shown)?;
        }
        let done = self.execute(&work, &missing)?;
        Ok(Self::report(options, work, Some(done)))
    }

    /// Device and inode of the program's own folders.
    fn own_folders(&self) -> Vec<(u64, u64)> {
        // A folder that is not there holds nothing that could be overwritten.
        self.own.iter().filter_map(|p| fs::metadata(p).ok()).map(|m| (m.dev(), m.ino())).collect()
    }

    /// Nothing is restored into a repository, a cache or a state folder.
    fn refuse_own(&self, target: &Path) -> Result<()> {
        let own = self.own_folders();
        let is_own = |p: &&Path| fs::metadata(p).is_ok_and(|m| own.contains(&(m.dev(), m.ino())));
        match target.ancestors().find(is_own) {
            Some(folder) => Err(Error::Refused(format!(
                "{} lies in {}, a folder of chronos itself (a repository, its cache or state); nothing was restored",
                printable(target.as_os_str().as_bytes()),
                printable(folder.as_os_str().as_bytes())
            ))),
            None => Ok(()),
        }
    }

    fn nothing_chosen(&self, selection: &Selection) -> Error {
        let options = self.options;
        if let Some(path) = selection.without_place().next() {
            return Error::Refused(format!(
                "{path} came from no file and has no original place; `--to FOLDER` restores it elsewhere"
            ));
        }
        let Some(manifest) = self.manifest.filter(|_| !options.components.is_empty()) else {
            return Error::Refused(
                "nothing in the snapshot fits the filters; nothing was restored".to_owned(),
            );
        };
        let known = manifest.sources.iter().flat_map(|s| [s.component(), &s.name]);
        let known: BTreeSet<&str> = known.chain([manifest.target.as_str()]).collect();
        let known: Vec<String> = known.iter().map(|k| printable(k.as_bytes())).collect();
        Error::Invalid(format!(
            "the snapshot has no component {}; it has {}, and the folders and files directly below its roots",
            options.components.join(", "),
            known.join(", ")
        ))
    }

    /// The folder that is restored into, absolute.
    fn target(&self) -> Result<PathBuf> {
        let given = match (&self.options.to, self.options.strategy) {
            (Some(to), _) => to.as_path(),
            (None, Strategy::NewLocation) => self.default.as_path(),
            (None, _) => Path::new("/"),
        };
        std::path::absolute(given).map_err(|e| Error::file(given, e))
    }

    fn recover(&self) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        for recovered in recover::recover(self.state, &self.steps)? {
            let path = printable(recovered.path.as_os_str().as_bytes());
            match recovered.outcome {
                RecoveredOutcome::Undone => {
                    notes.push(format!("an interrupted restore into {path} was undone"));
                }
                RecoveredOutcome::Finished => {
                    notes.push(format!("an interrupted restore into {path} was finished"));
                }
                RecoveredOutcome::Failed(why) => {
                    notes.push(format!("an interrupted restore into {path} could not be undone: {why}"));
                }
                RecoveredOutcome::Running => {}
            }
        }
        Ok(notes)
    }

    fn check_empty(place: &Place) -> Result<()> {
        let root = TreePath::root();
        let names = place.names(&root).map_err(|e| place.error(&root, e))?;
        if names.is_empty() {
            return Ok(());
        }
        Err(Error::Refused(format!(
            "{} is not empty: name a new folder, or choose overwrite, replace or merge",
            place.show(&root)
        )))
    }

    /// Carries the plan out; whatever fails is taken back.
    fn execute(&self, work: &Work<'_>, missing: &[PathBuf]) -> Result<Done> {
        let mut journal = self.journal(&work.target, missing)?;
        let place = match self.make_target(&work.target, missing) {
            Ok(place) => place,
            Err(cause) => {
                let undone =
                    recover::remove_made(journal.records(), &self.steps).and_then(|()| journal.remove());
                return Err(failed(cause, undone));
            }
        };
        let mut done = match self.change(work, &place, &mut journal) {
            Ok(done) => done,
            Err(cause) => return Err(failed(cause, recover::undo(&place, journal, &self.steps))),
        };
        self.monitor.phase("finish");
        match exchange::finish(&place, journal.records()).and_then(|()| journal.remove()) {
            Ok(()) => {}
            Err(e) => done.problems.push(PathError {
                path: place.show(&TreePath::root()),
                error: format!("restored, but not everything kept for undoing could be removed: {e}"),
            }),
        }
        Ok(done)
    }

    /// A new place holds nothing that could be lost, so there a state folder that cannot be written stops nothing.
    fn journal(&self, target: &Path, missing: &[PathBuf]) -> Result<Journal> {
        match Journal::create(self.state, &self.id, target, missing) {
            Err(Error::File { source, .. })
                if self.options.strategy == Strategy::NewLocation
                    && matches!(
                        source.kind(),
                        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
                    ) =>
            {
                Ok(Journal::in_memory(target, missing))
            }
            other => other,
        }
    }

    fn make_target(&self, target: &Path, missing: &[PathBuf]) -> Result<Place> {
        let beneath = self.beneath()?;
        for folder in missing {
            let made = match &beneath {
                Some(beneath) => beneath.make_plain_folder(&below(beneath, folder)?),
                None => self.steps.begin().and_then(|()| fs::DirBuilder::new().mode(0o777).create(folder)),
            };
            made.map_err(|e| Error::file(folder, e))?;
        }
        self.open(target)
    }

    /// The folder from which on no link is followed.
    fn beneath(&self) -> Result<Option<Place>> {
        self.options.beneath.as_deref().map(|root| Place::open(root, Arc::clone(&self.steps))).transpose()
    }

    fn open(&self, target: &Path) -> Result<Place> {
        match self.beneath()? {
            Some(beneath) => beneath.within(&below(&beneath, target)?).map_err(|e| Error::file(target, e)),
            None => Place::open(target, Arc::clone(&self.steps)),
        }
    }

    /// The folders that must be made so that `target` exists, outermost first.
    fn missing_folders(&self, target: &Path) -> Result<Vec<PathBuf>> {
        let beneath = self.beneath()?;
        let mut missing = Vec::new();
        for folder in target.ancestors() {
            let is_missing = match &beneath {
                Some(beneath) if folder == beneath.path() => false,
                Some(beneath) => {
                    let found = beneath.look(&below(beneath, folder)?);
                    found.map_err(|e| Error::file(folder, e))?.is_none()
                }
                None => fs::metadata(folder).is_err_and(|e| e.kind() == io::ErrorKind::NotFound),
            };
            if !is_missing {
                break;
            }
            missing.push(folder.to_owned());
        }
        missing.reverse();
        Ok(missing)
    }

    /// Everything up to the commit.
    fn change(&self, work: &Work<'_>, place: &Place, journal: &mut Journal) -> Result<Done> {
        let plan = &work.plan;
        let records = self.records(work, place)?;
        let folders = exchange::folders(&records);
        journal.append(&records)?;
        self.monitor.phase("restore");
        self.monitor.total(plan.entries.len() as u64 + plan.inside, plan.bytes);
        let (tally, unkept, bytes) = (Tally::default(), Tally::default(), AtomicU64::new(0));
        let mut builder = Builder {
            place,
            plan,
            supply: self.supply,
            selection: work.selection,
            owners: work.owners,
            monitor: self.monitor,
            strategy: self.options.strategy,
            sparse: self.options.sparse,
            verify: self.options.verify,
            at_once: false,
            threads: match self.options.threads {
                0 => std::thread::available_parallelism().map_or(1, usize::from),
                given => given,
            },
            tally: &tally,
            unkept: &unkept,
            copied: BTreeSet::new(),
            failed: BTreeMap::new(),
            remembered: None,
            problems: Vec::new(),
            damaged: false,
            files: 0,
            bytes: &bytes,
        };
        builder.run()?;
        work.standing.check(place)?;
        let error = |e: io::Error| place.error(&TreePath::root(), e);
        // Nothing built need be durable yet: until the commit a loss of power ends in undoing, which goes by inodes.
        journal.append(&[Record::Built { inodes: builder.inodes()? }])?;
        self.monitor.phase("switch");
        exchange::switch(place, journal.records())?;
        exchange::set_new(place, journal.records(), &tally)?;
        place.sync(&folders).map_err(error)?;
        journal.append(&[Record::Committed])?;
        if let Some(tell) = &self.options.committed {
            (tell.0)();
        }
        let mut notes = plan.notes.clone();
        notes.extend(tally.lines());
        notes.extend(unkept.lines());
        Ok(Done {
            files: builder.files,
            bytes: bytes.load(Ordering::Relaxed),
            problems: builder.problems,
            notes,
            damaged: builder.damaged,
        })
    }

    /// All that the journal must know before the first step.
    fn records(&self, work: &Work<'_>, place: &Place) -> Result<Vec<Record>> {
        let plan = &work.plan;
        let mut records = Vec::new();
        for unit in &plan.units {
            let (path, temp, aside) = (unit.path.clone(), unit.temp.clone(), unit.aside.clone());
            records.push(Record::Unit { path, temp, aside, old: unit.old });
        }
        for removal in &plan.removals {
            let (path, aside) = (removal.path.clone(), removal.aside.clone());
            records.push(Record::Removal { path, aside, old: removal.old });
        }
        let mut staying: BTreeMap<TreePath, Option<Attributes>> = BTreeMap::new();
        for folder in exchange::folders(&records) {
            staying.insert(folder, None);
        }
        let keeps = self.options.strategy == Strategy::Merge || work.mode == Overwrite::Never;
        for entry in &plan.entries {
            let settled = entry.is_dir() && !keeps && !entry.leads && staying.contains_key(&entry.path);
            if let (Some(node), true) = (&entry.node, entry.action == Action::Attributes || settled) {
                staying.insert(entry.path.clone(), Some(Attributes::of(node, work.owners)));
            }
        }
        for (path, new) in staying {
            let error = |e: io::Error| place.error(&path, e);
            let handle = place.handle(&path).map_err(error)?;
            let stat = crate::source::Stat::of(&handle).map_err(error)?;
            let old = Attributes::read(&handle).map_err(error)?;
            records.push(Record::Attributes { path, inode: stat.inode, old, new });
        }
        Ok(records)
    }

    fn report(options: &RestoreOptions, work: Work<'_>, done: Option<Done>) -> RestoreReport {
        let is_planned = done.is_none();
        let done = done.unwrap_or_default();
        let mut errors = work.plan.problems;
        errors.extend(done.problems);
        let mut notes = work.notes;
        notes.extend(done.notes);
        let status = match (is_planned, work.plan.damaged || done.damaged, errors.is_empty()) {
            (true, ..) => RestoreStatus::Planned,
            (false, true, _) => RestoreStatus::Damaged,
            (false, false, false) => RestoreStatus::Partial,
            (false, false, true) => RestoreStatus::Completed,
        };
        let place = match options.to {
            None if options.strategy != Strategy::NewLocation => "their original place".to_owned(),
            _ => printable(work.target.as_os_str().as_bytes()),
        };
        let message = if is_planned {
            let plan = &work.shown;
            format!(
                "would create {}, overwrite {}, change the attributes of {} and remove {} entries in {place}",
                plan.creates.len(),
                plan.overwrites.len(),
                plan.attributes.len(),
                plan.removes.len()
            )
        } else if errors.is_empty() {
            format!("restored {} into {place}", counted(done.files, "file"))
        } else {
            format!(
                "restored {} into {place}; {} could not be restored",
                counted(done.files, "file"),
                counted(errors.len(), "thing")
            )
        };
        RestoreReport {
            status,
            planned: is_planned.then(|| work.shown.clone()),
            path: work.target,
            strategy: options.strategy,
            restore_point: work.restore_point,
            files_restored: done.files,
            bytes_written: done.bytes,
            message,
            errors,
            notes,
            plan: work.shown,
        }
    }
}

fn failed(cause: Error, undone: Result<()>) -> Error {
    match undone {
        Ok(()) => Error::Undone(Box::new(cause)),
        Err(undo) => Error::NotUndone { cause: Box::new(cause), undo: Box::new(undo) },
    }
}

/// A folder as one below another.
fn below(beneath: &Place, folder: &Path) -> Result<TreePath> {
    let rest = folder.strip_prefix(beneath.path()).map_err(|_| {
        let (folder, root) = (folder.as_os_str().as_bytes(), beneath.path().as_os_str().as_bytes());
        Error::Refused(format!("{} is not below {}", printable(folder), printable(root)))
    })?;
    TreePath::new(rest.as_os_str().as_bytes())
}

fn shown(target: &Path, plan: &Plan, selection: &Selection) -> RestorePlan {
    let mut shown = RestorePlan {
        target: target.to_owned(),
        bytes: plan.bytes,
        problems: plan.problems.clone(),
        removes: plan.removals.iter().map(|r| r.path.clone()).collect(),
        covers: selection.covered(),
        ..RestorePlan::default()
    };
    for entry in &plan.entries {
        let path = entry.path.clone();
        match (entry.action, entry.found.is_some()) {
            (Action::Keep, _) => {}
            (Action::Attributes, _) => shown.attributes.push(path),
            (Action::Build(_), true) => shown.overwrites.push(path),
            (Action::Build(_), false) => shown.creates.push(path),
        }
    }
    shown.creates.extend(plan.creates.iter().cloned());
    shown.creates.sort_unstable();
    if !selection.is_whole() {
        shown.narrow();
    }
    shown
}
