//! A script of `pg_dump` into a server of one's own.
//!
//! What always holds: whatever else than statements is in it is refused: a command of the client could speak to another server.

use std::io::{self, Write};
use std::path::Path;

use crate::error::{Error, Result};
use crate::names::random_name;
use crate::postgres::client::of_server;
use crate::postgres::cluster::{ANSWER_MAX, Cluster, KEPT, SUPERUSER};
use crate::postgres::restore::Content;
use crate::postgres::sql::{identifier, literal};
use crate::process::Process;
use crate::secret::Secret;

/// Longest line that is looked at as a whole.
const LINE_MAX: usize = 4 << 10;
/// Letters behind a backslash at the beginning of a line by which rows go on; all others are commands of the client.
const OF_ROWS: &[u8] = b"Nbfnrtv\\.0123456789";

/// The database that a server makes others of, if nobody says otherwise.
const TEMPLATE: &str = "template1";

/// How a script is run.
#[derive(Clone, Copy, Debug)]
struct Manner {
    /// What comes before it connects is left out: the database is there.
    from_connect: bool,
    /// Rows are left out, and what fails keeps nothing else from being run.
    is_trial: bool,
}

impl Cluster {
    /// Runs a script into a new database; it has to come to its end. `from_connect`: it connects to that database itself, and what
    /// comes before makes it.
    pub fn run_script(&self, database: &str, from_connect: bool, content: &mut Content<'_>) -> Result<()> {
        self.make_database(database)?;
        let manner = Manner { from_connect, is_trial: false };
        self.feed_script(database, manner, content).map(drop)
    }

    /// What the server says of the definitions of a script.
    pub(super) fn try_definitions(
        &self,
        database: &str,
        from_connect: bool,
        content: &mut Content<'_>,
    ) -> Result<String> {
        self.make_database(database)?;
        let said = self.feed_script(database, Manner { from_connect, is_trial: true }, content);
        self.drop_database(database)?;
        said
    }

    /// Makes a database; one of that name goes.
    pub(super) fn make_database(&self, database: &str) -> Result<()> {
        let name = identifier(database);
        // Nobody drops the one that they are connected to.
        let from = (database == SUPERUSER).then_some(TEMPLATE);
        self.remove_database(database, from)?;
        self.client.query(from, &format!("CREATE DATABASE {name} TEMPLATE template0")).map(drop)
    }

    /// Gives the room of a database back.
    pub fn drop_database(&self, database: &str) -> Result<()> {
        // Without these nothing connects; who needs one of them empty makes it anew.
        if [SUPERUSER, TEMPLATE].contains(&database) {
            return Ok(());
        }
        self.remove_database(database, None)
    }

    fn remove_database(&self, database: &str, from: Option<&str>) -> Result<()> {
        // One that others are made of is not dropped.
        let plain = "UPDATE pg_catalog.pg_database SET datistemplate = false WHERE datname =";
        self.client.query(from, &format!("{plain} {}", literal(database)))?;
        self.client.query(from, &format!("DROP DATABASE IF EXISTS {}", identifier(database))).map(drop)
    }

    fn feed_script(&self, database: &str, manner: Manner, content: &mut Content<'_>) -> Result<String> {
        let stops = if manner.is_trial { "ON_ERROR_STOP=0" } else { "ON_ERROR_STOP=1" };
        let arguments =
            ["-X", "-w", "-q", "-v", stops, "-v", "VERBOSITY=terse", "-f", "-", "-o", "/dev/null"];
        let key = self.knows_restriction()?.then(random_name).transpose()?;
        let fill = |into: &mut dyn Write| {
            let mut statements = Statements::new(into, manner, key.as_deref())?;
            content(&mut statements)?;
            statements.end()
        };
        let psql = self.bare("psql", &arguments, database).time_limit(self.options.time_limit);
        psql.feed_told(ANSWER_MAX, fill).map_err(|e| of_server(&self.client.connection.shown(), e))
    }

    /// Whether the client can be kept to statements. Older ones run what a script says, with the rights that the server itself has
    /// and gives to statements.
    fn knows_restriction(&self) -> Result<bool> {
        let help = self.client.local("psql", &["--help=commands"]).output(ANSWER_MAX)?;
        Ok(String::from_utf8_lossy(&help).contains("\\restrict"))
    }

    /// A client that knows no server but this one, and may not do more than that.
    pub(super) fn bare(&self, program: &str, arguments: &[&str], database: &str) -> Process {
        let nothing = || Secret::new("/dev/null");
        let process = self.client.program(program, arguments, Some(database)).with_only(&KEPT);
        let process = process.account(self.options.account).working_directory(&self.options.folder);
        let process = process.variable("HOME", Secret::new(&*self.options.folder.to_string_lossy()));
        process.variable("PGPASSFILE", nothing()).variable("PGSERVICEFILE", nothing())
    }
}

/// What the client does not take any more.
fn untaken(error: io::Error) -> Error {
    Error::file(Path::new("psql"), error)
}

/// A script on its way to a client that takes nothing but statements from it: the client is restricted before the first line, and the
/// lines by which the script itself would begin and end that are left out.
struct Statements<'w> {
    into: &'w mut dyn Write,
    manner: Manner,
    is_restricted: bool,
    line: Vec<u8>,
    /// Of a line that is longer than what could be such a one: whether it is left out, as its beginning was.
    goes_on: Option<bool>,
    /// Nothing is passed on until it connects.
    waits: bool,
    /// The line by which it did.
    connect: Vec<u8>,
    /// Rows come.
    in_rows: bool,
}

