//! Work: queued, carried out one after the other or beside each other, watched, cancelled, remembered.
//!
//! The queue is a table of this host's state, so that it outlives the service and can be looked at without it. One service of a
//! repository carries out its jobs, and begins what its schedules ask for; if it dies, the next one finds what was left.
//! Modules in the order of dependence.

mod id;
mod task;
mod view;
mod words;

mod queue;

mod live;
mod once;
mod retry;

mod perform;
mod verdict;

mod due;
mod keeper;
mod options;
mod runner;
mod tell;
#[cfg(test)]
mod tests;

pub use options::RunnerOptions;
pub use queue::{Cancelling, Patience, cancel, enqueue, list, show};
pub use retry::pause;
pub use runner::{Observer, Runner, Seen};
pub use task::{BackupTask, CleanupTask, DrillTask, RestoreTask, SyncTask, Task, VerifyTask};
pub(crate) use tell::OfJobs;
pub use view::JobView;
pub use words::Words;
