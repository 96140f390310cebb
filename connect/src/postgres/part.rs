//! A part of a database: tables with everything that belongs to them, and schemas with all that is in them.
//!
//! What belongs to a table is not told by the list of an archive alone: indexes and sequences stand there under their own names. It
//! is read from the definitions.

use std::collections::BTreeSet;
use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::postgres::archive::{ArchiveEntry, ArchiveList};
use crate::postgres::client::Client;
use crate::postgres::restore::Content;
use crate::postgres::sql::identifier;

/// What `pg_restore` may write of definitions.
const ANSWER_MAX: usize = 256 << 20;
/// Kinds of entries whose name begins with that of what they belong to.
const NAMED_AFTER: &[&str] = &[
    "TABLE",
    "TABLE DATA",
    "TABLE ATTACH",
    "VIEW",
    "MATERIALIZED VIEW",
    "MATERIALIZED VIEW DATA",
    "FOREIGN TABLE",
    "SEQUENCE",
    "SEQUENCE SET",
    "SEQUENCE OWNED BY",
    "DEFAULT",
    "CONSTRAINT",
    "CHECK CONSTRAINT",
    "FK CONSTRAINT",
    "TRIGGER",
    "RULE",
    "POLICY",
    "ROW SECURITY",
];
/// Kinds that a name of a part may be of, and by which rights and comments name what they are of.
const NAMED: &[&str] = &["TABLE", "FOREIGN TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE"];

/// Which part of a database is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Part {
    /// Schemas with all that is in them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<String>,
    /// Tables, views and sequences as `schema.name`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
}

impl Part {
    /// Whether everything is meant.
    pub fn is_all(&self) -> bool {
        self.schemas.is_empty() && self.tables.is_empty()
    }

    /// What an archive has of it, by full names: a table may be named without its schema if only one schema has it. An error names
    /// those that have it.
    pub fn within(&self, archive: &ArchiveList) -> Result<Self> {
        let has_schema = |schema: &&String| {
            archive.entries.iter().any(|entry| {
                after(entry.rest(), schema).is_some_and(|rest| !rest.is_empty())
                    || entry.kind() == "SCHEMA"
                        && after(entry.rest(), "-").is_some_and(|r| after(r, schema).is_some())
            })
        };
        let schemas = self.schemas.iter().filter(has_schema).cloned().collect();
        let mut tables = Vec::new();
        for wanted in &self.tables {
            let named = named(archive, wanted);
            match named.iter().collect::<Vec<_>>().as_slice() {
                [] => {}
                [one] => tables.push((*one).clone()),
                several => {
                    let all: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
                    return Err(Error::Invalid(format!("{wanted:?} fits {}", all.join(", "))));
                }
            }
        }
        Ok(Self { schemas, tables })
    }

    /// The entries of an archive that belong to it.
    pub(super) fn of(
        &self,
        client: &Client,
        archive: &ArchiveList,
        content: &mut Content<'_>,
    ) -> Result<ArchiveList> {
        if self.is_all() {
            return Ok(archive.clone());
        }
        let definitions = client
            .local("pg_restore", &["--schema-only", "--file=-"])
            .feed(ANSWER_MAX, |into: &mut dyn Write| content(into))?;
        let definitions = String::from_utf8_lossy(&definitions);
        let blocks: Vec<Block<'_>> = definitions.split("\n--\n-- Name: ").filter_map(Block::parse).collect();
        let pairs = self.tables.iter().filter_map(|table| table.split_once('.'));
        let tables: Vec<Belonging<'_>> =
            pairs.map(|(schema, table)| Belonging::of(&blocks, schema, table)).collect();
        let belongs = |entry: &&ArchiveEntry| {
            self.schemas.iter().any(|schema| is_in(entry, schema))
                || tables.iter().any(|table| table.has(entry))
        };
        Ok(ArchiveList {
            entries: archive.entries.iter().filter(belongs).cloned().collect(),
            ..archive.clone()
        })
    }
}

/// What follows a name at the beginning of a text.
fn after<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.strip_prefix(name)?.strip_prefix(' ')
}

