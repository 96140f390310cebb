//! The thread that looks after jobs: begins what is due, notes how far each is, and writes down its end.
//!
//! What always holds: all of a job's row is written here, so that an end that could not be written is written later; each job has a
//! thread of its own, which touches no state.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use chronos_store::Monitor;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::jobs::due;
use crate::jobs::live::{Live, Stop};
use crate::jobs::once::Once;
use crate::jobs::options::RunnerOptions;
use crate::jobs::perform::{Done, Manner, perform};
use crate::jobs::queue::short;
use crate::jobs::runner::{Observer, Open, Seen};
use crate::jobs::task::{SYNC, Task};
use crate::jobs::verdict::{Attempted, Verdict, verdict};
use crate::jobs::view::JobView;
use crate::jobs::words::Words;
use crate::operations::backup::{Unwritten, claim_run};
use crate::operations::schedules::key;
use crate::schedule::Schedule;
use crate::state::{Choice, JobEnding, JobRow, State};
use crate::turn::Turn;
use crate::workplace::Workplace;

/// How often the progress of what runs is noted, and looked whether it is to be cancelled: often enough to watch.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);
/// How often the queue is looked at, into which other processes put jobs too.
const QUEUE_INTERVAL: Duration = Duration::from_secs(1);
/// How often schedules are looked at, which other processes change, and under which the clock may be put.
const SCHEDULE_INTERVAL: Duration = Duration::from_secs(10);
/// Jobs that somebody waits for, beside the others.
const AWAITED_MAX: usize = 8;
/// The lock of the one who has the duty.
const DUTY: &str = "jobs";

/// What is said to the keeper.
#[derive(Debug)]
pub(super) enum Message {
    /// It begins.
    Begin,
    /// Something is new.
    Look,
    /// No more is begun.
    Stop,
    /// What runs stops.
    Interrupt,
    /// A job's work has come back.
    Back(usize, Box<Result<Done>>),
}

/// A job that runs, or whose end is not written yet.
#[derive(Debug)]
struct Running {
    number: usize,
    row: JobRow,
    live: Arc<Live>,
    verdict: Option<Verdict>,
}

/// Looks after jobs.
pub(super) struct Keeper {
    workplace: Workplace,
    repository: String,
    options: RunnerOptions,
    words: Words,
    observers: Vec<Arc<dyn Observer>>,
    open: Open,
    told: Sender<Message>,
    messages: Receiver<Message>,
    seen: watch::Sender<Seen>,
    state: Option<State>,
    duty: Option<Turn>,
    running: Vec<Running>,
    unwritten: Unwritten,
    /// Number of the next thread.
    next: usize,
    /// When schedules are looked at again: by the clock, and by the time since the kernel's start.
    wake: (Option<Timestamp>, Duration),
    has_begun: bool,
    is_stopping: bool,
    /// What was last told to have gone wrong.
    wrong: Option<String>,
}

impl Keeper {
    pub(super) fn new(
        workplace: Workplace,
        (options, words): (RunnerOptions, Words),
        observers: Vec<Arc<dyn Observer>>,
        open: Open,
        (told, messages): (Sender<Message>, mpsc::Receiver<Message>),
        (seen, unwritten): (watch::Sender<Seen>, Unwritten),
    ) -> Self {
        Self {
            repository: key(&workplace),
            workplace: workplace.reporting_to(Arc::new(Once::default())),
            options,
            words,
            observers,
            open,
            told,
            messages,
            seen,
            state: None,
            duty: None,
            running: Vec::new(),
            unwritten,
            next: 0,
            wake: (None, Duration::ZERO),
            has_begun: false,
            is_stopping: false,
            wrong: None,
        }
    }

