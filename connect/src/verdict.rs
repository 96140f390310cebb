//! Whose fault it is that a restore for trial failed: that of the dump, or of the host where it was tried.
//!
//! What always holds: what is told of an error names objects, never what is in them: no statement, no row, no value.

use crate::error::{Error, ErrorKind};

/// What is told of messages of one program, in bytes.
const TOLD_MAX: usize = 1 << 10;
/// How lines begin that a program or the server writes of an error itself. Whatever else there is quotes statements and rows.
const OWN: [&str; 8] =
    ["pg_restore: ", "pg_dump: ", "psql:", "initdb: ", "pg_ctl: ", "ERROR:  ", "FATAL:  ", "PANIC:  "];
/// How such lines go on that quote all the same, or tell nothing.
const QUOTING: [&str; 5] = ["detail:", "hint:", "warning:", "while ", "creating "];
/// What a message quotes of a value, and not of a name.
const OF_VALUES: [&str; 3] = ["value \"", "at or near \"", ": \""];
/// Word of messages that quote the name of something that this host lacks.
const NAMED: &str = "locale";

/// Words of messages that speak of the host, and what to do about it there.
const OF_HOST: [(&str, &str); 30] = [
    ("No space left on device", ROOM),
    ("Disk quota exceeded", ROOM),
    ("database or disk is full", ROOM),
    ("Input/output error", DISK),
    ("disk I/O error", DISK),
    ("unable to open database file", DISK),
    ("no such module", "the SQLite of this program does not have that module"),
    ("Read-only file system", DISK),
    ("out of shared memory", "its server has too few locks for so many objects"),
    ("out of memory", MEMORY),
    ("Cannot allocate memory", MEMORY),
    ("could not resize shared memory segment", MEMORY),
    ("could not fork", MEMORY),
    ("Too many open files", "let the program open more files"),
    ("too many clients", "try it again"),
    ("could not open extension control file", EXTENSION),
    ("has no installation script nor update path", EXTENSION),
    ("\" is not available", EXTENSION),
    ("could not access file \"", EXTENSION),
    ("could not load library", EXTENSION),
    ("must be loaded via", EXTENSION),
    ("locale name", LOCALE),
    ("could not create locale", LOCALE),
    ("\" for encoding \"", LOCALE),
    ("could not open collator", LOCALE),
    ("ICU is not supported", LOCALE),
    ("unsupported version", VERSION),
    ("unrecognized configuration parameter", VERSION),
    ("server closed the connection", SERVER),
    ("terminating connection", SERVER),
];
const ROOM: &str = "name a folder with more room as drill.scratch";
const DISK: &str = "look at the disk of drill.scratch";
const MEMORY: &str = "this host has too little memory for it";
const EXTENSION: &str = "install the packages of the extension for the PostgreSQL server of this host";
const LOCALE: &str = "make this locale on this host";
const VERSION: &str = "the programs of PostgreSQL on this host are too old: install newer ones, or name them as drill.postgres_programs";
const SERVER: &str = "the server of the drill ended: look whether this host has enough memory";
const TIME: &str = "give it longer: time_limit of the source, or of [drill]";

/// What an error of a trial says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// It says nothing of what was tried.
    pub is_of_host: bool,
    /// What happened, and if it is of the host what to do.
    pub why: String,
}

impl Verdict {
    /// Of an error of a restore, of a script, or of a question.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::Undone(cause) | Error::NotUndone { cause, .. } => Self::of(cause),
            Error::Command { why, .. } | Error::Upstream { why, .. } | Error::Damaged { why, .. } => {
                let told = told(why);
                let known = OF_HOST.iter().find(|(words, _)| told.contains(words));
                let way_out = known.map(|(_, way_out)| *way_out);
                let shown = match error {
                    Error::Damaged { what, .. } => format!("{what} is damaged: {told}"),
                    _ => told,
                };
                Self::new(way_out.is_some(), shown, way_out)
            }
            Error::TimedOut { .. } => Self::new(true, error.to_string(), Some(TIME)),
            Error::NoSpace { .. } => Self::new(true, error.to_string(), Some(ROOM)),
            Error::File { .. } if error.kind() == ErrorKind::NoSpace => {
                Self::new(true, error.to_string(), Some(ROOM))
            }
            Error::NotFound { .. } => Self::new(false, error.to_string(), None),
            Error::Snapshot(_) => Self::new(error.kind() != ErrorKind::Damaged, error.to_string(), None),
            _ => Self::new(true, error.to_string(), None),
        }
    }

    fn new(is_of_host: bool, why: String, way_out: Option<&str>) -> Self {
        let why = match way_out {
            Some(way_out) => format!("{why} ({way_out})"),
            None => why,
        };
        Self { is_of_host, why }
    }
}

/// The role that an error says is not there.
pub(super) fn missing_role(error: &Error) -> Option<String> {
    match error {
        Error::Undone(cause) | Error::NotUndone { cause, .. } => missing_role(cause),
        Error::Command { why, .. } | Error::Upstream { why, .. } => missing_roles(why).into_iter().next(),
        _ => None,
    }
}

/// The roles that messages say are not there.
pub(super) fn missing_roles(messages: &str) -> Vec<String> {
    let named = |line: &str| {
        let (_, message) = line.split_once("ERROR:  role \"")?;
        message.strip_suffix("\" does not exist").map(str::to_owned)
    };
    let mut found: Vec<String> = messages.lines().filter_map(named).collect();
    found.sort();
    found.dedup();
    found
}

