//! CHRONOS over HTTP: the real program on a loopback port, a real repository.

mod auth;
mod backup;
mod backups;
mod events;
mod failures;
mod fuzz;
mod guard;
mod hooks;
mod jobs;
mod life;
mod load;
mod restore;
mod restore_systems;
mod schedules;
mod secrets;
mod tls;

/// Two targets: a folder with a command beside it, and a folder. No schedule is in force, so that nothing is made by itself.
const TARGETS: &str = r#"
[[schedule]]
name = "never"
job = "cleanup"
cron = "0 0 1 1 *"
enabled = false

[[target]]
name = "shop"
aliases = ["store"]
paths = ["HOME/shop"]
[[target.source]]
name = "dump"
kind = "command"
component = "database"
command = "cat HOME/dump.sql"
filename = "shop.sql"

[[target]]
name = "notes"
paths = ["HOME/notes"]
"#;

/// A home with these targets and something in them.
fn program() -> chronos_tests::Program {
    let program = chronos_tests::Program::with_repository();
    chronos_tests::configure(&program, TARGETS);
    for (name, text) in [("shop/page.html", "page"), ("notes/a.txt", "a"), ("dump.sql", "select 1;")] {
        let path = program.home().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    program
}

/// A service for them.
fn service() -> chronos_tests::Service {
    chronos_tests::Service::start(program(), &[])
}
