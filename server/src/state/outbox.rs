//! What others are to be told: letters, in a queue for each receiver, and what they were last alerted of.
//!
//! What always holds: a letter is written in the same transaction as that of which it tells; it leaves the table when its receiver
//! has it, or when it is dropped and counted as such. A queue holds [`LETTERS_MAX`] letters at most.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use crate::error::Result;
use crate::state::State;

/// Letters that wait for one receiver; the oldest go. A week of a run every minute.
pub const LETTERS_MAX: u32 = 10_000;

/// The tables. Times are nanoseconds since 1970. An alert is what was told and is not over.
pub(super) const TABLES: &str = "
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    repository TEXT NOT NULL,
    receiver TEXT NOT NULL,
    event TEXT NOT NULL,
    created INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_of_receiver ON outbox (repository, receiver, number);
CREATE TABLE receivers (
    repository TEXT NOT NULL,
    receiver TEXT NOT NULL,
    delivered INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    dropped INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (repository, receiver)
) STRICT;
CREATE TABLE alerts (
    repository TEXT NOT NULL,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (repository, kind, target, detail)
) STRICT;
";

/// A letter that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLetter {
    /// Whose queue.
    pub receiver: String,
    /// Id of the event; the same in the letters of one event.
    pub event: String,
    /// What is sent.
    pub body: String,
    /// Takes the place of those that wait.
    pub is_latest: bool,
}

/// A letter that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Later ones have greater numbers.
    pub number: i64,
    /// Id of the event.
    pub event: String,
    /// When it was written.
    pub created: i64,
    /// How often it was sent in vain.
    pub attempts: u32,
    /// What is sent.
    pub body: String,
}

/// What becomes of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterEnd {
    /// Its receiver has it.
    Delivered,
    /// Nobody gets it.
    Dropped,
}

/// How a queue stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Whose.
    pub receiver: String,
    /// Letters that wait.
    pub waiting: u64,
    /// Letters that arrived, ever.
    pub delivered: u64,
    /// Attempts in vain, ever.
    pub failed: u64,
    /// Letters that nobody got, ever.
    pub dropped: u64,
}

/// What is noted about the state that somebody is alerted of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alert<'a> {
    /// Nothing.
    Untouched,
    /// It is so from now on.
    Raise {
        /// What it is.
        kind: &'a str,
        /// Whose.
        target: &'a str,
        /// Which of several.
        detail: &'a str,
    },
    /// It is so no more.
    Clear {
        /// These kinds; empty: all.
        kind: Option<&'a str>,
        /// Whose.
        target: &'a str,
        /// Which of several; all if absent.
        detail: Option<&'a str>,
    },
    /// There is one of this kind, and this is it.
    Set {
        /// What it is.
        kind: &'a str,
        /// What holds from now on.
        detail: &'a str,
    },
}

/// What came of noting it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// Something is otherwise than before.
    pub is_new: bool,
    /// [`Alert::Set`]: what held before.
    pub before: Option<String>,
}

/// What is written together with what happened.
pub struct Telling<'a> {
    /// Which repository it is of.
    pub repository: &'a str,
    /// When.
    pub now: i64,
    /// What is noted.
    pub alert: Alert<'a>,
    /// Who is told what, by what came of noting it.
    pub letters: &'a dyn Fn(&Noted) -> Vec<NewLetter>,
}

impl std::fmt::Debug for Telling<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telling").field("alert", &self.alert).finish_non_exhaustive()
    }
}

impl State {
    /// Notes an alert and writes the letters that follow from it.
    pub fn tell(&self, telling: &Telling<'_>) -> Result<()> {
        let mut connection = self.connection();
        let told = (|| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            write(&change, telling)?;
            change.commit()
        })();
        told.map_err(|e| self.wrong(e))
    }

    /// The oldest letter of a queue.
    pub fn next_letter(&self, repository: &str, receiver: &str) -> Result<Option<Letter>> {
        let connection = self.connection();
        let found = (|| {
            let mut statement = connection.prepare_cached(
                "SELECT number, event, created, attempts, body FROM outbox
                 WHERE repository = ?1 AND receiver = ?2 ORDER BY number LIMIT 1",
            )?;
            statement.query_row([repository, receiver], letter).optional()
        })();
        found.map_err(|e| self.wrong(e))
    }

    /// Takes a letter out of its queue. One that made room for others meanwhile is counted already.
    pub fn end_letter(&self, repository: &str, receiver: &str, number: i64, end: LetterEnd) -> Result<()> {
        let mut connection = self.connection();
        let ended = (|| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let gone = change.execute("DELETE FROM outbox WHERE number = ?1", [number])?;
            let (delivered, dropped) = match end {
                LetterEnd::Delivered => (gone, 0),
                LetterEnd::Dropped => (0, gone),
            };
            count(&change, repository, receiver, (delivered, 0, dropped))?;
            change.commit()
        })();
        ended.map_err(|e| self.wrong(e))
    }

    /// Notes that a letter was sent in vain.
    pub fn postpone_letter(&self, repository: &str, receiver: &str, number: i64, why: &str) -> Result<()> {
        let mut connection = self.connection();
        let noted = (|| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            change.execute(
                "UPDATE outbox SET attempts = attempts + 1, error = ?2 WHERE number = ?1",
                params![number, why],
            )?;
            count(&change, repository, receiver, (0, 1, 0))?;
            change.commit()
        })();
        noted.map_err(|e| self.wrong(e))
    }

    /// Drops what was written before a moment, whoever it is for.
    pub fn drop_letters(&self, repository: &str, before: i64) -> Result<()> {
        let mut connection = self.connection();
        let dropped = (|| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let old = params![repository, before];
            change.execute(
                "UPDATE receivers SET dropped = dropped + (SELECT count(*) FROM outbox o WHERE o.repository = ?1
                   AND o.receiver = receivers.receiver AND o.created < ?2) WHERE repository = ?1",
                old,
            )?;
            change.execute("DELETE FROM outbox WHERE repository = ?1 AND created < ?2", old)?;
            change.commit()
        })();
        dropped.map_err(|e| self.wrong(e))
    }

    /// How the queues of a repository stand.
    pub fn queues(&self, repository: &str) -> Result<Vec<QueueCounts>> {
        let connection = self.connection();
        let counted = (|| {
            let mut statement = connection.prepare_cached(
                "SELECT receiver, (SELECT count(*) FROM outbox o WHERE o.repository = r.repository
                   AND o.receiver = r.receiver), delivered, failed, dropped
                 FROM receivers r WHERE repository = ?1 ORDER BY receiver",
            )?;
            statement.query_map([repository], queue)?.collect::<rusqlite::Result<Vec<_>>>()
        })();
        counted.map_err(|e| self.wrong(e))
    }
}

