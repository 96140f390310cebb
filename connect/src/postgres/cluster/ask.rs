//! What a restored database holds: asked as somebody wrote it down, and counted.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::assertions::{Asked, Assertions, Proof};
use crate::error::{Error, Result};
use crate::postgres::client::Client;
use crate::postgres::cluster::{ANSWER_MAX, Cluster, PATIENCE};
use crate::postgres::sql::literal;

/// Tables that are counted by one statement, which is an argument of at most 128 KiB.
const COUNTED_AT_ONCE: usize = 200;
/// The tables of a database, but for those of extensions, which bring their rows themselves.
const TABLES: &str = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT EXISTS \
    (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e') \
    ORDER BY 1";

impl Cluster {
    /// Its own version, if it is older than `version`.
    pub fn is_older_than(&self, version: &str) -> Result<Option<String>> {
        let digits = version.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        let own = self.client.server(None)?;
        Ok(digits.parse::<u32>().is_ok_and(|major| major > own.major).then_some(own.version))
    }
}

impl Client {
    /// Looks at what a database has to hold.
    pub fn prove(
        &self,
        database: &str,
        assertions: &Assertions,
        time_limit: Option<Duration>,
        proof: &mut Proof,
    ) {
        assertions.check(&Database { client: self, name: database, time_limit }, proof);
    }

    /// The tables of a database, and how many rows each has.
    pub fn rows(&self, database: &str, time_limit: Option<Duration>) -> Result<BTreeMap<String, u64>> {
        let tables = self.query(Some(database), TABLES)?;
        let mut rows = BTreeMap::new();
        for some in tables.chunks(COUNTED_AT_ONCE) {
            let counts: Vec<String> =
                some.iter().map(|table| format!("(SELECT pg_catalog.count(*) FROM {table})")).collect();
            let sql = format!("SELECT {}", counts.join(", "));
            let arguments = ["-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", &sql];
            let psql = self.program("psql", &arguments, Some(database));
            let said = psql.time_limit(time_limit).output(ANSWER_MAX).map_err(|e| self.of_server(e))?;
            let said = String::from_utf8_lossy(&said).trim_end().to_owned();
            let numbers = said.split('|').map(|number| number.parse().unwrap_or(0));
            rows.extend(some.iter().cloned().zip(numbers));
        }
        Ok(rows)
    }
}

struct Database<'c> {
    client: &'c Client,
    name: &'c str,
    time_limit: Option<Duration>,
}

impl Database<'_> {
    fn one(&self, sql: &str) -> Result<String> {
        Ok(self.client.query(Some(self.name), sql)?.into_iter().next().unwrap_or_default())
    }
}

impl Asked for Database<'_> {
    fn rows(&self, table: &str) -> Result<u64> {
        let named = self.one(&format!("SELECT to_regclass({})", literal(table)))?;
        if named.is_empty() {
            return Err(Error::NotFound { what: "table", name: table.to_owned() });
        }
        let counted = self.one(&format!("SELECT count(*) FROM {named}"))?;
        Ok(counted.parse().unwrap_or(0))
    }

    fn has(&self, object: &str) -> Result<bool> {
        let name = literal(object);
        let sql = if object.contains('(') {
            format!("SELECT to_regprocedure({name}) IS NOT NULL")
        } else {
            format!(
                "SELECT to_regclass({name}) IS NOT NULL OR to_regtype({name}) IS NOT NULL OR to_regnamespace({name}) IS NOT NULL \
                 OR EXISTS (SELECT FROM pg_catalog.pg_proc WHERE proname = {name}) \
                 OR EXISTS (SELECT FROM pg_catalog.pg_policy WHERE polname = {name}) \
                 OR EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgname = {name}) \
                 OR EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = {name})"
            )
        };
        Ok(self.one(&sql)? == "t")
    }

    fn answer(&self, sql: &str) -> Result<String> {
        let arguments = ["-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql];
        let limit = self.time_limit.or(Some(PATIENCE));
        let psql = self.client.program("psql", &arguments, Some(self.name)).time_limit(limit);
        let said = psql.output(ANSWER_MAX).map_err(|e| self.client.of_server(e))?;
        Ok(String::from_utf8_lossy(&said).trim_end_matches('\n').to_owned())
    }
}
