//! The ordered walk: threads list folders ahead, the consumer gets the entries in the order of their paths.
//!
//! Work is a set of *slots*, one per folder (and per part of a very large one). Threads always take
//! the waiting slot with the least path, so they run ahead of the consumer in its own direction.
//! Memory is bounded: nobody begins a slot while too many listed entries wait; the consumer does the
//! slot that it needs itself if nobody has begun it, so the bound can never block it.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::node::NodeKind;
use crate::path::{TreePath, printable};
use crate::record::PathError;
use crate::source::exclude::{Entered, Fate, Filter, Scope};
use crate::source::names::{Names, Owners};
use crate::source::stat::{self, Stat};
use crate::source::{Entry, Origin};

/// Entries that may be listed ahead of the consumer; at about 500 bytes each some 4 MB.
const AHEAD_MAX: usize = 8 << 10;
/// Names of one folder that are looked at in one piece of work.
const PART_NAMES: usize = 1024;

/// What the walk gives.
#[derive(Debug)]
pub(crate) enum Walked {
    /// An entry; `included` is false for a folder that only its content may bring in.
    Entry { entry: Entry, included: bool },
    /// Something that could not be read.
    Problem(PathError),
}

/// A folder to walk.
#[derive(Debug)]
pub(crate) struct Start {
    /// Its path.
    pub(crate) path: TreePath,
    /// What was seen there; its own entry is then given first. `None` takes what is there.
    pub(crate) expected: Option<Seen>,
    /// What holds around it.
    pub(crate) scope: Arc<Scope>,
    /// Whether an include pattern fits it.
    pub(crate) included: bool,
}

/// Device and inode of a folder and of the one that it was seen in, so that another one put in its place is noticed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    itself: (u64, u64),
    holder: (u64, u64),
}

/// One thing to hand out, or more work that stands at this place.
pub(crate) enum Step {
    /// Hand this out.
    Give(Walked),
    /// Go on with this folder.
    Walk(Start),
    /// Go on with what this work finds.
    Slot(Arc<Slot>),
}

enum Job {
    List(Start),
    Part { dir: Arc<OwnedFd>, folder: (u64, u64), path: TreePath, names: Vec<Vec<u8>>, scope: Arc<Scope> },
}

enum Phase {
    Waiting(Job),
    Running,
    /// Running, and the consumer waits for it.
    Wanted,
    Done(VecDeque<Step>),
}

/// A piece of work and its outcome.
pub(crate) struct Slot {
    key: Key,
    phase: Mutex<Phase>,
    done: Condvar,
}

/// Parts of a folder come before the folders that begin in them.
type Key = (TreePath, bool);

struct Queue {
    waiting: BTreeMap<Key, Arc<Slot>>,
    /// Entries listed and not yet taken by the consumer.
    ahead: usize,
    /// Threads that wait for work; to wake nobody costs a call all the same.
    idle: usize,
    /// So many wait that nobody begins a slot until half of them are taken: waking threads costs more than their work.
    paused: bool,
    stop: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    filter: Arc<Filter>,
    names: Arc<Names>,
}

/// The walk; an iterator in the order of paths. Its threads end when it is dropped.
pub(crate) struct Walk {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    stack: Vec<VecDeque<Step>>,
}

impl Walk {
    /// Walks `steps`, which are in the order of their paths, with `threads` threads besides the consumer's.
    pub(crate) fn new(
        steps: impl IntoIterator<Item = Step>,
        filter: Arc<Filter>,
        names: Arc<Names>,
        threads: usize,
    ) -> Self {
        let queue = Queue { waiting: BTreeMap::new(), ahead: 0, idle: 0, paused: false, stop: false };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), work: Condvar::new(), filter, names });
        let steps = steps.into_iter().map(|s| shared.queued(s)).collect();
        let thread = |_| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name("walk".to_owned()).spawn(move || shared.run())
        };
        // Without threads the consumer does all the work itself.
        let threads = (0..threads).map_while(|n| thread(n).ok()).collect();
        Self { shared, threads, stack: vec![steps] }
    }
}

impl Iterator for Walk {
    type Item = Walked;

