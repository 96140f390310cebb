//! The way of the entries through a backup: compared with the previous snapshot, read by threads where that is
//! needed, added to the tree in the order of their paths.
//!
//! The calling thread takes entries from the sources and keeps a bounded queue of *places*, one per
//! entry in order. Threads read content and report back by place number; the front of the queue goes
//! into the tree as soon as it is complete.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel};
use std::thread::Scope;
use std::time::Duration;

use chronos_store::{ChunkId, Monitor, Repository, check_cancelled};

use crate::backup::content::Shared;
use crate::backup::failures::Failures;
use crate::backup::literals::Places;
use crate::backup::parent::Cursor;
use crate::backup::report::BackupReport;
use crate::backup::sink::{Output, Sink};
use crate::backup::worker::{self, Answer, Job, Task, lost};
use crate::error::{Error, Result};
use crate::node::{Node, NodeKind};
use crate::path::TreePath;
use crate::record::PathError;
use crate::source::{Entry, Item, Merged, Names, Origin, xattrs_since};
use crate::tree::{RawEntry, Tree};

/// Entries between the walk and the tree; what comes behind a big file waits here. About 3 MB.
const PLACES_MAX: usize = 4 << 10;
/// Files are handed to a thread together until they are so much work in bytes.
const BATCH_MAX: u64 = 2 << 20;
/// From this on a batch ends behind a file whose name says so: what is stored together depends on the batches, so they are to
/// be the same again for the same files;
const BATCH_MIN: u64 = 256 << 10;
/// which is so much later on average.
const BATCH_MORE: u64 = 640 << 10;
/// The work that a file is whatever its length, in bytes.
const FILE_WORK: u64 = 2 << 10;
/// How often the caller is asked whether to stop while everything waits for a slow file.
const PATIENCE: Duration = Duration::from_millis(100);

/// What a run needs.
pub(crate) struct Run<'r> {
    pub(crate) repository: &'r Repository,
    pub(crate) sink: &'r Sink<'r>,
    /// The tree of the previous snapshot.
    pub(crate) previous: Option<&'r Tree>,
    pub(crate) monitor: &'r dyn Monitor,
    pub(crate) threads: usize,
}

struct Place {
    path: TreePath,
    source: usize,
    before: Option<RawEntry>,
    /// A stream or a folder above the roots: times of the previous snapshot stay if all else is equal.
    keeps_times: bool,
    /// If it fails the rest of its source goes on.
    is_part: bool,
    /// Bytes that were read for it and reported.
    read: u64,
    state: State,
}

enum State {
    /// Complete; an unchanged large file with the recipe that has its extents.
    Ready(Node, Option<ChunkId>),
    Reading,
    /// Another name of a file that comes earlier.
    Linked(Node, (u64, u64)),
    Gone,
    /// From here on nothing of the source is stored; of a part, only itself is not.
    Failed(Error),
}

/// A file with several names: its node once it was read, and how many names are still to come.
struct Linked {
    node: Node,
    recipe: Option<ChunkId>,
    left: u32,
}

struct Feeder<'r> {
    jobs: SyncSender<Vec<Job>>,
    answers: Receiver<Result<Vec<Answer>>>,
    monitor: &'r dyn Monitor,
    places: VecDeque<Place>,
    /// Number of the front place.
    first: u64,
    batch: Vec<Job>,
    /// How much work the batch is.
    work: u64,
    seen: HashSet<(u64, u64)>,
    links: HashMap<(u64, u64), Linked>,
    report: BackupReport,
    failures: Failures,
    /// Sources of which nothing more is to be taken.
    ended: Vec<usize>,
}

