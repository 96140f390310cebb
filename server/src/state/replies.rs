//! Answers that were given to requests with an idempotency key, so that whoever asks again gets the same answer and nothing is done
//! twice.

use rusqlite::{OptionalExtension, TransactionBehavior, params};

use crate::error::Result;
use crate::state::State;

/// How long an answer is kept, in nanoseconds: a day.
const AGE_MAX: i64 = 86_400 * 1_000_000_000;

/// The table. A row without a status is of a request that goes on.
pub(super) const TABLE: &str = "
CREATE TABLE replies (
    repository TEXT NOT NULL,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    began INTEGER NOT NULL,
    status INTEGER,
    headers TEXT,
    body BLOB,
    PRIMARY KEY (repository, key)
) STRICT;
";

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Status.
    pub status: u16,
    /// Headers, as JSON.
    pub headers: String,
    /// Body.
    pub body: Vec<u8>,
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing; from now on the caller's request has it.
    Nothing,
    /// The same request has it, and goes on.
    Begun,
    /// The same request had it, and was answered.
    Answered(Reply),
    /// Another request has it.
    Other,
}

impl State {
    /// Takes a key for a request, unless it is known.
    pub fn begin_reply(&self, repository: &str, key: &str, digest: &[u8], now: i64) -> Result<Known> {
        let mut connection = self.connection();
        let known = (|| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            change.execute("DELETE FROM replies WHERE began < ?1", [now.saturating_sub(AGE_MAX)])?;
            let found = change
                .query_row(
                    "SELECT digest, status, headers, body FROM replies WHERE repository = ?1 AND key = ?2",
                    [repository, key],
                    |row| {
                        let reply = match row.get::<_, Option<u16>>(1)? {
                            Some(status) => Some(Reply { status, headers: row.get(2)?, body: row.get(3)? }),
                            None => None,
                        };
                        Ok((row.get::<_, Vec<u8>>(0)?, reply))
                    },
                )
                .optional()?;
            let known = match found {
                Some((of, _)) if of != digest => Known::Other,
                Some((_, Some(reply))) => Known::Answered(reply),
                Some((_, None)) => Known::Begun,
                None => {
                    change.execute(
                        "INSERT INTO replies (repository, key, digest, began) VALUES (?1, ?2, ?3, ?4)",
                        params![repository, key, digest, now],
                    )?;
                    Known::Nothing
                }
            };
            change.commit()?;
            Ok(known)
        })();
        known.map_err(|e| self.wrong(e))
    }

    /// Notes the answer; without one the key is free again.
    pub fn end_reply(&self, repository: &str, key: &str, reply: Option<&Reply>) -> Result<()> {
        let connection = self.connection();
        let ended = match reply {
            Some(reply) => connection.execute(
                "UPDATE replies SET status = ?3, headers = ?4, body = ?5 WHERE repository = ?1 AND key = ?2",
                params![repository, key, reply.status, reply.headers, reply.body],
            ),
            None => connection
                .execute("DELETE FROM replies WHERE repository = ?1 AND key = ?2", [repository, key]),
        };
        ended.map(drop).map_err(|e| self.wrong(e))
    }

    /// Frees the keys of requests whose service died before it answered them.
    pub fn free_replies(&self, repository: &str, of: &str) -> Result<()> {
        let connection = self.connection();
        let freed =
            connection.execute("DELETE FROM replies WHERE repository = ?1 AND status IS NULL AND substr(key, 1, length(?2)) = ?2", [repository, of]);
        freed.map(drop).map_err(|e| self.wrong(e))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_key_has_one_request_and_one_answer() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).unwrap();
        let begin = |key: &str, digest: &[u8], now| state.begin_reply("r", key, digest, now).unwrap();
        assert_eq!(begin("k", b"a", 1), Known::Nothing);
        assert_eq!(begin("k", b"a", 2), Known::Begun);
        assert_eq!(begin("k", b"b", 2), Known::Other);
        let reply = Reply { status: 200, headers: "[]".to_owned(), body: b"{}".to_vec() };
        state.end_reply("r", "k", Some(&reply)).unwrap();
        assert_eq!(begin("k", b"a", 3), Known::Answered(reply));
        assert_eq!(begin("k", b"b", 3), Known::Other);
        assert_eq!(begin("k", b"b", AGE_MAX + 2), Known::Nothing, "a day later");
        state.free_replies("r", "other").unwrap();
        assert_eq!(begin("k", b"b", AGE_MAX + 2), Known::Begun);
        state.free_replies("r", "k").unwrap();
        assert_eq!(begin("k", b"c", AGE_MAX + 3), Known::Nothing);
        state.end_reply("r", "k", None).unwrap();
        assert_eq!(begin("k", b"d", AGE_MAX + 4), Known::Nothing);
    }
}