    fn next(&mut self) -> Option<Walked> {
        loop {
            let steps = self.stack.last_mut()?;
            match steps.pop_front() {
                None => {
                    self.stack.pop();
                }
                Some(Step::Give(walked)) => return Some(walked),
                Some(Step::Slot(slot)) => {
                    let found = self.shared.take(&slot);
                    self.stack.push(found);
                }
                Some(Step::Walk(start)) => {
                    let found = self.shared.work(Job::List(start));
                    self.stack.push(found);
                }
            }
        }
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked left its slot running; nobody waits for it any more.
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Walk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walk").field("depth", &self.stack.len()).finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Turns a folder to walk into a waiting slot.
    fn queued(&self, step: Step) -> Step {
        let Step::Walk(start) = step else { return step };
        let key = (start.path.clone(), true);
        Step::Slot(self.enqueue(key, Job::List(start)))
    }

    fn enqueue(&self, key: Key, job: Job) -> Arc<Slot> {
        let slot =
            Arc::new(Slot { key: key.clone(), phase: Mutex::new(Phase::Waiting(job)), done: Condvar::new() });
        let mut queue = self.lock();
        queue.waiting.insert(key, Arc::clone(&slot));
        if !queue.paused && queue.idle > 0 {
            self.work.notify_one();
        }
        drop(queue);
        slot
    }

    /// What a thread does.
    fn run(&self) {
        loop {
            let mut queue = self.lock();
            while !queue.stop && (queue.waiting.is_empty() || queue.paused) {
                queue.idle += 1;
                queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
                queue.idle -= 1;
            }
            if queue.stop {
                return;
            }
            let Some((_, slot)) = queue.waiting.pop_first() else { continue };
            drop(queue);
            let Some(job) = slot.begin() else { continue };
            let mut slot = Begun { slot: &slot, found: None };
            let found = self.work(job);
            let mut queue = self.lock();
            queue.ahead += found.len();
            queue.paused |= queue.ahead >= AHEAD_MAX;
            drop(queue);
            slot.found = Some(found);
        }
    }

    /// What a slot found; does the work here if nobody has begun it.
    fn take(&self, slot: &Slot) -> VecDeque<Step> {
        self.lock().waiting.remove(&slot.key);
        if let Some(job) = slot.begin() {
            return self.work(job);
        }
        let found = slot.wait();
        let mut queue = self.lock();
        queue.ahead = queue.ahead.saturating_sub(found.len());
        if queue.paused && queue.ahead < AHEAD_MAX / 2 {
            queue.paused = false;
            self.work.notify_all();
        }
        found
    }

    fn work(&self, job: Job) -> VecDeque<Step> {
        match job {
            Job::List(start) => self.list(start),
            Job::Part { dir, folder, path, names, scope } => {
                let mut steps = VecDeque::new();
                self.look((dir.as_fd(), folder), &path, &names, &scope, &mut steps);
                steps
            }
        }
    }

    fn list(&self, start: Start) -> VecDeque<Step> {
        let Start { path, expected, scope, included } = start;
        let mut steps = VecDeque::new();
        let opened = open_listed(&path, expected);
        if let Some(seen) = expected {
            let node = match &opened {
                Ok((dir, stat)) => stat::folder_node(dir, stat, &self.names),
                Err(_) => stat::folder_again(&path, seen.holder, &self.names),
            };
            match node {
                Ok(node) => {
                    let entry = Entry { path: path.clone(), node, origin: Origin::Nothing };
                    steps.push_back(Step::Give(Walked::Entry { entry, included }));
                }
                // Removed since it was seen: as if it had never been there.
                Err(e) if e.kind() == io::ErrorKind::NotFound => return steps,
                Err(e) if opened.is_ok() => {
                    steps.push_back(problem(&path, &e));
                    return steps;
                }
                // That it cannot be opened is told below.
                Err(_) => {}
            }
        }
        let listed = opened.and_then(|(dir, stat)| Ok((stat::names_in(dir.as_fd())?, dir, stat)));
        let (mut names, dir, stat) = match listed {
            Ok(listed) => listed,
            // Removed after that: an empty folder is as near as it gets.
            Err(e) if e.kind() == io::ErrorKind::NotFound && expected.is_some() => return steps,
            Err(e) => {
                steps.push_back(problem(&path, &e));
                return steps;
            }
        };
        let folder = (stat.dev, stat.inode);
        let Entered { scope, tagged, problems } =
            self.filter.enter(dir.as_fd(), &path, &names, &scope, included);
        if let Some(tag) = tagged {
            names = vec![tag];
        }
        steps.extend(problems.into_iter().map(|(name, error)| {
            let path = path.join(&name).unwrap_or_else(|_| path.clone());
            Step::Give(Walked::Problem(PathError { path: format!("/{path}"), error }))
        }));
        if names.len() <= PART_NAMES {
            self.look((dir.as_fd(), folder), &path, &names, &scope, &mut steps);
            return steps;
        }
        let dir = Arc::new(dir);
        let mut names = names.into_iter().peekable();
        while let Some(first) = names.peek() {
            let key = (path.join(first).unwrap_or_else(|_| path.clone()), false);
            let part = names.by_ref().take(PART_NAMES).collect();
            let job = Job::Part {
                dir: Arc::clone(&dir),
                folder,
                path: path.clone(),
                names: part,
                scope: Arc::clone(&scope),
            };
            steps.push_back(Step::Slot(self.enqueue(key, job)));
        }
        steps
    }

    /// Looks at names of a folder of this device and inode.
    fn look(
        &self,
        folder: (BorrowedFd<'_>, (u64, u64)),
        path: &TreePath,
        names: &[Vec<u8>],
        scope: &Arc<Scope>,
        steps: &mut VecDeque<Step>,
    ) {
        steps.reserve(names.len());
        let mut owners = self.names.owners();
        for name in names {
            match path.join(name) {
                Ok(path) => self.look_at(folder, path, name, scope, &mut owners, steps),
                Err(e) => steps.push_back(Step::Give(Walked::Problem(PathError {
                    path: format!("/{path}/{}", printable(name)),
                    error: e.to_string(),
                }))),
            }
        }
    }

    fn look_at(
        &self,
        (dir, folder): (BorrowedFd<'_>, (u64, u64)),
        path: TreePath,
        name: &[u8],
        scope: &Arc<Scope>,
        owners: &mut Owners<'_>,
        steps: &mut VecDeque<Step>,
    ) {
        let stat = match Stat::at(dir, name) {
            Ok(stat) => stat,
            // Removed since the folder was listed: as if it had never been there.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return,
            Err(e) => return steps.push_back(problem(&path, &e)),
        };
        let (included, descend) = match self.filter.decide(scope, dir, &path, &stat) {
            Fate::Leave(_) => return,
            Fate::Shallow(_) => (true, false),
            Fate::Take { included, .. } => (included, stat.is_dir()),
        };
        if descend {
            let expected = Some(Seen { itself: (stat.dev, stat.inode), holder: folder });
            let below = Start { path, expected, scope: Arc::clone(scope), included };
            return steps.push_back(self.queued(Step::Walk(below)));
        }
        let node = match stat::node(dir, name, &stat, owners) {
            Ok(node) => node,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return,
            Err(e) => return steps.push_back(problem(&path, &e)),
        };
        let origin =
            if matches!(node.kind, NodeKind::File(_)) { Origin::File(folder) } else { Origin::Nothing };
        steps.push_back(Step::Give(Walked::Entry { entry: Entry { path, node, origin }, included }));
    }
}

/// Work in hand; its slot is done when this is dropped, also by a defect, so that the consumer never waits for ever.
struct Begun<'s> {
    slot: &'s Slot,
    found: Option<VecDeque<Step>>,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let found = self.found.take().unwrap_or_else(|| {
            VecDeque::from([problem(&self.slot.key.0, &io::Error::other("its listing ended early"))])
        });
        let was = std::mem::replace(&mut *self.slot.lock(), Phase::Done(found));
        if matches!(was, Phase::Wanted) {
            self.slot.done.notify_all();
        }
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the work; `None` if another has it.
    fn begin(&self) -> Option<Job> {
        let mut phase = self.lock();
        match std::mem::replace(&mut *phase, Phase::Running) {
            Phase::Waiting(job) => Some(job),
            other => {
                *phase = other;
                None
            }
        }
    }

    fn wait(&self) -> VecDeque<Step> {
        let mut phase = self.lock();
        loop {
            if let Phase::Done(found) = &mut *phase {
                return std::mem::take(found);
            }
            *phase = Phase::Wanted;
            phase = self.done.wait(phase).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Opens a folder for listing, and makes sure that it is the one that was seen.
fn open_listed(path: &TreePath, expected: Option<Seen>) -> io::Result<(OwnedFd, Stat)> {
    let absolute = path.to_absolute();
    let dir = match expected {
        Some(_) => stat::open_dir(&absolute)?,
        None => stat::open_root(&absolute)?,
    };
    let stat = Stat::of(&dir)?;
    if expected.is_some_and(|seen| seen.itself != (stat.dev, stat.inode)) {
        return Err(io::Error::other("was replaced by another folder while it was read"));
    }
    Ok((dir, stat))
}

fn problem(path: &TreePath, error: &io::Error) -> Step {
    Step::Give(Walked::Problem(PathError { path: format!("/{path}"), error: error.to_string() }))
}
