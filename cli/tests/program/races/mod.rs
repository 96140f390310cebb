//! Several real processes on several hosts use one repository at once: they are stopped at any moment and sleep through whole prunes,
//! are killed, and lose nothing that is listed.

mod asleep;
mod clocks;
mod content;
mod crowd;
mod fate;
mod random;
mod world;
