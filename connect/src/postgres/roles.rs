//! Roles of a stored `globals.sql` that a server lacks. Roles that are there stay as they are.

use std::collections::BTreeSet;
use std::io::Write;

use crate::error::{Error, Result};
use crate::postgres::client::Client;
use crate::postgres::sql::{leading_name, statements};

/// What `psql` says when it makes roles.
const ANSWER_MAX: usize = 1 << 20;

/// Statements that make what is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Missing {
    /// Names of the roles.
    pub(super) roles: Vec<String>,
    statements: Vec<String>,
}

/// What makes those roles of `globals` that are not among `there`.
pub(super) fn missing(globals: &str, there: &[String]) -> Missing {
    let all = statements(globals);
    let made = all.iter().filter_map(|s| leading_name(s.strip_prefix("CREATE ROLE ")?));
    let roles: BTreeSet<String> = made.map(|(name, _)| name).filter(|name| !there.contains(name)).collect();
    let of_missing = |statement: &&String| {
        // A statement with a backslash could be taken for a command of the program that runs it.
        !statement.contains('\\') && subjects(statement).iter().any(|name| roles.contains(name))
    };
    let statements = all.iter().filter(of_missing).cloned().collect();
    Missing { roles: roles.into_iter().collect(), statements }
}

/// The roles that a statement is about.
fn subjects(statement: &str) -> Vec<String> {
    for beginning in ["CREATE ROLE ", "ALTER ROLE ", "COMMENT ON ROLE "] {
        if let Some(rest) = statement.strip_prefix(beginning) {
            return leading_name(rest).into_iter().map(|(name, _)| name).collect();
        }
    }
    let Some(rest) = statement.strip_prefix("GRANT ") else { return Vec::new() };
    let Some((role, rest)) = leading_name(rest) else { return Vec::new() };
    let member = rest.strip_prefix(" TO ").and_then(leading_name);
    member.map(|(member, _)| vec![role, member]).unwrap_or_default()
}

impl Client {
    /// Makes the roles of `globals` that the server lacks, all or none; gives their names.
    pub(super) fn make_roles(&self, globals: &str, database: &str) -> Result<Vec<String>> {
        let there = self.query(Some(database), "SELECT rolname FROM pg_catalog.pg_roles")?;
        let missing = missing(globals, &there);
        if missing.statements.is_empty() {
            return Ok(Vec::new());
        }
        // Not as an argument: passwords are in it, if only as hashes.
        let psql = self.program(
            "psql",
            &["-X", "-w", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", "-"],
            Some(database),
        );
        let write = |into: &mut dyn Write| {
            let mut all = missing.statements.iter();
            all.try_for_each(|s| writeln!(into, "{s};")).map_err(|e| Error::file("the roles", e))
        };
        psql.feed(ANSWER_MAX, write).map_err(|e| self.of_server(e))?;
        Ok(missing.roles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_about_missing_roles_is_run() {
        let globals = "CREATE ROLE owner;\nALTER ROLE owner WITH LOGIN PASSWORD 'x';\nCREATE ROLE \"Clerk 2\";\n\
                       ALTER ROLE \"Clerk 2\" WITH NOSUPERUSER;\nCREATE ROLE evil; \\! touch x\n\
                       GRANT owner TO \"Clerk 2\" GRANTED BY owner;\nGRANT owner TO postgres;\nCREATE TABLESPACE t LOCATION '/x';\n";
        let found = missing(globals, &["owner".to_owned(), "postgres".to_owned()]);
        assert_eq!(found.roles, ["Clerk 2", "evil"]);
        let expected =
            ["CREATE ROLE \"Clerk 2\"", "ALTER ROLE \"Clerk 2\" WITH NOSUPERUSER", "CREATE ROLE evil"];
        assert_eq!(found.statements, expected);
    }
}
