//! The archives of `pg_dump`: their table of contents, and the one place in them that differs from dump to dump.
//!
//! An archive of an untouched database begins with the time it was made; all else is the same each time. That time is for people
//! only, and nothing is found by it, so it is set to the beginning of 1970: an untouched database is then seen to be unchanged.

use std::collections::BTreeSet;
use std::io::Read;

use crate::error::{Error, Result};
use crate::postgres::client::Client;

/// What the list of an archive may be: about a million entries.
pub(super) const LIST_MAX: usize = 256 << 20;
const MAGIC: &[u8] = b"PGDMP";
/// Versions of the format whose beginning is known: 1.12 to 1.16, of PostgreSQL 9.6 to 18.
const VERSIONS: std::ops::RangeInclusive<u8> = 12..=16;
/// From this version on the compression is one byte.
const COMPRESSION_IS_A_BYTE: u8 = 15;
/// Seconds, minutes, hours, day, month, years since 1900, daylight saving time of 1970-01-01 00:00.
const TIME: [u8; 7] = [0, 0, 0, 1, 0, 70, 0];
/// No beginning is longer.
const BEGINNING: u64 = 128;

/// The beginning of an archive without its time, to be stored in place of the original. Anything else comes back as it is.
pub(super) fn normal_beginning(from: &mut dyn Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(BEGINNING).read_to_end(&mut bytes).map_err(|e| Error::file("the dump", e))?;
    if let Some(normal) = without_time(&bytes) {
        bytes = normal;
    }
    Ok(bytes)
}

/// Magic, three numbers of the version, bytes of an integer and of an offset, format, compression, time. An integer is a sign and
/// its bytes, the lowest first.
fn without_time(bytes: &[u8]) -> Option<Vec<u8>> {
    let [1, minor, _, integer, _, _] = *bytes.strip_prefix(MAGIC)?.first_chunk::<6>()? else { return None };
    if !VERSIONS.contains(&minor) || !(1..=8).contains(&integer) {
        return None;
    }
    let width = usize::from(integer) + 1;
    let compression = if minor >= COMPRESSION_IS_A_BYTE { 1 } else { width };
    let start = MAGIC.len() + 6 + compression;
    let mut normal = bytes.to_vec();
    for (number, value) in TIME.iter().enumerate() {
        let field = normal.get_mut(start + number * width..start + (number + 1) * width)?;
        field.fill(0);
        *field.get_mut(1)? = *value;
    }
    Some(normal)
}

/// One line of the list of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveEntry {
    /// Its number in the archive, by which a restore chooses.
    pub number: u32,
    /// Kind, schema (`-` if it has none), name, owner, as `pg_restore --list` writes them: `TABLE public orders shop`.
    pub line: String,
}

/// Kinds of several words, the longer ones of one beginning first.
const KINDS: &[&str] = &[
    "TABLE DATA",
    "TABLE ATTACH",
    "SEQUENCE SET",
    "SEQUENCE OWNED BY",
    "MATERIALIZED VIEW DATA",
    "MATERIALIZED VIEW",
    "FK CONSTRAINT",
    "CHECK CONSTRAINT",
    "ROW SECURITY",
    "DEFAULT ACL",
    "INDEX ATTACH",
    "EVENT TRIGGER",
    "FOREIGN TABLE",
    "FOREIGN DATA WRAPPER",
    "FOREIGN SERVER",
    "USER MAPPING",
    "SECURITY LABEL",
    "DATABASE PROPERTIES",
    "PUBLICATION TABLES IN SCHEMA",
    "PUBLICATION TABLE",
    "LARGE OBJECT METADATA",
    "BLOB METADATA",
    "BLOB COMMENTS",
    "OPERATOR CLASS",
    "OPERATOR FAMILY",
    "ACCESS METHOD",
    "TEXT SEARCH CONFIGURATION",
    "TEXT SEARCH DICTIONARY",
    "TEXT SEARCH PARSER",
    "TEXT SEARCH TEMPLATE",
    "STATISTICS DATA",
    "PROCEDURAL LANGUAGE",
    "SHELL TYPE",
];

impl ArchiveEntry {
    /// `TABLE`, `FUNCTION`, `FK CONSTRAINT`, …
    pub fn kind(&self) -> &str {
        let known =
            KINDS.iter().find(|kind| self.line.strip_prefix(**kind).is_some_and(|r| r.starts_with(' ')));
        known.copied().unwrap_or_else(|| self.line.split(' ').next().unwrap_or_default())
    }

