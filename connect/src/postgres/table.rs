//! One table of a stored database back into a live one, with everything that belongs to it.
//!
//! What belongs to a table is not told by the list of an archive alone: indexes and sequences stand there under their own names. It
//! is read from the definitions. The table that is there is dropped and the stored one made in its place, in one transaction; if
//! another object needs the one that is there, nothing is changed and the server's sentence says which.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::postgres::archive::{ArchiveEntry, ArchiveList};
use crate::postgres::client::Client;
use crate::postgres::restore::Content;
use crate::postgres::sql::identifier;

/// What `pg_restore` may write of definitions.
const ANSWER_MAX: usize = 256 << 20;
/// Kinds of entries whose name begins with that of their table.
const NAMED_AFTER_TABLE: &[&str] = &[
    "TABLE",
    "TABLE DATA",
    "DEFAULT",
    "CONSTRAINT",
    "CHECK CONSTRAINT",
    "FK CONSTRAINT",
    "TRIGGER",
    "RULE",
    "POLICY",
    "ROW SECURITY",
];

/// Which table goes where.
#[derive(Clone, Debug)]
pub struct TableRestore {
    /// The server and its programs.
    pub client: Client,
    /// The live database.
    pub database: String,
    /// The table, with its schema if several schemas have one of that name.
    pub table: String,
    /// How long the restore may take.
    pub time_limit: Option<Duration>,
}

/// The entries of the archive that [`restore_table`] would restore; nothing is changed.
pub fn plan_table(options: &TableRestore, content: &mut Content<'_>) -> Result<Vec<ArchiveEntry>> {
    let client = &options.client;
    let list = client.list(|into| content(into))?;
    let tables = list.entries.iter().filter_map(ArchiveEntry::table);
    let named: BTreeSet<(&str, &str)> = tables
        .filter(|(schema, name)| {
            options.table == *name || options.table.split_once('.') == Some((*schema, *name))
        })
        .collect();
    let (schema, name) = match named.iter().collect::<Vec<_>>().as_slice() {
        [one] => **one,
        [] => return Err(Error::NotFound { what: "table", name: options.table.clone() }),
        several => {
            let all: Vec<String> = several.iter().map(|(schema, name)| format!("{schema}.{name}")).collect();
            return Err(Error::Invalid(format!("{:?} fits {}", options.table, all.join(", "))));
        }
    };
    let definitions =
        client.local("pg_restore", &["--schema-only", "--file=-"]).feed(ANSWER_MAX, |into| content(into))?;
    let definitions = String::from_utf8_lossy(&definitions).into_owned();
    Ok(belonging(&list, &definitions, schema, name))
}

/// Restores one table; gives the entries that were.
pub fn restore_table(options: &TableRestore, content: &mut Content<'_>) -> Result<Vec<ArchiveEntry>> {
    let client = &options.client;
    let entries = plan_table(options, content)?;
    let server = client.server(Some(&options.database))?;
    client.check_version("pg_restore", &server)?;
    let numbers: Vec<u32> = entries.iter().map(|e| e.number).collect();
    let database = options.database.replace('\\', "\\\\").replace('\'', "\\'");
    let target = format!("--dbname=dbname='{database}'");
    let arguments =
        ["--clean", "--if-exists", "--single-transaction", "--exit-on-error", "--no-password", &target];
    let restore =
        client.choosing(&numbers, &arguments, Some(&options.database)).time_limit(options.time_limit);
    restore
        .feed(ANSWER_MAX, |into| content(into))
        .map_err(|e| Error::Undone(Box::new(client.of_server(e))))?;
    Ok(entries)
}

/// The entries of a table and of what belongs to it, in the order of the archive.
fn belonging(list: &ArchiveList, definitions: &str, schema: &str, table: &str) -> Vec<ArchiveEntry> {
    let blocks: Vec<Block> = definitions.split("\n--\n-- Name: ").filter_map(Block::parse).collect();
    let full = [schema, table].map(bare).join(".");
    let own = blocks.iter().filter(|b| b.schema == schema && b.is_of(&full));
    // What names the table in its definition: indexes and sequences.
    let mut names: BTreeSet<(&str, &str)> = own.map(|b| (kind_of(b.kind), b.name)).collect();
    let owned: Vec<&str> =
        names.iter().filter(|(kind, _)| *kind == "SEQUENCE").map(|(_, name)| *name).collect();
    names.extend(owned.iter().flat_map(|name| [("SEQUENCE SET", *name), ("SEQUENCE OWNED BY", *name)]));
    let belongs = |entry: &&ArchiveEntry| {
        let Some(rest) = entry.rest().strip_prefix(schema).and_then(|r| r.strip_prefix(' ')) else {
            return false;
        };
        let kind = entry.kind();
        let begins = |name: &str| rest.strip_prefix(name).is_some_and(|r| r.starts_with(' '));
        if NAMED_AFTER_TABLE.contains(&kind) {
            return begins(table);
        }
        if matches!(kind, "ACL" | "COMMENT" | "SECURITY LABEL") {
            let of_column = rest.strip_prefix("COLUMN ").and_then(|r| r.strip_prefix(table));
            let of_part = rest.contains(&format!(" ON {table} "));
            let of_named = |(kind, name): &(&str, &str)| begins(&format!("{kind} {name}"));
            return begins(&format!("TABLE {table}"))
                || of_column.is_some_and(|r| r.starts_with('.'))
                || of_part
                || names.iter().any(of_named);
        }
        names.iter().any(|(known, name)| *known == kind && begins(name))
    };
    list.entries.iter().filter(belongs).cloned().collect()
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