impl<'w> Statements<'w> {
    fn new(into: &'w mut dyn Write, manner: Manner, key: Option<&str>) -> Result<Self> {
        if let Some(key) = key {
            writeln!(into, "\\restrict {key}").map_err(untaken)?;
        }
        let (line, waits) = (Vec::new(), manner.from_connect);
        let is_restricted = key.is_some();
        let connect = Vec::new();
        Ok(Self { into, manner, is_restricted, line, goes_on: None, waits, connect, in_rows: false })
    }

    /// Gives the line to the client, or leaves it out.
    fn pass(&mut self, is_whole: bool) -> io::Result<()> {
        let is_left_out = self.goes_on.map_or_else(|| self.leaves_out(), Ok)?;
        if !is_left_out {
            self.into.write_all(&self.line)?;
        }
        self.goes_on = (!is_whole).then_some(is_left_out);
        self.line.clear();
        Ok(())
    }

    /// Whether the line that begins is none for the client.
    fn leaves_out(&mut self) -> io::Result<bool> {
        let line = self.line.as_slice();
        if self.waits {
            self.waits = !line.starts_with(b"\\connect ");
            if !self.waits {
                self.connect = line.to_vec();
            }
            return Ok(true);
        }
        // It connects anew once its database has got its properties.
        if !self.connect.is_empty() && line == self.connect {
            return Ok(true);
        }
        if [&b"\\restrict "[..], b"\\unrestrict "].iter().any(|word| line.starts_with(word)) {
            return Ok(true);
        }
        let text = line.trim_ascii_end();
        if self.manner.is_trial && self.in_rows {
            self.in_rows = text != b"\\.";
            return Ok(true);
        }
        if self.manner.is_trial && text.starts_with(b"COPY ") && text.ends_with(b" FROM stdin;") {
            self.in_rows = true;
            return Ok(true);
        }
        let is_command = matches!(line, [b'\\', letter, ..] if !OF_ROWS.contains(letter));
        if is_command && !self.is_restricted {
            let why = "a line of the script is a command of the client, which is not run";
            return Err(io::Error::other(why));
        }
        Ok(false)
    }

    fn end(mut self) -> Result<()> {
        self.pass(true).and_then(|()| self.into.flush()).map_err(untaken)
    }
}

impl Write for Statements<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            let is_whole = piece.ends_with(b"\n");
            if is_whole || self.line.len() > LINE_MAX {
                self.pass(is_whole)?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn passed(manner: Manner, key: Option<&str>, pieces: &[&str]) -> io::Result<String> {
        let mut into = Vec::new();
        let mut statements = Statements::new(&mut into, manner, key).unwrap();
        for piece in pieces {
            statements.write_all(piece.as_bytes())?;
        }
        statements.end().unwrap();
        Ok(String::from_utf8(into).unwrap())
    }

    const WHOLE: Manner = Manner { from_connect: false, is_trial: false };

    #[test]
    fn the_lines_that_restrict_the_client_are_the_trial_s_own() {
        let script = ["\\restr", "ict a\nSELECT 1;\n\\unrestrict a\n", "SELECT 2;"];
        assert_eq!(passed(WHOLE, Some("k"), &script).unwrap(), "\\restrict k\nSELECT 1;\nSELECT 2;");
        // A client that does not know them gets none of them, and no other command.
        assert_eq!(passed(WHOLE, None, &script).unwrap(), "SELECT 1;\nSELECT 2;");
        assert_eq!(
            passed(WHOLE, None, &["COPY t FROM stdin;\n\\N\t\\\\\n\\.\n"]).unwrap(),
            "COPY t FROM stdin;\n\\N\t\\\\\n\\.\n"
        );
        for command in ["\\! ls\n", "\\connect x\n", "\\i /x\n"] {
            assert!(passed(WHOLE, None, &["SELECT 1;\n", command]).is_err(), "{command}");
        }
    }

    #[test]
    fn what_makes_the_database_is_left_out_and_so_are_rows_where_only_definitions_count() {
        let script =
            ["CREATE DATABASE x;\n\\connect x\n\nSELECT 1;\nCOPY a (b) FROM stdin;\nrow\n\\.\nSELECT 2;\n"];
        let connected = Manner { from_connect: true, ..WHOLE };
        let again =
            ["CREATE DATABASE x;\n\\connect x\nALTER DATABASE x SET a = b;\n\\connect x\nSELECT 1;\n"];
        assert_eq!(passed(connected, None, &again).unwrap(), "ALTER DATABASE x SET a = b;\nSELECT 1;\n");
        let other = ["CREATE DATABASE x;\n\\connect x\nSELECT 1;\n\\connect y\n"];
        assert!(passed(connected, None, &other).is_err());
        assert!(
            passed(connected, None, &script)
                .unwrap()
                .starts_with("\nSELECT 1;\nCOPY a (b) FROM stdin;\nrow\n")
        );
        let trial = Manner { from_connect: true, is_trial: true };
        assert_eq!(passed(trial, None, &script).unwrap(), "\nSELECT 1;\nSELECT 2;\n");
        let long = "x".repeat(LINE_MAX + 10);
        let script = ["COPY a FROM stdin;\n", &long, &long, "\n\\.\nSELECT 3;\n"];
        assert_eq!(passed(trial_of_all(), None, &script).unwrap(), "SELECT 3;\n");
    }

    fn trial_of_all() -> Manner {
        Manner { is_trial: true, ..WHOLE }
    }
}
