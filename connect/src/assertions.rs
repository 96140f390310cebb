//! What a database has to hold when it was restored for trial, as somebody wrote it down.
//!
//! What always holds: what does not hold is said in a sentence that names it, and so is what cannot even be asked.

use crate::error::Result;

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
            let counted = of.rows(table);
            let held = counted.as_ref().is_ok_and(|count| count >= floor);
            proof.note(held, || match counted {
                Ok(count) if held => {
                    format!("table {table} has {count} rows, {floor} at least are asked for")
                }
                Ok(count) => format!("table {table} has {count} rows, and {floor} at least are asked for"),
                Err(e) => format!("the rows of table {table} cannot be counted: {e}"),
            });
        }
        for object in &self.objects {
            let there = of.has(object);
            let held = there.as_ref().is_ok_and(|there| *there);
            proof.note(held, || match there {
                Ok(true) => format!("{object} is there"),
                Ok(false) => format!("{object} is asked for, and is not there"),
                Err(e) => format!("{object} cannot be looked for: {e}"),
            });
        }
        for (sql, wanted) in &self.queries {
            let answer = of.answer(sql);
            let held = answer.as_ref().is_ok_and(|answer| answer == wanted);
            proof.note(held, || match answer {
                Ok(answer) if held => format!("{sql} answers {answer:?}"),
                Ok(answer) => format!("{sql} answers {answer:?} and should answer {wanted:?}"),
                Err(e) => format!("{sql} cannot be asked: {e}"),
            });
        }
    }
}

impl Proof {
    fn note(&mut self, held: bool, line: impl FnOnce() -> String) {
        if held { self.facts.push(line()) } else { self.failures.push(line()) }
    }
}