/// Takes all items through to `output`; counts into `told` and returns it.
pub(crate) fn run(
    run: &Run<'_>,
    items: Merged,
    cursor: &mut Cursor<'_>,
    told: (BackupReport, Failures),
    output: &mut Output<'_>,
) -> Result<(BackupReport, Failures)> {
    let (stop, places) = (AtomicBool::new(false), Places::default());
    std::thread::scope(|scope| {
        let mut feeder = start(scope, run, &stop, &places, told);
        let result = feeder.feed(items, cursor, output);
        stop.store(result.is_err(), Ordering::Relaxed);
        let Feeder { jobs, answers, mut report, failures, .. } = feeder;
        // The threads end when there are no more jobs; what they say last is whether all was stored.
        drop(jobs);
        let rest = answers.iter().try_for_each(|batch| {
            report.bytes_read += batch?.iter().map(|a| a.bytes_read).sum::<u64>();
            Ok(())
        });
        result.and(rest).map(|()| (report, failures))
    })
}

fn start<'scope, 'r: 'scope>(
    scope: &'scope Scope<'scope, '_>,
    run: &Run<'r>,
    stop: &'r AtomicBool,
    places: &'r Places,
    (report, failures): (BackupReport, Failures),
) -> Feeder<'r> {
    let threads = run.threads.max(1);
    let (jobs, waiting) = sync_channel(2 * threads);
    let (sender, answers) = channel();
    let waiting = Arc::new(Mutex::new(waiting));
    let names = Arc::new(Names::load());
    for _ in 0..threads {
        let (waiting, sender, names) = (Arc::clone(&waiting), sender.clone(), Arc::clone(&names));
        let Run { repository, sink, previous, .. } = *run;
        let shared = Shared { repository, sink, places, previous, stop };
        scope.spawn(move || worker::run(shared, &names, &waiting, &sender));
    }
    Feeder {
        jobs,
        answers,
        monitor: run.monitor,
        places: VecDeque::new(),
        first: 0,
        batch: Vec::new(),
        work: 0,
        seen: HashSet::new(),
        links: HashMap::new(),
        report,
        failures,
        ended: Vec::new(),
    }
}

impl Place {
    /// Stands where a source has failed.
    fn failed(source: usize, error: Error) -> Self {
        let (path, state) = (TreePath::root(), State::Failed(error));
        Self { path, source, before: None, keeps_times: false, is_part: false, read: 0, state }
    }
}

