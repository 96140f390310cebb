//! What a database has to hold when it was restored for trial, as somebody wrote it down.
//!
//! What always holds: what does not hold is said in a sentence that names it, and so is what cannot even be asked.

use crate::error::{Error, Result};
use crate::verdict::Verdict;

/// What has to be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assertions {
    /// Tables, and how many rows each has at least.
    pub rows: Vec<(String, u64)>,
    /// Tables, views, functions and other objects.
    pub objects: Vec<String>,
    /// Statements, and what each answers: values of a row separated by `|`, rows by line ends.
    pub queries: Vec<(String, String)>,
}

/// What came of a trial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// What holds.
    pub facts: Vec<String>,
    /// What does not.
    pub failures: Vec<String>,
    /// What could not be found out here, and what is missing for that.
    pub not_tried: Vec<String>,
}

/// A database that can be asked.
pub(crate) trait Asked {
    /// Rows of a table.
    fn rows(&self, table: &str) -> Result<u64>;
    /// Whether there is an object.
    fn has(&self, object: &str) -> Result<bool>;
    /// What a statement answers.
    fn answer(&self, sql: &str) -> Result<String>;
}

impl Assertions {
    /// Looks at each of them.
    pub(crate) fn check(&self, of: &dyn Asked, proof: &mut Proof) {
        for (table, floor) in &self.rows {
            match of.rows(table) {
                Ok(count) if count >= *floor => {
                    proof
                        .facts
                        .push(format!("table {table} has {count} rows, {floor} at least are asked for"));
                }
                Ok(count) => {
                    proof
                        .failures
                        .push(format!("table {table} has {count} rows, and {floor} at least are asked for"));
                }
                Err(e) => proof.unanswered(&e, &format!("the rows of table {table} cannot be counted")),
            }
        }
        for object in &self.objects {
            match of.has(object) {
                Ok(true) => proof.facts.push(format!("{object} is there")),
                Ok(false) => proof.failures.push(format!("{object} is asked for, and is not there")),
                Err(e) => proof.unanswered(&e, &format!("{object} cannot be looked for")),
            }
        }
        for (sql, wanted) in &self.queries {
            match of.answer(sql) {
                Ok(answer) if answer == *wanted => proof.facts.push(format!("{sql} answers {answer:?}")),
                Ok(answer) => {
                    proof.failures.push(format!("{sql} answers {answer:?} and should answer {wanted:?}"));
                }
                Err(e) => proof.unanswered(&e, &format!("{sql} cannot be asked")),
            }
        }
    }
}

impl Proof {
    /// Notes a question that was not answered: for what this host lacks, or for what the database does.
    fn unanswered(&mut self, error: &Error, what: &str) {
        let Verdict { is_of_host, why } = Verdict::of(error);
        let line = format!("{what}: {why}");
        if is_of_host { self.not_tried.push(line) } else { self.failures.push(line) }
    }
}
