//! CHRONOS over HTTP: the real program on a loopback port, a real repository.

mod auth;
mod backup;
mod backups;
mod events;
mod failures;
mod fuzz;
mod guard;
mod hooks;
pub(crate) mod jobs;
mod life;
mod load;
mod offsite;
mod restore;
mod restore_killed;
mod restore_systems;
mod schedules;
mod secrets;
mod tls;

use chronos_tests::targets::{NOTES, QUIET, SHOP};
use chronos_tests::{Program, Service, configure};

/// Two targets: a folder with a command beside it, and a folder.
fn targets() -> String {
    [QUIET, SHOP, NOTES].concat()
}

/// A home with these targets and something in them.
fn program() -> Program {
    let program = Program::with_repository();
    configure(&program, &targets());
    for (name, text) in [("shop/page.html", "page"), ("notes/a.txt", "a"), ("dump.sql", "select 1;")] {
        let path = program.home().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    program
}

/// A service for them.
fn service() -> Service {
    Service::start(program(), &[])
}