impl Feeder<'_> {
    fn feed(&mut self, mut items: Merged, cursor: &mut Cursor<'_>, output: &mut Output<'_>) -> Result<()> {
        while let Some((source, item)) = items.next() {
            check_cancelled(self.monitor)?;
            match item {
                Item::Problem(problem) => self.fail(source, problem),
                Item::Failed(why) => {
                    let error = Error::Source { name: self.failures.name(source), why };
                    self.ended.push(source);
                    self.queue(Place::failed(source, error), cursor, output)?;
                }
                Item::Entry(entry) => self.place(source, entry, cursor, output)?,
            }
            self.drain(cursor, output)?;
            while let Ok(batch) = self.answers.try_recv() {
                self.settle(batch?);
            }
            while self.places.len() >= PLACES_MAX {
                self.wait(cursor, output)?;
            }
            self.ended.drain(..).for_each(|source| items.end(source));
        }
        while !self.places.is_empty() {
            self.wait(cursor, output)?;
        }
        // Whoever asked to stop while the last files were read is heard before anything is committed.
        check_cancelled(self.monitor).map_err(Into::into)
    }

    /// Waits for one answer and adds what is complete.
    fn wait(&mut self, cursor: &mut Cursor<'_>, output: &mut Output<'_>) -> Result<()> {
        self.drain(cursor, output)?;
        if !matches!(self.places.front(), Some(Place { state: State::Reading, .. })) {
            return Ok(());
        }
        if self.batch.iter().any(|job| job.number == self.first) {
            self.send()?;
        }
        while !self.answer()? {}
        self.drain(cursor, output)
    }

    /// Queues an entry, and its content for reading if that is needed.
    fn place(
        &mut self,
        source: usize,
        entry: Entry,
        cursor: &mut Cursor<'_>,
        output: &mut Output<'_>,
    ) -> Result<()> {
        let Entry { path, mut node, origin } = entry;
        let before = cursor.at(&path);
        let number = self.first + self.places.len() as u64;
        let keeps_times = matches!(origin, Origin::Stream(_) | Origin::Part(_) | Origin::AboveRoot);
        let is_part = matches!(origin, Origin::Part(_));
        let mut recipe = None;
        let task = match origin {
            Origin::Nothing | Origin::AboveRoot => None,
            Origin::Bytes(bytes) => Some(Task::Bytes(bytes)),
            Origin::Stream(stream) | Origin::Part(stream) => Some(Task::Stream(stream)),
            Origin::File(folder) => {
                if node.links > 1 && !self.seen.insert((node.dev, node.inode)) {
                    let state = State::Linked(node, folder);
                    let place = Place { path, source, before, keeps_times, is_part, read: 0, state };
                    return self.queue(place, cursor, output);
                }
                let content = before.as_ref().map(|b| cursor.unchanged(&node, b)).transpose()?.flatten();
                match (content, &before) {
                    (Some((content, stored)), Some(before)) => {
                        match xattrs_since(&before.node, &node, &path, folder) {
                            Ok(xattrs) => {
                                node.kind = NodeKind::File(content);
                                node.xattrs = xattrs;
                                recipe = stored;
                                None
                            }
                            // Whoever reads it finds out what became of it.
                            Err(_) => Some(Task::File(folder)),
                        }
                    }
                    _ => Some(Task::File(folder)),
                }
            }
        };
        let state = match task {
            None => State::Ready(node, recipe),
            Some(task) => {
                let before = cursor.base(before.as_ref());
                self.push(Job { number, path: path.clone(), node, before, task })?;
                State::Reading
            }
        };
        self.queue(Place { path, source, before, keeps_times, is_part, read: 0, state }, cursor, output)
    }

    /// Adds a place at the end; what has to wait for nothing goes into the tree at once.
    fn queue(&mut self, place: Place, cursor: &mut Cursor<'_>, output: &mut Output<'_>) -> Result<()> {
        if self.places.is_empty() && !matches!(place.state, State::Reading) {
            self.first += 1;
            return self.finish(place, cursor, output);
        }
        self.places.push_back(place);
        Ok(())
    }

    fn push(&mut self, job: Job) -> Result<()> {
        let work = job.node.size().saturating_add(FILE_WORK);
        if work >= BATCH_MIN || matches!(job.task, Task::Stream(_)) {
            return self.hand_out(vec![job]);
        }
        self.work += work;
        let ends = self.work >= BATCH_MIN && ends_batch(job.path.name(), work);
        self.batch.push(job);
        if ends || self.work >= BATCH_MAX { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<()> {
        self.work = 0;
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        self.hand_out(batch)
    }

    /// Hands work to a thread; takes answers while all are busy.
    fn hand_out(&mut self, mut batch: Vec<Job>) -> Result<()> {
        loop {
            batch = match self.jobs.try_send(batch) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(batch)) => batch,
                Err(TrySendError::Disconnected(_)) => return Err(lost()),
            };
            self.answer()?;
        }
    }

    /// Takes one answer, or finds out that the caller wants to stop.
    fn answer(&mut self) -> Result<bool> {
        check_cancelled(self.monitor)?;
        match self.answers.recv_timeout(PATIENCE) {
            Ok(batch) => {
                self.settle(batch?);
                Ok(true)
            }
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => Err(lost()),
        }
    }

    /// Takes a thread's answers to their places.
    fn settle(&mut self, batch: Vec<Answer>) {
        for Answer { number, node, problem, failed, bytes_read } in batch {
            self.report.bytes_read += bytes_read;
            let place = number.checked_sub(self.first).and_then(|n| self.places.get_mut(n as usize));
            let Some(place) = place else { continue };
            place.read = bytes_read;
            place.state = match (node, failed) {
                (_, Some(error)) => State::Failed(error),
                (Some(node), None) => State::Ready(node, None),
                (None, None) => State::Gone,
            };
            if matches!(place.state, State::Failed(_)) && !place.is_part {
                self.ended.push(place.source);
            }
            if let Some(error) = problem {
                let (source, path) = (place.source, format!("/{}", place.path));
                self.fail(source, PathError { path, error });
            }
        }
    }

    /// Adds the complete places at the front to the tree.
    fn drain(&mut self, cursor: &mut Cursor<'_>, output: &mut Output<'_>) -> Result<()> {
        while let Some(place) = self.places.pop_front_if(|place| !matches!(place.state, State::Reading)) {
            self.first += 1;
            self.finish(place, cursor, output)?;
        }
        Ok(())
    }

    /// Adds the front place, which was taken from the queue, to the tree; it goes back if it has to be read first.
    fn finish(&mut self, place: Place, cursor: &mut Cursor<'_>, output: &mut Output<'_>) -> Result<()> {
        let Place { path, source, before, keeps_times, is_part, read, state } = place;
        if self.failures.has(source) {
            return Ok(());
        }
        let (node, recipe) = match state {
            State::Gone | State::Reading => return Ok(()),
            State::Failed(error) if is_part => {
                self.report.fail(source, PathError { path: format!("/{path}"), error: error.to_string() });
                self.failures.add_part(source, error, self.monitor);
                return Ok(());
            }
            State::Failed(error) => {
                self.failures.add(source, error, self.monitor);
                return Ok(());
            }
            State::Ready(node, recipe) => {
                self.remember(&node, recipe);
                (node, recipe)
            }
            State::Linked(node, folder) => {
                let Some(known) = self.linked(&node) else {
                    // Its first name could not be read; this one may.
                    self.first -= 1;
                    let (number, was) = (self.first, cursor.base(before.as_ref()));
                    let job = Job { number, path: path.clone(), node, before: was, task: Task::File(folder) };
                    let state = State::Reading;
                    self.places.push_front(Place {
                        path,
                        source,
                        before,
                        keeps_times,
                        is_part,
                        read: 0,
                        state,
                    });
                    return self.push(job);
                };
                known
            }
        };
        let node = match &before {
            Some(before) if keeps_times => cursor.keep_times(node, before),
            _ => node,
        };
        match output.add(&path, &node, recipe) {
            Err(Error::Invalid(why)) => {
                self.fail(source, PathError { path: format!("/{path}"), error: why });
                return Ok(());
            }
            added => added?,
        }
        let same = before.as_ref().map(|b| cursor.is_same(&node, recipe, b));
        self.report.count(source, &node, same);
        self.failures.stored(source, &path, &node);
        self.monitor.item(path.as_bytes());
        self.monitor.advance(1, node.size().saturating_sub(read));
        Ok(())
    }

    /// Keeps the node of a file with several names for those to come.
    fn remember(&mut self, node: &Node, recipe: Option<ChunkId>) {
        if node.links > 1 && matches!(node.kind, NodeKind::File(_)) {
            let left = node.links - 1;
            self.links.entry((node.dev, node.inode)).or_insert_with(|| Linked {
                node: node.clone(),
                recipe,
                left,
            });
        }
    }

    fn linked(&mut self, node: &Node) -> Option<(Node, Option<ChunkId>)> {
        let key = (node.dev, node.inode);
        let linked = self.links.get_mut(&key)?;
        linked.left = linked.left.saturating_sub(1);
        let found = (linked.node.clone(), linked.recipe);
        if linked.left == 0 {
            self.links.remove(&key);
        }
        Some(found)
    }

    fn fail(&mut self, source: usize, problem: PathError) {
        self.monitor.left_out(&format!("{}: {}", problem.path, problem.error));
        self.failures.problem(source);
        self.report.fail(source, problem);
    }
}

/// Whether a batch may end behind a file of this name, by a sum of it (FNV-1a): as likely as it is much work.
fn ends_batch(name: &[u8], work: u64) -> bool {
    let add = |sum: u32, byte: &u8| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    let sum = name.iter().fold(0x811c_9dc5, add);
    u64::from(sum) * BATCH_MORE < work << 32
}
