//! What stands in a live database, and what of it the user that asks may drop: the plan of a restore in place.
//!
//! What belongs to roles whose rights the user has is exchanged; what belongs to others and to extensions stays. The same question
//! is asked again inside the transaction, when nobody can change the answer any more.

use crate::error::{Error, Result};
use crate::postgres::archive::{ArchiveEntry, ArchiveList};
use crate::postgres::client::Client;
use crate::postgres::part::Part;
use crate::postgres::sql::literal;

/// The question.
const STANDING: &str = include_str!("standing.sql");
/// Entries that name no owner.
const OF_NOBODY: &[&str] = &["EXTENSION", "CAST", "TRANSFORM", "BLOBS", "ACCESS METHOD"];

/// What a database was when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// A hash of what goes and of what is in the way.
    objects: String,
}

/// The answer.
#[derive(Debug)]
pub(super) struct Standing {
    rows: Vec<Row>,
    pub(super) seen: Seen,
}

#[derive(Debug)]
struct Row {
    what: String,
    kind: String,
    name: String,
    statement: String,
}

/// The question about this part, for a database into which these extensions are going to be restored.
fn question(archive: &ArchiveList, part: &Part) -> String {
    let array = |names: &mut dyn Iterator<Item = &str>| {
        let all: Vec<String> = names.map(literal).collect();
        format!("ARRAY[{}]::pg_catalog.text[]", all.join(", "))
    };
    let extensions = archive.entries.iter().filter(|e| e.kind() == "EXTENSION");
    let mut extensions = extensions.filter_map(|e| e.rest().strip_prefix("- ")).chain(["plpgsql"]);
    STANDING
        .replace("$extensions", &array(&mut extensions))
        .replace("$schemas", &array(&mut part.schemas.iter().map(String::as_str)))
        .replace("$tables", &array(&mut part.tables.iter().map(String::as_str)))
        .replace("$all", if part.is_all() { "true" } else { "false" })
}

/// What asks for [`Seen`], as one line behind this mark.
pub(super) fn glance(archive: &ArchiveList, part: &Part, mark: &str) -> String {
    let mark = literal(mark);
    format!("SELECT {mark} || name FROM (\n{}) s WHERE what = 'print';\n", question(archive, part))
}

impl Seen {
    /// What [`glance`] answers.
    pub(super) fn parse(line: &str) -> Self {
        Self { objects: line.to_owned() }
    }
}

impl Standing {
    /// Looks.
    pub(super) fn look(client: &Client, database: &str, archive: &ArchiveList, part: &Part) -> Result<Self> {
        // Nothing that somebody has put into a schema may stand in for what is asked.
        let sql = format!("SET search_path = ''; {}", question(archive, part));
        let found = client.query(Some(database), &sql)?;
        let row = |fields: &[String]| match fields {
            [what, kind, name, statement] => {
                let [what, kind, name, statement] = [what, kind, name, statement].map(String::clone);
                Some(Row { what, kind, name, statement })
            }
            _ => None,
        };
        let rows: Vec<Row> = found.chunks(4).filter_map(row).collect();
        let print = rows.iter().find(|row| row.what == "print").ok_or_else(|| Error::Upstream {
            system: client.connection.shown(),
            status: None,
            why: format!("it does not say what is in database {database}"),
        })?;
        let seen = Seen::parse(&print.name);
        Ok(Self { rows, seen })
    }