/// What programs said of an error, without what they quote of statements and rows.
pub(super) fn told(messages: &str) -> String {
    // Which program failed and how stands before what it said.
    let status =
        ["exit status: ", "signal: "].iter().find_map(|word| messages.find(word).map(|at| (at, word.len())));
    // What this program found itself is told as it is.
    let Some((at, word)) = status else { return messages.to_owned() };
    let end = messages.get(at + word..).and_then(|rest| rest.find([':', '\n']));
    let (head, said) = messages.split_at(end.map_or(messages.len(), |end| at + word + end));
    let own: Vec<String> = said.trim_start_matches(": ").lines().filter_map(own).collect();
    let mut all = if own.is_empty() { head.to_owned() } else { own.join("; ") };
    if all.len() > TOLD_MAX {
        let mut end = TOLD_MAX;
        while !all.is_char_boundary(end) {
            end -= 1;
        }
        all.truncate(end);
        all.push('…');
    }
    all
}

/// A line that tells of the error itself.
fn own(line: &str) -> Option<String> {
    let beginning = OWN.iter().find(|beginning| line.starts_with(**beginning))?;
    let rest = line.get(beginning.len()..).unwrap_or_default();
    if QUOTING.iter().any(|word| rest.starts_with(word)) {
        return None;
    }
    if line.contains(NAMED) {
        return Some(line.to_owned());
    }
    let cut = OF_VALUES.iter().filter_map(|words| Some(line.find(words)? + words.len() - 1)).min();
    Some(cut.map_or_else(
        || line.to_owned(),
        |at| format!("{}…", line.get(..at).unwrap_or_default().trim_end_matches([':', ' '])),
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn verdict(why: &str) -> Verdict {
        let error = Error::Upstream { system: "s".to_owned(), status: None, why: why.to_owned() };
        Verdict::of(&Error::Undone(Box::new(error)))
    }

    #[test]
    fn objects_are_named_and_nothing_that_is_in_them() {
        let restored = "pg_restore failed: exit status: 1: pg_restore: while PROCESSING TOC:\n\
            pg_restore: from TOC entry 3340; 0 16385 TABLE DATA cards shop\n\
            pg_restore: error: COPY failed for table \"cards\": ERROR:  invalid input syntax for type integer: \"4111-1111\"\n\
            CONTEXT:  COPY cards, line 1, column n: \"4111-1111\"\n\
            Command was: INSERT INTO cards VALUES ('4111-1111');\n\
            DETAIL:  4111-1111";
        let found = verdict(restored);
        assert!(!found.is_of_host);
        assert_eq!(
            found.why,
            "pg_restore: from TOC entry 3340; 0 16385 TABLE DATA cards shop; \
             pg_restore: error: COPY failed for table \"cards\": ERROR:  invalid input syntax for type integer…"
        );
        for (said, told) in [
            (
                "psql:<stdin>:3: ERROR:  relation \"cards\" does not exist",
                "psql:<stdin>:3: ERROR:  relation \"cards\" does not exist",
            ),
            ("psql:<stdin>:3: ERROR:  value \"4111\" is out of range", "psql:<stdin>:3: ERROR:  value…"),
            ("ERROR:  syntax error at or near \"4111\"\nLINE 1: 4111", "ERROR:  syntax error at or near…"),
            (
                "1 4111 of a row\nERROR:  relation \"cards\" does not exist",
                "ERROR:  relation \"cards\" does not exist",
            ),
        ] {
            assert_eq!(verdict(&format!("psql failed: exit status: 3: {said}")).why, told);
        }
        assert_eq!(verdict("psql failed: exit status: 3: 4111").why, "psql failed: exit status: 3");
    }

    #[test]
    fn limits_of_the_host_are_told_with_the_way_out() {
        for (said, way_out) in [
            ("ERROR:  extension \"postgis\" is not available", "install the packages of the extension"),
            ("ERROR:  could not extend file \"base/1/2\": No space left on device", "more room"),
            ("ERROR:  invalid locale name: \"de_DE.UTF-8\"", "make this locale"),
            ("ERROR:  collation \"de_DE.utf8\" for encoding \"UTF8\" does not exist", "make this locale"),
            (
                "ERROR:  out of shared memory\nHINT:  You might need to increase max_locks_per_transaction.",
                "too few locks",
            ),
            ("pg_restore: error: unsupported version (1.16) in file header", "too old"),
            ("ERROR:  unrecognized configuration parameter \"transaction_timeout\"", "too old"),
        ] {
            let found = verdict(&format!("pg_restore failed: exit status: 1: {said}"));
            assert!(found.is_of_host && found.why.contains(way_out), "{found:?}");
        }
        let late = Error::TimedOut { what: "pg_restore".to_owned(), limit: Duration::from_secs(1) };
        assert!(Verdict::of(&late).is_of_host && Verdict::of(&late).why.contains("give it longer"));
        assert!(!verdict("psql failed: exit status: 3: ERROR:  table \"a\" does not exist").is_of_host);
    }

    #[test]
    fn roles_that_are_not_there_are_found_in_what_was_said() {
        let said = "exit status: 1: pg_restore: error: could not execute query: ERROR:  role \"web 2\" does not exist\n\
            Command was: GRANT a TO b;\npsql:<stdin>:9: ERROR:  role \"app\" does not exist\n\
            ERROR:  function role(x) does not exist";
        assert_eq!(missing_roles(said), ["app", "web 2"]);
    }
}
