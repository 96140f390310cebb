//! Drills: the real program restores what it has stored, dumps into a PostgreSQL of its own, and finds what would not come back.

mod blamed;
mod caught;
mod destination;
mod killed;
mod lost;
mod proven;
mod service;
mod whole;
mod workflows;

use std::fs;
use std::path::PathBuf;

use chronos_tests::postgres::Postgres;
use chronos_tests::targets::QUIET;
use chronos_tests::{Program, configure};
use serde_json::Value;
use tempfile::TempDir;

/// A program whose drills have a place of their own, which a server of another account can get to.
struct Stage {
    program: Program,
    scratch: TempDir,
}

impl Stage {
    /// `HOME` in `targets` stands for the folder of the program's home; `drill` are further keys of that section.
    fn new(drill: &str, targets: &str) -> Self {
        let stage = Self { program: Program::with_repository(), scratch: tempfile::tempdir().unwrap() };
        open_up(stage.scratch.path());
        stage.configure(drill, targets);
        stage
    }

    fn configure(&self, drill: &str, targets: &str) {
        configure(&self.program, &[&*self.section(drill), QUIET, targets].concat());
    }

    fn section(&self, drill: &str) -> String {
        format!("[drill]\nscratch = \"{}\"\n{drill}\n", self.scratch.path().join("drills").display())
    }

    fn path(&self, below: &str) -> PathBuf {
        self.program.home().join(below)
    }

    fn back_up(&self, target: &str) -> String {
        let made = self.program.run(["backup", "--target", target, "--json"]).expect_code(0).json();
        made["backup_id"].as_str().unwrap().to_owned()
    }

    /// The one drill of a target, which ends with this code.
    #[track_caller]
    fn drill(&self, name: &str, code: i32) -> Value {
        let drilled = self.program.run(["drill", name, "--json"]).expect_code(code).json();
        assert_eq!(drilled.as_array().unwrap().len(), 1, "{drilled}");
        assert_eq!(self.left(), Vec::<PathBuf>::new());
        drilled[0].clone()
    }

    /// Turns one bit in the longest pack.
    fn turn_a_bit(&self) {
        let mut packs = Vec::new();
        for session in fs::read_dir(self.program.repository().join("packs")).unwrap() {
            packs.extend(fs::read_dir(session.unwrap().path()).unwrap().map(|e| e.unwrap().path()));
        }
        let pack = packs.into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
        let mut bytes = fs::read(&pack).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&pack, bytes).unwrap();
    }

    /// What is in the scratch place.
    fn left(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.scratch.path().join("drills")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Since when the newest snapshot of a target counts as proven.
    fn proven_at(&self, target: &str) -> Value {
        self.program.run(["snapshots", "--target", target, "--json"]).expect_code(0).json()[0]["proven_at"]
            .clone()
    }
}

fn open_up(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What `pg_dump` writes of a database.
fn dump(server: &Postgres, database: &str, arguments: &[&str]) -> Vec<u8> {
    let output = server.client("pg_dump", &[arguments, &["-d", database]].concat()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// All that a drill found wrong, in one text.
fn errors(drilled: &Value) -> String {
    drilled["errors"].as_array().unwrap().iter().map(|e| e.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

/// What a drill could not try, in one text.
fn not_tried(drilled: &Value) -> String {
    let sources = drilled["sources"].as_array().unwrap().iter();
    let lines = sources.flat_map(|source| source["not_tried"].as_array().into_iter().flatten());
    lines.map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

/// A script as `pg_dump` writes it, with these statements.
fn script(statements: &str) -> String {
    format!(
        "--\n-- PostgreSQL database dump\n--\n\n{statements}\n--\n-- PostgreSQL database dump complete\n--\n\n"
    )
}

/// A target of one command that gives a file of the home.
fn of_file(name: &str, file: &str, rules: &str) -> String {
    format!(
        "[[target]]\nname = \"{name}\"\n[[target.source]]\nname = \"dump\"\nkind = \"command\"\ncomponent = \"database\"\n\
         command = \"cat HOME/{file}\"\nfilename = \"{file}\"\n{rules}"
    )
}
