//! Tables and rows of a database, as its statistics tell that were made anew just before: making them has read every page of all but the
//! biggest tables, so that these numbers are exact and cost nothing more.

use crate::error::Result;
use crate::postgres::client::Client;
use crate::postgres::part::Part;
use crate::postgres::sql::literal;

/// What is in a database, or in a part of it, but for what belongs to extensions and to roles whose rights the user does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Tables.
    pub tables: u64,
    /// Rows in them.
    pub rows: u64,
    /// Whether all pages of all tables were read for that; if not, the rows are an estimate.
    pub is_exact: bool,
}

/// How the server makes statistics (those of a partitioned table are of the rows of its parts): it reads 300 pages for each step of the target that a column has, or all if there are no more.
const COUNTED: &str = "SET search_path = ''; SELECT count(*), coalesce(sum(greatest(c.reltuples, 0)::pg_catalog.int8) FILTER (WHERE c.relkind = 'r'), 0),
    coalesce(bool_and(CASE WHEN c.relkind = 'p' THEN true WHEN c.reltuples > 0 THEN c.relpages <= 300 * coalesce(t.least, 0)
        ELSE pg_catalog.pg_relation_size(c.oid) = 0 END), true)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, LATERAL (
        SELECT min(CASE WHEN a.attstattarget >= 0 THEN a.attstattarget
            ELSE pg_catalog.current_setting('default_statistics_target')::pg_catalog.int4 END) AS least
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) t
    WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')";

impl Client {
    /// Counts what is in a database by statistics that were made just now.
    pub(super) fn counted(&self, database: &str, part: &Part) -> Result<Counted> {
        let array = |names: &[String]| {
            let all: Vec<String> = names.iter().map(|name| literal(name)).collect();
            format!("ARRAY[{}]::pg_catalog.text[]", all.join(", "))
        };
        let only = if part.is_all() {
            String::new()
        } else {
            let (schemas, tables) = (array(&part.schemas), array(&part.tables));
            format!(" AND (n.nspname = ANY ({schemas}) OR n.nspname || '.' || c.relname = ANY ({tables}))")
        };
        let found = self.query(Some(database), &format!("{COUNTED}{only}"))?;
        let number = |text: &String| text.parse::<u64>().ok();
        match found.as_slice() {
            [tables, rows, is_exact] => number(tables).zip(number(rows)).map(|(tables, rows)| Counted {
                tables,
                rows,
                is_exact: is_exact == "t",
            }),
            _ => None,
        }
        .ok_or_else(|| self.unexpected("its tables", &found.join(" ")))
    }
}