/// Full names of what is called so. Names with blanks in them cannot be told from owners: these are taken by their full name.
fn named(archive: &ArchiveList, wanted: &str) -> BTreeSet<String> {
    let all = archive.entries.iter().filter(|entry| NAMED.contains(&entry.kind()));
    let name = |entry: &ArchiveEntry| {
        let (schema, rest) = entry.rest().split_once(' ')?;
        let is_full = wanted.strip_prefix(schema).and_then(|w| w.strip_prefix('.'));
        let is_it = is_full.is_some_and(|name| after(rest, name).is_some()) || after(rest, wanted).is_some();
        let name = if is_full.is_some_and(|name| after(rest, name).is_some()) {
            wanted.to_owned()
        } else {
            format!("{schema}.{wanted}")
        };
        is_it.then_some(name)
    };
    all.filter_map(name).collect()
}

/// Whether an entry is of a schema or in it.
fn is_in(entry: &ArchiveEntry, schema: &str) -> bool {
    if after(entry.rest(), schema).is_some() {
        return true;
    }
    let Some(of_none) = after(entry.rest(), "-") else { return false };
    let of_schema = if entry.kind() == "SCHEMA" { Some(of_none) } else { after(of_none, "SCHEMA") };
    of_schema.is_some_and(|rest| after(rest, schema).is_some())
}

/// What belongs to a table.
struct Belonging<'t> {
    schema: &'t str,
    table: &'t str,
    /// Kinds and names of what names the table in its definition: indexes and sequences.
    names: BTreeSet<(&'t str, &'t str)>,
}

impl<'t> Belonging<'t> {
    fn of(blocks: &'t [Block<'t>], schema: &'t str, table: &'t str) -> Self {
        let full = [schema, table].map(bare).join(".");
        let own = blocks.iter().filter(|b| b.schema == schema && b.is_of(&full));
        let mut names: BTreeSet<(&str, &str)> = own.map(|b| (kind_of(b.kind), b.name)).collect();
        let owned: Vec<&str> =
            names.iter().filter(|(kind, _)| *kind == "SEQUENCE").map(|(_, name)| *name).collect();
        names.extend(owned.iter().flat_map(|name| [("SEQUENCE SET", *name), ("SEQUENCE OWNED BY", *name)]));
        Self { schema, table, names }
    }

    fn has(&self, entry: &ArchiveEntry) -> bool {
        let Some(rest) = after(entry.rest(), self.schema) else { return false };
        let kind = entry.kind();
        let begins = |name: &str| after(rest, name).is_some();
        if NAMED_AFTER.contains(&kind) && begins(self.table) {
            return true;
        }
        if matches!(kind, "ACL" | "COMMENT" | "SECURITY LABEL") {
            let of_column = rest.strip_prefix("COLUMN ").and_then(|r| r.strip_prefix(self.table));
            let of_part = rest.contains(&format!(" ON {} ", self.table));
            return NAMED.iter().any(|kind| begins(&format!("{kind} {}", self.table)))
                || of_column.is_some_and(|r| r.starts_with('.'))
                || of_part
                || self.names.iter().any(|(kind, name)| begins(&format!("{kind} {name}")));
        }
        self.names.iter().any(|(known, name)| *known == kind && begins(name))
    }
}

/// A definition in a script of `pg_restore`, with its heading.
struct Block<'t> {
    name: &'t str,
    kind: &'t str,
    schema: &'t str,
    sql: &'t str,
}

impl<'t> Block<'t> {
    fn parse(text: &'t str) -> Option<Self> {
        let (heading, sql) = text.split_once("\n--\n")?;
        let (name, rest) = heading.split_once("; Type: ")?;
        let (kind, rest) = rest.split_once("; Schema: ")?;
        Some(Self { name, kind, schema: rest.split_once(';')?.0, sql })
    }

    /// Whether its definition says that it belongs to the table `full`.
    fn is_of(&self, full: &str) -> bool {
        let says = |beginning: &str, end: char| self.sql.contains(&format!("{beginning}{full}{end}"));
        match self.kind {
            "INDEX" => says(" ON ", ' ') || says(" ON ONLY ", ' '),
            "SEQUENCE OWNED BY" => says(" OWNED BY ", '.'),
            "SEQUENCE" => self.sql.trim_start().starts_with(&format!("ALTER TABLE {full} ALTER COLUMN ")),
            "STATISTICS" => says(" FROM ", ';'),
            "PUBLICATION TABLE" => says(" ONLY ", ';') || says(" ONLY ", ' '),
            _ => false,
        }
    }
}

fn kind_of(kind: &str) -> &str {
    if kind == "SEQUENCE OWNED BY" { "SEQUENCE" } else { kind }
}

/// A name as the programs write it.
fn bare(name: &str) -> String {
    let is_plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if is_plain { name.to_owned() } else { identifier(name) }
}
