//! Repositories behind a network, against real servers; and the suites of the engine over an object store on a bad line (`place`).

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "tests")]

#[path = "../../store/tests/store/concurrent.rs"]
mod concurrent;
#[path = "../../store/tests/store/crash.rs"]
mod crash;
#[path = "../../store/tests/store/damage.rs"]
mod damage;
#[expect(dead_code, reason = "other suites use more of it")]
#[path = "../../store/tests/store/fixture.rs"]
mod fixture;
#[path = "../../store/tests/store/parts.rs"]
mod parts;
mod place;
mod probe;
mod program;
mod s3;
mod sftp;
