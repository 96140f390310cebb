//! The one who carries out jobs, as the service holds him: started, told of something new, stopped.

use std::fmt;
use std::sync::{Arc, mpsc};
use std::thread;

use chronos_store::Repository;
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::jobs::keeper::{Keeper, Message};
use crate::jobs::options::RunnerOptions;
use crate::jobs::view::JobView;
use crate::jobs::words::Words;
use crate::operations::backup::Unwritten;
use crate::workplace::Workplace;

/// Opens the repository, or gives the one that is open.
pub(super) type Open = Arc<dyn Fn() -> Result<Repository> + Send + Sync>;

/// Is told of every job that has ended, when its end is on disk. It is called on the thread that looks after all jobs, and so must
/// not wait for anybody.
pub trait Observer: Send + Sync + fmt::Debug {
    /// A job has ended: its status, its request, its result and its error are those that stay.
    fn ended(&self, job: &JobView);
}

/// What whoever watches sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Grows whenever something may have changed.
    pub revision: u64,
    /// Jobs that run here.
    pub running: usize,
    /// No more jobs are begun.
    pub is_stopping: bool,
    /// Nothing runs, and nothing will.
    pub is_over: bool,
}

/// The one who carries out the jobs of a repository. Several may be started on a host: one has the duty, the others wait for it.
#[derive(Debug)]
pub struct Runner {
    told: mpsc::Sender<Message>,
    seen: watch::Receiver<Seen>,
    unwritten: Unwritten,
}

impl Runner {
    /// Starts him at once.
    ///
    /// # Errors
    /// Those of [`Runner::prepare`].
    pub fn start(
        workplace: &Workplace,
        with: (RunnerOptions, Words),
        observers: Vec<Arc<dyn Observer>>,
        open: impl Fn() -> Result<Repository> + Send + Sync + 'static,
    ) -> Result<Self> {
        let runner = Self::prepare(workplace, with, observers, open)?;
        runner.begin();
        Ok(runner)
    }

    /// Makes him ready; nothing is done before he is told to begin.
    ///
    /// # Errors
    /// [`Error::Local`] if the system has no thread for him.
    pub fn prepare(
        workplace: &Workplace,
        with: (RunnerOptions, Words),
        observers: Vec<Arc<dyn Observer>>,
        open: impl Fn() -> Result<Repository> + Send + Sync + 'static,
    ) -> Result<Self> {
        let (told, messages) = mpsc::channel();
        let (sees, seen) = watch::channel(Seen::default());
        let unwritten = Unwritten::default();
        let mut keeper = Keeper::new(
            workplace.clone(),
            with,
            observers,
            Arc::new(open),
            (told.clone(), messages),
            (sees, unwritten.clone()),
        );
        let thread = thread::Builder::new().name("jobs".to_owned()).spawn(move || keeper.keep());
        thread.map_err(|source| Error::Local { path: "threads".to_owned(), source })?;
        Ok(Self { told, seen, unwritten })
    }

    /// Lets him begin.
    pub fn begin(&self) {
        self.tell(Message::Begin);
    }

    /// Says that something is new in the queue or among the schedules.
    pub fn look(&self) {
        self.tell(Message::Look);
    }

    /// Lets no more jobs begin.
    pub fn stop(&self) {
        self.tell(Message::Stop);
    }

    /// Asks all jobs that run to stop; the next service begins them again.
    pub fn interrupt(&self) {
        self.tell(Message::Interrupt);
    }

    /// What changes.
    pub fn seen(&self) -> watch::Receiver<Seen> {
        self.seen.clone()
    }

    /// Ends of runs that could not be written, which he writes as soon as that can be.
    pub fn unwritten(&self) -> &Unwritten {
        &self.unwritten
    }

    fn tell(&self, message: Message) {
        // One that has ended hears nothing, and need not.
        drop(self.told.send(message));
    }
}