/// Notes an alert and writes the letters that follow from it.
pub(super) fn write(change: &Transaction<'_>, telling: &Telling<'_>) -> rusqlite::Result<()> {
    let noted = note(change, telling)?;
    let letters = (telling.letters)(&noted);
    for letter in &letters {
        post(change, telling, letter)?;
    }
    let receivers: BTreeSet<&str> = letters.iter().map(|letter| &*letter.receiver).collect();
    receivers.into_iter().try_for_each(|receiver| make_room(change, telling.repository, receiver))
}

fn note(change: &Connection, telling: &Telling<'_>) -> rusqlite::Result<Noted> {
    let repository = telling.repository;
    let mut noted = Noted::default();
    let changed = match telling.alert {
        Alert::Untouched => 0,
        Alert::Raise { kind, target, detail } => change.execute(
            "INSERT OR IGNORE INTO alerts (repository, kind, target, detail, since) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![repository, kind, target, detail, telling.now],
        )?,
        Alert::Clear { kind, target, detail } => change.execute(
            "DELETE FROM alerts WHERE repository = ?1 AND target = ?2 AND (?3 IS NULL OR kind = ?3)
             AND (?4 IS NULL OR detail = ?4)",
            params![repository, target, kind, detail],
        )?,
        Alert::Set { kind, detail } => {
            noted.before = change
                .query_row(
                    "SELECT detail FROM alerts WHERE repository = ?1 AND kind = ?2 AND target = ''",
                    [repository, kind],
                    |row| row.get(0),
                )
                .optional()?;
            if noted.before.as_deref() == Some(detail) {
                0
            } else {
                change.execute(
                    "DELETE FROM alerts WHERE repository = ?1 AND kind = ?2 AND target = ''",
                    [repository, kind],
                )?;
                change.execute(
                    "INSERT INTO alerts (repository, kind, target, detail, since) VALUES (?1, ?2, '', ?3, ?4)",
                    params![repository, kind, detail, telling.now],
                )?
            }
        }
    };
    noted.is_new = changed > 0;
    Ok(noted)
}

fn post(change: &Connection, telling: &Telling<'_>, letter: &NewLetter) -> rusqlite::Result<()> {
    let (repository, receiver) = (telling.repository, &*letter.receiver);
    if letter.is_latest {
        change.execute(
            "DELETE FROM outbox WHERE repository = ?1 AND receiver = ?2",
            params![repository, receiver],
        )?;
    }
    change.execute(
        "INSERT INTO outbox (repository, receiver, event, created, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![repository, receiver, letter.event, telling.now, letter.body],
    )?;
    Ok(())
}

/// Drops what is too much, the oldest first.
fn make_room(change: &Connection, repository: &str, receiver: &str) -> rusqlite::Result<()> {
    let dropped = change.execute(
        "DELETE FROM outbox WHERE number IN (SELECT number FROM outbox WHERE repository = ?1 AND receiver = ?2
         ORDER BY number DESC LIMIT -1 OFFSET ?3)",
        params![repository, receiver, LETTERS_MAX],
    )?;
    count(change, repository, receiver, (0, 0, dropped))
}

/// Adds to what was delivered, failed and dropped.
fn count(
    change: &Connection,
    repository: &str,
    receiver: &str,
    (delivered, failed, dropped): (usize, usize, usize),
) -> rusqlite::Result<()> {
    let counted = change.execute(
        "INSERT INTO receivers (repository, receiver, delivered, failed, dropped) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET delivered = delivered + ?3, failed = failed + ?4, dropped = dropped + ?5",
        params![repository, receiver, signed(delivered), signed(failed), signed(dropped)],
    );
    counted.map(drop)
}

/// SQLite counts with a sign.
fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn letter(row: &Row<'_>) -> rusqlite::Result<Letter> {
    Ok(Letter {
        number: row.get(0)?,
        event: row.get(1)?,
        created: row.get(2)?,
        attempts: row.get(3)?,
        body: row.get(4)?,
    })
}

fn queue(row: &Row<'_>) -> rusqlite::Result<QueueCounts> {
    let count = |at| row.get::<_, i64>(at).map(|n| u64::try_from(n).unwrap_or(0));
    Ok(QueueCounts {
        receiver: row.get(0)?,
        waiting: count(1)?,
        delivered: count(2)?,
        failed: count(3)?,
        dropped: count(4)?,
    })
}