    fn of<'a>(&'a self, what: &'a str) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().filter(move |row| row.what == what)
    }

    /// Takes roles that are going to be made for the user's own.
    pub(super) fn add_roles(&mut self, names: &[String]) {
        let row = |name: &String| Row {
            what: "role".to_owned(),
            kind: "mine".to_owned(),
            name: name.clone(),
            statement: String::new(),
        };
        self.rows.extend(names.iter().map(row));
    }

    /// Beginnings of statements that lock what goes.
    pub(super) fn locks(&self) -> impl Iterator<Item = &str> {
        self.of("lock").filter(|row| row.kind.is_empty()).map(|row| &*row.statement)
    }

    /// The same of tables of the server itself, in which what goes has its rows: these are only kept from being written.
    pub(super) fn catalogs(&self) -> impl Iterator<Item = &str> {
        self.of("lock").filter(|row| !row.kind.is_empty()).map(|row| &*row.statement)
    }

    /// Statements that keep others from taking numbers of sequences that go.
    pub(super) fn numbers(&self) -> impl Iterator<Item = &str> {
        self.of("number").map(|row| &*row.statement)
    }

    /// Statements that drop it, and give what stays the rights that it has in a new database.
    pub(super) fn changes(&self) -> impl Iterator<Item = &str> {
        self.of("drop").chain(self.of("reset")).map(|row| &*row.statement)
    }

    /// Names of what is dropped. Parts of what stays that go with it are among them.
    pub(super) fn drops(&self) -> impl Iterator<Item = String> {
        self.of("drop").map(|row| row.name.clone()).chain(self.of("part").map(|row| row.statement.clone()))
    }

    /// What needs something that goes, and cannot go with it. If only a part is meant, also what could be made again and is not in it.
    pub(super) fn in_way(&self, part: &Part, meant: &ArchiveList) -> Vec<String> {
        let comes = |row: &Row| {
            part.is_all()
                || meant.entries.iter().any(|entry| entry.kind() == row.kind && names(row, entry.rest()))
        };
        let parts = self.of("part").filter(|row| !comes(row));
        self.of("needed").chain(parts).map(|row| row.statement.clone()).collect()
    }

    /// Statements that make again what goes with a part and is not of it: foreign keys of other tables.
    pub(super) fn made_again(&self) -> impl Iterator<Item = &str> {
        self.of("again").map(|row| &*row.statement)
    }

    /// Their names.
    pub(super) fn comes_again(&self) -> impl Iterator<Item = &str> {
        self.of("again").filter(|row| !row.name.is_empty()).map(|row| &*row.name)
    }

    /// What stays, and what of others is not seen, in sentences.
    pub(super) fn stays(&self) -> impl Iterator<Item = String> {
        let objects =
            self.of("stays").map(|row| format!("{}: {} objects stay as they are", row.kind, row.name));
        let others = self.of("subscription").chain(self.of("unseen")).map(|row| row.statement.clone());
        objects.chain(others)
    }

    /// Whether the database itself is the user's.
    pub(super) fn has_database(&self) -> bool {
        self.of("database").next().is_some()
    }

    /// Whether an entry of a list is of this user and not of a role whose rights he does not have. Also a part of something that stays is,
    /// if it goes with what it needs.
    fn is_mine(&self, entry: &ArchiveEntry) -> bool {
        let is_of_nobody = OF_NOBODY.contains(&entry.kind()) || entry.rest().starts_with("- EXTENSION ");
        let is_part = || {
            let mut parts = self.of("part");
            parts.any(|row| entry.kind() == row.kind && names(row, entry.rest()))
        };
        is_of_nobody || self.owner(entry).is_some_and(|role| role.kind == "mine") || is_part()
    }

    fn owner(&self, entry: &ArchiveEntry) -> Option<&Row> {
        let ends = |row: &&Row| entry.line.strip_suffix(&*row.name).is_some_and(|rest| rest.ends_with(' '));
        self.of("role").filter(ends).max_by_key(|row| row.name.len())
    }

    /// Kind, schema and name of an entry of a live list.
    pub(super) fn without_owner<'e>(&self, entry: &'e ArchiveEntry) -> &'e str {
        let owner = self.owner(entry).and_then(|role| entry.line.strip_suffix(&*role.name));
        owner.unwrap_or(&entry.line).trim_end_matches(' ')
    }

    /// Whether an entry of the archive can be restored when what goes is gone; or why not.
    pub(super) fn takes(&self, entry: &ArchiveEntry, archive: &ArchiveList) -> Takes {
        let rest = entry.rest();
        let first = |beginning: &str| rest.strip_prefix(beginning).unwrap_or_default();
        if entry.is_of_database() {
            return Takes::There;
        }
        let is_kept = |row: &&Row| entry.kind() == "SCHEMA" && names(row, first("- "));
        let is_subscribed = |row: &Row| entry.kind() == "SUBSCRIPTION" && names(row, first("- "));
        if self.of("kept").any(|row| is_kept(&row))
            || self.of("subscription").any(is_subscribed)
            || self.of("extension").any(|row| names(row, first("- EXTENSION ")))
        {
            return Takes::There;
        }
        // It was dropped with a function, as a live one would be.
        let of_trigger = |kind: &str| self.of("trigger").any(|row| row.kind == kind && names(row, rest));
        if entry.kind() == "TRIGGER" && of_trigger("may") && !of_trigger("has") {
            return Takes::Yes;
        }
        // Some extensions have tables whose rows are dumped.
        let is_member = |row: &Row| names(row, rest);
        if entry.kind() == "TABLE DATA"
            && self.of("member").any(is_member)
            && !archive.entries.iter().any(|e| e.kind() == "TABLE" && e.rest() == rest)
        {
            return Takes::Not("rows of a table of an extension");
        }
        if self.is_mine(entry) {
            Takes::Yes
        } else {
            Takes::Not("of a role whose rights this user does not have")
        }
    }
}

/// Whether a text begins with the name that a row has.
fn names(row: &Row, text: &str) -> bool {
    text.strip_prefix(&*row.name).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// What becomes of an entry of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// It is restored.
    Yes,
    /// It is there.
    There,
    /// It is left out, and why.
    Not(&'static str),
}