    /// Goes on until it was told to stop and nothing runs any more.
    pub(super) fn keep(&mut self) {
        while !(self.is_stopping && self.running.is_empty()) {
            if !self.has_begun {
                match self.messages.recv() {
                    Ok(message) => self.hear(message),
                    Err(_) => break,
                }
                continue;
            }
            match self.round() {
                Ok(()) => self.wrong = None,
                Err(error) => self.tell_wrong(&error),
            }
            self.show(false);
            let wait = if self.running.is_empty() { QUEUE_INTERVAL } else { PROGRESS_INTERVAL };
            match self.messages.recv_timeout(wait) {
                Ok(message) => self.hear(message),
                Err(RecvTimeoutError::Timeout) => {}
                // It holds a sender itself.
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while let Ok(message) = self.messages.try_recv() {
                self.hear(message);
            }
        }
        self.show(true);
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Begin => self.has_begun = true,
            Message::Look => self.wake.1 = Duration::ZERO,
            Message::Stop => self.is_stopping = true,
            Message::Interrupt => self.running.iter().for_each(|job| job.live.stop(Stop::Ending)),
            Message::Back(number, outcome) => {
                let now = self.now();
                if let Some(job) = self.running.iter_mut().find(|job| job.number == number) {
                    let (stop, attempts) = (job.live.reason(), job.row.attempts);
                    let attempt = Attempted { attempts, awaited: job.row.awaited, stop };
                    job.verdict = Some(verdict(*outcome, attempt, &self.options, &self.words, now));
                }
            }
        }
    }

    fn round(&mut self) -> Result<()> {
        let state = match self.state.take() {
            Some(state) => state,
            None => State::open(&self.workplace.places.state)?,
        };
        let done = self.look_after(&state);
        // One that failed is opened anew.
        self.state = done.is_ok().then_some(state);
        done
    }

    fn look_after(&mut self, state: &State) -> Result<()> {
        if self.duty.is_none() && !self.take_duty(state)? {
            return Ok(());
        }
        self.unwritten.write(state)?;
        self.note_ends(state)?;
        for job in self.running.iter().filter(|job| job.verdict.is_none()) {
            if state.progress_job(job.row.number, &job.live.progress())? {
                job.live.stop(Stop::Cancelled);
            }
        }
        if self.is_stopping {
            return Ok(());
        }
        let schedules = self.look_at_schedules(state);
        while let Some(choice) = self.choice() {
            let Some(row) = state.begin_job(&self.repository, choice, short(self.now()))? else { break };
            self.begin(row);
        }
        // What is queued does not wait until schedules can be read.
        schedules
    }

    /// What may be begun beside what runs: nobody who waits does so for work that can wait.
    fn choice(&self) -> Option<Choice> {
        let workers = self.options.workers;
        let working = || self.running.iter().filter(|job| job.row.kind != SYNC);
        if working().count() >= workers + AWAITED_MAX {
            return None;
        }
        let unawaited = working().filter(|job| !job.row.awaited).count();
        Some(if unawaited < workers { Choice::All } else { Choice::Beside })
    }

    /// Takes the duty if nobody has it, and sees to what the one before left.
    fn take_duty(&mut self, state: &State) -> Result<bool> {
        let place = blake3::hash(self.repository.as_bytes()).to_hex();
        let name = place.as_str().get(..16).unwrap_or_default();
        self.duty = Turn::try_take(&self.workplace.places.state, name, DUTY)?;
        if self.duty.is_none() {
            return Ok(false);
        }
        let left = state.recover_jobs(&self.repository, self.options.attempts_max, short(self.now()))?;
        state.interrupt_schedules(&self.repository)?;
        for row in &left {
            tracing::warn!(
                job = row.id,
                kind = row.kind,
                target = row.target,
                status = row.status.word(),
                "found interrupted"
            );
            if row.status.is_end() {
                self.tell_end(state, row);
            }
        }
        Ok(true)
    }

    fn look_at_schedules(&mut self, state: &State) -> Result<()> {
        let (now, uptime) = (now_of(&self.workplace)?, self.workplace.env.clock.uptime());
        if uptime < self.wake.1 && self.wake.0.is_none_or(|wake| now < wake) {
            return Ok(());
        }
        let claim = |schedule: &Schedule| {
            let claimed = (self.open)().and_then(|repository| claim_run(&repository, &schedule.tier, now));
            // Without an id for the run each target has its snapshot all the same.
            claimed.inspect_err(|error| tracing::warn!(%error, "no id for a run")).ok()
        };
        let wake = due::look(&self.workplace, state, &self.options, now, &claim)?;
        self.wake = (wake, uptime.saturating_add(SCHEDULE_INTERVAL));
        if !self.workplace.config.offsite.is_empty() {
            let repository = (self.open)()?.id().to_string();
            due::follow(&self.workplace, state, &repository)?;
        }
        Ok(())
    }