    /// What follows the kind: schema, name, owner.
    pub(super) fn rest(&self) -> &str {
        self.line.get(self.kind().len()..).unwrap_or_default().trim_start()
    }

    /// Schema and name of a table, `None` for anything else. Names with blanks in them cannot be told from owners.
    pub fn table(&self) -> Option<(&str, &str)> {
        if !matches!(self.kind(), "TABLE" | "FOREIGN TABLE") {
            return None;
        }
        let (schema, rest) = self.rest().split_once(' ')?;
        Some((schema, rest.rsplit_once(' ').map_or(rest, |(name, _)| name)))
    }

    /// Whether it is rows and not a definition.
    pub(super) fn is_data(&self) -> bool {
        let data = ["TABLE DATA", "SEQUENCE SET", "MATERIALIZED VIEW DATA", "STATISTICS DATA"];
        let kind = self.kind();
        data.contains(&kind) || kind.starts_with("BLOB") || kind.starts_with("LARGE OBJECT")
    }

    /// Whether it is of the database itself and not of what is in it.
    pub(super) fn is_of_database(&self) -> bool {
        matches!(self.kind(), "DATABASE" | "DATABASE PROPERTIES") || self.rest().starts_with("- DATABASE ")
    }
}

/// The list of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchiveList {
    /// Its entries, in the order in which they are restored.
    pub entries: Vec<ArchiveEntry>,
    /// Database that it is of.
    pub database: String,
    /// Version of the server that it is of.
    pub server: String,
}

impl ArchiveList {
    /// What `pg_restore --list` wrote.
    pub(super) fn parse(text: &str) -> Self {
        let entry = |line: &str| {
            let (number, rest) = line.split_once("; ")?;
            // Two numbers of the catalogue say nothing outside of their server.
            let line = rest.splitn(3, ' ').nth(2)?;
            Some(ArchiveEntry { number: number.parse().ok()?, line: line.trim_end().to_owned() })
        };
        let header = |name: &str| {
            let line = text.lines().find_map(|l| l.strip_prefix(';')?.trim_start().strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        Self {
            entries: text.lines().filter_map(entry).collect(),
            database: header("dbname:"),
            server: header("Dumped from database version:"),
        }
    }

    /// Its tables as `schema.name`.
    pub fn tables(&self) -> BTreeSet<String> {
        let tables = self.entries.iter().filter_map(ArchiveEntry::table);
        tables.map(|(schema, name)| format!("{schema}.{name}")).collect()
    }

    /// Whether it has a table of this name, with or without its schema.
    pub fn has_table(&self, wanted: &str) -> bool {
        let mut tables = self.entries.iter().filter_map(ArchiveEntry::table);
        tables.any(|(schema, name)| {
            name == wanted || wanted.split_once('.').is_some_and(|(s, n)| (s, n) == (schema, name))
        })
    }
}

impl Client {
    /// The list of the archive that `content` writes. No server is spoken to.
    pub fn list(&self, content: impl FnOnce(&mut dyn std::io::Write) -> Result<()>) -> Result<ArchiveList> {
        // Entries of the database itself are left out otherwise.
        let restore = self.local("pg_restore", &["--list", "--create"]);
        let listed = restore.feed(LIST_MAX, content).map_err(damaged)?;
        let list = ArchiveList::parse(&String::from_utf8_lossy(&listed));
        if list.entries.is_empty() && list.database.is_empty() {
            let why = "pg_restore lists nothing in it".to_owned();
            return Err(Error::Damaged { what: "the archive".to_owned(), why });
        }
        Ok(list)
    }

    /// Reads the archive that `content` writes to its end, as a restore would, without a server.
    pub fn read_through(&self, content: impl FnOnce(&mut dyn std::io::Write) -> Result<()>) -> Result<()> {
        let restore = self.local("pg_restore", &["--exit-on-error", "--file=/dev/null"]);
        restore.feed(LIST_MAX, content).map(drop).map_err(damaged)
    }

    /// A program that needs no server.
    pub(super) fn local(&self, name: &str, arguments: &[&str]) -> crate::process::Process {
        let words = arguments.iter().map(std::ffi::OsString::from);
        crate::process::Process::new(std::iter::once(self.path(name)).chain(words))
            .prefix(self.prefix.clone())
    }
}

fn damaged(error: Error) -> Error {
    match error {
        Error::Command { why, .. } if !why.contains("No such file") => {
            Error::Damaged { what: "the archive".to_owned(), why }
        }
        other => other,
    }
}
