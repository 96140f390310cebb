//! The built program: what it answers, how it ends, and that nothing is lost on the way.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests lay out files and look at answers"
)]

mod bad_input;
mod bad_storage;
mod changing;
mod copying;
mod crash_images;
mod damage;
mod documents;
mod exporting;
mod failing_calls;
mod failing_disk;
mod full_disk;
mod hostile;
mod interrupted;
mod keys;
mod killed;
mod killed_together;
mod kit;
mod odd_names;
mod owners;
mod probe;
mod races;
mod restoring;
mod retention;
mod runs;
mod schedules;
mod support;
mod sync;
mod targets;
mod terminal;
mod three_files;
mod traced;
mod usage;
