//! Very many workflows: put straight into the database of a real n8n, and taken out of it.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use crate::N8n;

/// How long the server may keep its database to itself.
const BUSY_MAX: Duration = Duration::from_mins(2);

impl N8n {
    /// Copies of workflow `id` under these ids, put straight into its database: thousands take a second.
    ///
    /// # Panics
    /// If the database is not as it is in the versions of the tests.
    pub fn multiply(&self, id: &str, copies: &[String]) {
        let mut database = database(self);
        let change = database.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        for (table, key) in [("workflow_entity", "id"), ("shared_workflow", "workflowId")] {
            let columns: Vec<String> = {
                let mut asked =
                    change.prepare(&format!("SELECT name FROM pragma_table_info('{table}')")).unwrap();
                let names = asked.query_map([], |row| row.get(0)).unwrap();
                names.map(Result::unwrap).collect()
            };
            let all: Vec<String> = columns.iter().map(|c| format!("\"{c}\"")).collect();
            let copied: Vec<String> = columns
                .iter()
                .map(|c| match c.as_str() {
                    c if c == key => "?1".to_owned(),
                    "name" => "name || ' ' || ?1".to_owned(),
                    c => format!("\"{c}\""),
                })
                .collect();
            let (all, copied) = (all.join(", "), copied.join(", "));
            let line =
                format!("INSERT INTO {table} ({all}) SELECT {copied} FROM {table} WHERE \"{key}\" = ?2");
            let mut copy = change.prepare(&line).unwrap();
            for new in copies {
                assert_eq!(copy.execute([new.as_str(), id]).unwrap(), 1, "{table}");
            }
        }
        change.commit().unwrap();
    }

    /// Takes all workflows out of its database: faster than one by one.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn wipe(&self) {
        database(self).execute_batch("PRAGMA foreign_keys = ON; DELETE FROM workflow_entity").unwrap();
    }
}

/// The database of a server, which its command line is told the folder of.
fn database(server: &N8n) -> Connection {
    let words = server.command();
    let folder = words.iter().find_map(|word| word.strip_prefix("N8N_USER_FOLDER=")).unwrap();
    let database = Connection::open(format!("{folder}/.n8n/database.sqlite")).unwrap();
    database.busy_timeout(BUSY_MAX).unwrap();
    database
}
