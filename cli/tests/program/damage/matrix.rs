//! Runs the matrix: each row of the table is a damaged repository, each column a command, each cell says how it ends.
//!
//! Besides what the table says, in every cell: nothing panics; what is restored is right; a restore that ends with 0
//! is complete; whatever a command that writes leaves behind, with what it deleted brought back, restores at least as much as
//! before it; and a command that writes says that it is done if and only if it is.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::effects::{Effect, NEW_KEY, NEW_TAG, slot};
use super::fixture::{Copy, Fixture, Restored};
use super::objects::{bring_back, damage};
use super::table::{LOOK, TABLE, WRITE};
use crate::support::Ran;

/// Of the cells whose commands write, one in so many is looked at in a usual run; all with `CHRONOS_LONG=1`.
const SHARE: usize = 3;

/// One damaged repository.
struct Row<'f> {
    fixture: &'f Fixture,
    name: &'static str,
    copy: Copy,
    /// What may be named: the objects that were damaged.
    names: Vec<String>,
    /// What can be restored of each snapshot before anything is done.
    before: BTreeMap<&'static str, Restored>,
}

/// The arguments of a command of the table: snapshots by their ids, folders by their paths, keys by their slots.
fn arguments(fixture: &Fixture, copy: &Copy, command: &str) -> Vec<String> {
    let inside = |called: &str| fixture.taken[called].inside.clone();
    let mut words: Vec<String> = command
        .split(' ')
        .map(|word| fixture.taken.get(word).map_or(word, |taken| &taken.id).to_owned())
        .collect();
    match words[0].as_str() {
        "backup" => words.push(fixture.data().to_str().unwrap().to_owned()),
        "ls" => words.push("-R".to_owned()),
        "cat" => words[1] = format!("{}:{}/a.txt", words[1], inside("old")),
        "versions" => words.push(format!("/{}/a.txt", inside("old"))),
        "undelete" => words[1].clone_from(&fixture.forgotten.as_ref().unwrap().id),
        "tag" => words.extend(["--add".to_owned(), NEW_TAG.to_owned()]),
        "rewrite" => words.extend(["--exclude".to_owned(), "a.txt".to_owned()]),
        "keys" if words[1] == "add" => words.extend(["--new-key-file".to_owned(), NEW_KEY.to_owned()]),
        "keys" if words[1] == "remove" => words[2] = slot(fixture, copy, words[2] == "first"),
        "export" => words.extend(["-o".to_owned(), "-".to_owned(), "--format".to_owned(), "tar".to_owned()]),
        _ => {}
    }
    words
}

