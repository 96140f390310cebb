//! How a restored database takes the place of one that is there: by a swap, or in place.

use crate::error::{Error, Result};
use crate::postgres::client::Server;
use crate::postgres::restore::DatabaseRestore;
use crate::postgres::sql::literal;
use crate::postgres::unfinished::Found;

/// The database that everybody connects to who knows no other.
const OF_ALL: &str = "postgres";

/// How.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// It is restored into a new database, which then takes the name.
    #[default]
    Swap,
    /// What is there is dropped and what is stored restored, in one transaction.
    InPlace,
}

/// How, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// How.
    pub way: Way,
    /// Why it cannot be swapped, if nobody chose.
    pub why: Option<String>,
}

impl DatabaseRestore {
    /// How it is done. A database that is not there has to be made.
    pub(super) fn way(&self, server: &Server, maintenance: &str, before: Option<&Found>) -> Result<Chosen> {
        let makes = || {
            if server.makes_databases {
                return Ok(Chosen::default());
            }
            let but = if before.is_some() { ", or restore in place (restore = \"in_place\")" } else { "" };
            Err(Error::Refused(format!(
                "the user of {} may not make databases, and database {} has to be restored into a new one: give the user CREATEDB, take \
                 another user{but}",
                self.client.connection.shown(),
                self.database
            )))
        };
        if !self.part.is_all() {
            return match before {
                Some(_) => Ok(Chosen { way: Way::InPlace, why: None }),
                None => Err(Error::Refused(format!(
                    "there is no database {} that a part could be put back into: restore all of it",
                    self.database
                ))),
            };
        }
        match (before, self.way) {
            (None, _) | (_, Some(Way::Swap)) => makes(),
            (_, Some(Way::InPlace)) => Ok(Chosen { way: Way::InPlace, why: None }),
            (Some(_), None) => {
                let why = self.keeps_name(server, maintenance)?;
                Ok(why.map_or_else(Chosen::default, |why| Chosen { way: Way::InPlace, why: Some(why) }))
            }
        }
    }

    /// Why the database cannot be renamed by this user.
    fn keeps_name(&self, server: &Server, maintenance: &str) -> Result<Option<String>> {
        if !server.makes_databases {
            return Ok(Some("the user may not make databases".to_owned()));
        }
        if self.database == OF_ALL {
            return Ok(Some(format!("everybody connects to {OF_ALL} who knows no other")));
        }
        // Sessions of superusers are ended by superusers alone.
        let sql = format!(
            "SELECT pg_catalog.pg_has_role(datdba, 'MEMBER'), (SELECT count(*) FROM pg_catalog.pg_stat_activity a \
             JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid WHERE a.datname = d.datname AND NOT CASE WHEN r.rolsuper \
             THEN pg_catalog.current_setting('is_superuser') = 'on' ELSE pg_catalog.pg_has_role(r.oid, 'MEMBER') \
             OR pg_catalog.pg_has_role('pg_signal_backend', 'MEMBER') END) \
             FROM pg_catalog.pg_database d WHERE datname = {}",
            literal(&self.database)
        );
        let found = self.client.query(Some(maintenance), &sql)?;
        Ok(match found.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["t", "0"] => None,
            ["t", _] => Some("sessions use it that this user may not end".to_owned()),
            _ => Some("it belongs to another role, and only its owner may rename it".to_owned()),
        })
    }
}
