//! Restored databases on trial.

use std::path::Path;

use super::*;
use crate::sqlite::prove;
use crate::{Assertions, Proof};

/// A database whose second table refers to its first.
fn shop(path: &Path) {
    let sql = "CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT);
        CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers(id));
        INSERT INTO customers(name) VALUES ('a'), ('b'); INSERT INTO orders(customer) VALUES (1), (2), (2);";
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

fn wanted() -> Assertions {
    Assertions {
        rows: vec![("orders".to_owned(), 3)],
        objects: vec!["customers".to_owned()],
        queries: vec![("SELECT id, name FROM customers ORDER BY id".to_owned(), "1|a\n2|b".to_owned())],
    }
}

#[test]
fn a_whole_database_that_holds_what_it_should_is_proven() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.db");
    shop(&path);
    let (Proof { facts, failures, not_tried }, rows) = prove(&path, &wanted()).unwrap();
    assert!(not_tried.is_empty() && rows.contains_key("orders"), "{not_tried:?} {rows:?}");
    assert_eq!((facts.len(), failures), (5, Vec::new()), "{facts:?}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn what_a_database_lacks_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.db");
    shop(&path);
    let change = "DELETE FROM customers WHERE id = 2; DELETE FROM orders WHERE id = 1; ALTER TABLE customers RENAME TO buyers";
    let database = Connection::open(&path).unwrap();
    database.pragma_update(None, "foreign_keys", false).unwrap();
    database.execute_batch(change).unwrap();
    drop(database);
    let failures = prove(&path, &wanted()).unwrap().0.failures;
    let said = failures.join("\n");
    assert_eq!(failures.len(), 4, "{said}");
    for part in [
        "2 rows refer to what is not there",
        "row 2 of orders",
        "orders has 2 rows",
        "customers is asked for",
        "no such table",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_damaged_database_is_no_database() {
    let stage = Stage::new("wal", 300);
    let mut bytes = stage.read();
    let path = stage.dir.path().join("restored.db");
    fs::write(&path, &bytes).unwrap();
    assert_eq!(prove(&path, &Assertions::default()).unwrap().0.failures, Vec::<String>::new());
    let middle = bytes.len() / 2;
    bytes[middle..middle + 5_000].fill(0xee);
    fs::write(&path, &bytes).unwrap();
    assert!(prove(&path, &Assertions::default()).is_err());
}