fn run(fixture: &Fixture, copy: &Copy, command: &str) -> Ran {
    let words = arguments(fixture, copy, command);
    copy.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// How a run ended, as the table writes it.
fn outcome(ran: &Ran, names: &[String]) -> String {
    let said = |name: &str| ran.stdout.contains(name) || ran.stderr.contains(name);
    let named = names.iter().any(|name| said(name));
    match (ran.code, named) {
        (0, true) => "0w".to_owned(),
        (4, false) if said("chunk ") => "4c".to_owned(),
        (4, false) if said("the log") => "4l".to_owned(),
        (4, false) => "4?".to_owned(),
        (code, _) => code.to_string(),
    }
}

impl<'f> Row<'f> {
    fn new(fixture: &'f Fixture, name: &'static str) -> Self {
        let copy = fixture.copy();
        let names = match name.rsplit_once(' ').unwrap() {
            ("removed", _) => {
                bring_back(fixture, &copy);
                Vec::new()
            }
            (kind, way) => damage(fixture, &copy, kind, way),
        };
        Self { fixture, name, copy, names, before: BTreeMap::new() }
    }

    /// A command that changes nothing.
    fn look(&mut self, command: &'static str) -> String {
        let Some(called) = command.strip_prefix("restore ") else {
            return outcome(&run(self.fixture, &self.copy, command), &self.names);
        };
        let (called, taken) = self.fixture.taken.get_key_value(called).unwrap();
        let (restored, ran) = self.copy.restore(taken);
        let mut text = outcome(&ran, &self.names);
        if restored.equal.len() < taken.tree.len() {
            write!(text, ":{}", restored.equal.len()).unwrap();
        }
        self.before.insert(called, restored);
        text
    }

    /// A command that may change something, in a copy of its own.
    fn write(&self, command: &str) -> String {
        let copy = self.copy.fork();
        let text = if command == "mend" { self.mend(&copy) } else { self.effect(&copy, command) };
        for (called, before) in &self.before {
            let taken = &self.fixture.taken[called];
            if self.is_deleted(&copy, command, &taken.id) {
                continue;
            }
            let after = copy.restore(taken).0;
            let is_kept = after.equal.is_superset(&before.equal);
            assert!(is_kept, "{} / {command} made {called} worse: {before:?} {after:?}", self.name);
        }
        text
    }

    /// Runs a command that claims to do something.
    fn effect(&self, copy: &Copy, command: &str) -> String {
        let ran = run(self.fixture, copy, command);
        let mut text = outcome(&ran, &self.names);
        let (fixture, old, before) = (self.fixture, &self.copy, &self.before);
        if (Effect { fixture, old, copy, command, before }).is_done(&ran) && ran.code != 0 {
            text.push('d');
        }
        text
    }

    /// Whether mending ended with the deletion of a snapshot of which a part is lost.
    fn is_deleted(&self, copy: &Copy, command: &str, id: &str) -> bool {
        let lost = self.before.values().any(|b| b.code != 0);
        command == "mend"
            && lost
            && copy.run(&["snapshots", "--json"]).stdout.find(&format!("\"backup_id\": \"{id}\"")).is_none()
    }

    /// What `docs/operations.md` says to do about damage; how the last look at the repository ended.
    fn mend(&self, copy: &Copy) -> String {
        for step in ["backup", "repair index", "repair packs", "backup", "repair snapshots"] {
            run(self.fixture, copy, step);
        }
        let listed = copy.run(&["snapshots", "--json"]);
        if let Ok(serde_json::Value::Array(rows)) = serde_json::from_str(&listed.stdout) {
            let ids = rows.iter().filter_map(|row| row["backup_id"].as_str());
            for id in ids.filter(|id| copy.run(&["verify", id]).code != 0) {
                copy.run(&["delete", id]);
            }
        }
        copy.run(&["prune"]);
        outcome(&copy.run(&["check", "--read-data"]), &self.names)
    }
}

/// Whether a cell is looked at in a usual run: over a few commits of other numbers of rows and columns each is.
fn is_chosen(row: usize, column: usize) -> bool {
    std::env::var_os("CHRONOS_LONG").is_some() || (row + column * 2).is_multiple_of(SHARE)
}

/// What the row really looks like; cells that were not looked at are as expected.
fn looked_at(fixture: &Fixture, number: usize, name: &'static str, expected: &[&str]) -> Vec<String> {
    let mut row = Row::new(fixture, name);
    let looks = LOOK.iter().map(|command| row.look(command)).collect::<Vec<_>>();
    let writes = WRITE.iter().enumerate().map(|(column, command)| {
        if is_chosen(number, column) {
            row.write(command)
        } else {
            expected.get(LOOK.len() + column).copied().unwrap_or("-").to_owned()
        }
    });
    let writes: Vec<_> = writes.collect();
    looks.into_iter().chain(writes).collect()
}

#[test]
fn damage_is_found_named_and_never_made_worse() {
    let fixture = Fixture::new();
    let rows: Vec<(&str, Vec<&str>)> = TABLE
        .lines()
        .filter_map(|line| line.split_once('|'))
        .map(|(name, cells)| (name.trim(), cells.split_whitespace().collect()))
        .collect();
    assert!(rows.len() > 70);
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(BTreeMap::new());
    let work = || {
        while let Some((name, cells)) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
            let number = rows.iter().position(|(other, _)| other == name).unwrap();
            let found = looked_at(&fixture, number, name, cells);
            if found != *cells {
                let mut line = format!("{name:20}|");
                found.iter().for_each(|cell| write!(line, " {cell:4}").unwrap());
                wrong.lock().unwrap_or_else(PoisonError::into_inner).insert(number, line);
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    let wrong = wrong.into_inner().unwrap();
    let lines: Vec<_> = wrong.into_values().collect();
    assert!(lines.is_empty(), "rows are otherwise:\n{}", lines.join("\n"));
}