    fn begin(&mut self, row: JobRow) {
        let clock = Arc::clone(&self.workplace.env.clock);
        let live = Arc::new(Live::new(&row.id, clock, self.options.time_max));
        let number = self.next;
        self.next += 1;
        tracing::info!(
            job = row.id,
            kind = row.kind,
            target = row.target,
            attempt = row.attempts,
            "job begins"
        );
        let (told, open, task) = (self.told.clone(), Arc::clone(&self.open), row.task.clone());
        let attempted = Attempted { attempts: row.attempts, awaited: row.awaited, stop: None };
        let manner = Manner {
            words: self.words,
            is_tried_again: attempted.is_tried_again(&self.options),
            unwritten: self.unwritten.clone(),
        };
        let (workplace, monitor) = (self.workplace.reporting_to(Arc::clone(&live) as _), Arc::clone(&live));
        let back = move |outcome| {
            // The keeper outlives its jobs.
            drop(told.send(Message::Back(number, Box::new(outcome))));
        };
        let work = move || {
            let work = AssertUnwindSafe(|| carry_out(&task, &workplace, &open, &manner, monitor));
            back(catch_unwind(work).unwrap_or(Err(Error::Fault)));
        };
        let thread = thread::Builder::new().name("job".to_owned()).spawn(work);
        let verdict = thread.err().map(|source| {
            let error = Error::Local { path: "threads".to_owned(), source };
            verdict(Err(error), attempted, &self.options, &self.words, self.now())
        });
        self.running.push(Running { number, row, live, verdict });
    }

    /// Writes down what has ended; what cannot be written is tried again in the next round.
    fn note_ends(&mut self, state: &State) -> Result<()> {
        while let Some(at) = self.running.iter().position(|job| job.verdict.is_some()) {
            let Some(Running { row, live, verdict: Some(verdict), .. }) = self.running.get(at) else { break };
            state.progress_job(row.number, &live.progress())?;
            match verdict {
                Verdict::Again { ready, attempt, why } => {
                    state.requeue_job(row.number, *ready, *attempt, why)?;
                    tracing::warn!(job = row.id, detail = why, "job waits for another try");
                }
                Verdict::End(done) => {
                    let result = done.result.as_ref().map(ToString::to_string);
                    let ending = JobEnding {
                        status: done.status,
                        result: result.as_deref(),
                        error: done.error.as_deref(),
                        ended: short(self.now()),
                    };
                    state.end_job(&self.repository, row.number, &ending)?;
                    // What was backed up may ask for a copy.
                    self.wake.1 = Duration::ZERO;
                    if let Some(row) = state.job(&self.repository, &row.id)? {
                        self.tell_end(state, &row);
                    }
                }
            }
            self.running.remove(at);
        }
        Ok(())
    }

    /// Tells of a job that has ended.
    fn tell_end(&self, state: &State, row: &JobRow) {
        tracing::info!(job = row.id, status = row.status.word(), error = row.error, "job ended");
        if let (Some(schedule), Some(due)) = (&row.schedule, row.due)
            && let Err(error) = due::ended(&self.workplace, state, schedule, due)
        {
            tracing::warn!(schedule, %error, "how it ended is not noted");
        }
        let job = JobView::new(row, self.now());
        self.observers.iter().for_each(|observer| observer.ended(&job));
    }

    /// The same trouble is told once.
    fn tell_wrong(&mut self, error: &Error) {
        let text = error.to_string();
        if self.wrong.as_ref() != Some(&text) {
            tracing::error!(detail = text, "jobs cannot be looked after");
            self.wrong = Some(text);
        }
    }

    fn show(&self, is_over: bool) {
        self.seen.send_modify(|seen| {
            seen.revision += 1;
            seen.running = self.running.len();
            seen.is_stopping = self.is_stopping;
            seen.is_over = is_over;
        });
    }

    fn now(&self) -> i128 {
        self.workplace.env.clock.now()
    }
}

/// The present moment.
pub(super) fn now_of(workplace: &Workplace) -> Result<Timestamp> {
    Timestamp::from_nanosecond(workplace.env.clock.now()).map_err(|e| Error::Clock(e.to_string()))
}

fn carry_out(
    task: &str,
    workplace: &Workplace,
    open: &Open,
    manner: &Manner,
    live: Arc<Live>,
) -> Result<Done> {
    let task: Task = serde_json::from_str(task)
        .map_err(|e| Error::Value { place: "job".to_owned(), why: format!("is not of this version: {e}") })?;
    let repository = open()?.reporting_to(live as Arc<dyn Monitor>);
    perform(&task, workplace, &repository, manner)
}
