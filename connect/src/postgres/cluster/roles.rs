//! Roles that a dump names and nobody stored: made for the trial, where they may do nothing.

use crate::error::Result;
use crate::postgres::cluster::{ANSWER_MAX, Cluster};
use crate::postgres::restore::Content;
use crate::postgres::sql::identifier;
use crate::verdict::{missing_role, missing_roles};

/// The database in which it is tried which roles are missing.
const DATABASE: &str = "drill_roles";

/// What a dump is, for a trial of its definitions.
#[derive(Clone, Copy, Debug)]
pub enum Dump {
    /// An archive.
    Archive,
    /// A script; whether it connects itself.
    Script(bool),
}

impl Cluster {
    /// Restores by `restore`; if that fails because roles are not there, they are made, and it is restored anew. Gives also the roles
    /// that were made.
    pub fn with_roles<T>(
        &self,
        dump: Dump,
        content: &mut Content<'_>,
        restore: &mut dyn FnMut(&mut Content<'_>) -> Result<T>,
    ) -> (Result<T>, Vec<String>) {
        let mut made = Vec::new();
        loop {
            let restored = restore(content);
            let missing = restored.as_ref().err().and_then(missing_role);
            let Some(missing) = missing.filter(|role| !made.contains(role)) else { return (restored, made) };
            if let Err(error) =
                self.make_role(&missing, &mut made).and_then(|()| self.make_lacking(dump, content, &mut made))
            {
                return (Err(error), made);
            }
        }
    }

    /// Makes the roles that the definitions of a dump name.
    fn make_lacking(&self, dump: Dump, content: &mut Content<'_>, made: &mut Vec<String>) -> Result<()> {
        loop {
            let said = match dump {
                Dump::Archive => self.try_archive(content)?,
                Dump::Script(connects) => self.try_definitions(DATABASE, connects, content)?,
            };
            let new: Vec<String> =
                missing_roles(&said).into_iter().filter(|role| !made.contains(role)).collect();
            if new.is_empty() {
                return Ok(());
            }
            new.iter().try_for_each(|role| self.make_role(role, made))?;
        }
    }

    fn make_role(&self, role: &str, made: &mut Vec<String>) -> Result<()> {
        self.client.query(None, &format!("CREATE ROLE {} NOLOGIN", identifier(role)))?;
        made.push(role.to_owned());
        Ok(())
    }

    /// What the server says of the definitions of an archive.
    fn try_archive(&self, content: &mut Content<'_>) -> Result<String> {
        self.make_database(DATABASE)?;
        let target = format!("--dbname={DATABASE}");
        let restore = self.bare("pg_restore", &["--schema-only", "--no-password", &target], DATABASE);
        let restore = restore.time_limit(self.options.time_limit);
        let said = match restore.feed_told(ANSWER_MAX, |into| content(into)) {
            // Each definition that fails is counted as a failure of the whole.
            Err(crate::Error::Command { why, .. }) => Ok(why),
            said => said,
        };
        self.drop_database(DATABASE)?;
        said
    }
}
