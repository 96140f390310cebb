//! PostgreSQL both ways: databases of a live server into a snapshot, and stored ones back into a server.

mod archive;
mod client;
mod cluster;
mod connection;
mod counted;
mod dump;
mod in_place;
mod part;
mod restore;
mod roles;
mod source;
mod sql;
mod swap;
mod unfinished;
mod way;

pub use archive::{ArchiveEntry, ArchiveList};
pub use client::{Client, Server};
pub use cluster::{Cluster, ClusterOptions, Dump, account, find_programs, is_open_to_all, stop_left};
pub use connection::Connection;
pub use counted::Counted;
pub use dump::{DumpFile, Form, Script};
pub use in_place::{Begun, Held, InPlace, Seen};
pub use part::Part;
pub use restore::{
    Content, DatabasePlan, DatabaseReport, DatabaseRestore, hold_database, plan_database, restore_database,
    restore_database_noting,
};
pub use source::{Databases, Failure, Outage, PostgresOptions, PostgresSource};
pub use swap::Existing;
pub use unfinished::{Exchange, Found, Unfinished};
pub use way::Way;
