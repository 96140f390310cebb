//! Workflows back by the command line alone: all are imported at once, or none; then what was active is published one by one, and
//! everything is exported again and compared. A server that runs takes it up when it is started anew.

use serde_json::Value;

use crate::error::Result;
use crate::n8n::command_line::CommandLine;
use crate::n8n::restore::compare::{flag, has_own_published_version, published_unseen};
use crate::n8n::restore::run::{Row, Run};
use crate::n8n::restore::write::as_published;
use crate::n8n::version::Era;
use crate::n8n::workflow::{fingerprint, text_of};

/// What is told of a version that n8n has forgotten.
const FORGOTTEN: &str = "the editor showed another version than the one that was published, which the snapshot does not have, and which n8n \
     does not know any more";

impl Run<'_> {
    /// Carries the plan out by the command line.
    pub(super) fn by_command(&mut self, line: &CommandLine) {
        if self.is_to_stop(0) {
            return;
        }
        if self.touch_all() > 0 {
            let published = self.published_before(line);
            let imported = self.import_published(line).and_then(|()| line.import(self.to_import()));
            match imported {
                Ok(()) => self.publish(line),
                Err(error) => return self.not_imported(line, &error.to_string(), &published),
            }
            if let Err(error) = line.look() {
                let why = format!("it is written, and could not be read back: {error}");
                return self.all_fail(|_| why.clone());
            }
        }
        self.read_back();
    }

    /// The versions that are published now of what is going to be written, row by row.
    fn published_before(&self, line: &CommandLine) -> Vec<Option<String>> {
        let published = |row: &Row| {
            let live = line.workflow(&row.result.live_id).ok().flatten().filter(|live| flag(live, "active"));
            live.map(|live| text_of(&live, "activeVersionId").unwrap_or_default().into_owned())
        };
        self.rows.iter().map(published).collect()
    }

    /// Where something else is published than what the editor shows, that comes first: it is published once the other is there too.
    fn import_published(&mut self, line: &CommandLine) -> Result<()> {
        if self.era < Era::Early2 {
            return Ok(());
        }
        let mut first: Vec<(usize, Value, String)> = Vec::new();
        for (at, row) in self.rows.iter().enumerate().filter(|(_, row)| row.is_to_be_written()) {
            let stored = self.load(&row.result.id)?;
            if has_own_published_version(&stored) {
                first.push((at, as_published(&stored), row.result.live_id.clone()));
            }
        }
        let rows: Vec<(usize, String)> = first.iter().map(|(at, _, id)| (*at, id.clone())).collect();
        if rows.is_empty() {
            return Ok(());
        }
        line.import(first.into_iter().map(|(_, workflow, id)| Ok((workflow, id))))?;
        line.look()?;
        for (at, id) in rows {
            let live = line.workflow(&id)?;
            let version = live.as_ref().and_then(|live| text_of(live, "versionId"));
            if let Some(row) = self.rows.get_mut(at) {
                row.publish = version.map(std::borrow::Cow::into_owned);
            }
        }
        Ok(())
    }

    /// Publishes what is to be active.
    fn publish(&mut self, line: &CommandLine) {
        for at in 0..self.rows.len() {
            let Some(row) = self.rows.get(at).filter(|row| row.is_active && row.is_to_be_written()) else {
                continue;
            };
            let unseen = match self.stored.load(&row.result.id) {
                Ok(stored) if self.era >= Era::Early2 => published_unseen(&stored).map(str::to_owned),
                _ => None,
            };
            let version = row.publish.as_deref().or(unseen.as_deref());
            let published = line.publish(&row.result.live_id, version);
            self.monitor.advance(1, 0);
            if let (Err(error), Some(row)) = (published, self.rows.get_mut(at)) {
                let why = if unseen.is_some() { FORGOTTEN.to_owned() } else { error.to_string() };
                row.result.error = Some(format!("it is restored but inactive: {why}"));
            }
        }
    }

    /// An import that failed has written nothing, but may have made inactive what it was going to write over.
    fn not_imported(&mut self, line: &CommandLine, error: &str, published: &[Option<String>]) {
        let look = |row: &Row| line.workflow(&row.result.live_id);
        if let Err(unread) = line.look() {
            return self.all_fail(|_| format!("{error}; in which state it is could not be read: {unread}"));
        }
        for (row, version) in self.rows.iter().zip(published) {
            let Some(version) = version.as_deref().filter(|_| row.is_to_be_written()) else { continue };
            if look(row).is_ok_and(|live| live.is_some_and(|live| !flag(&live, "active"))) {
                // Whether that helped is seen below.
                drop(line.publish(&row.result.live_id, Some(version).filter(|version| !version.is_empty())));
            }
        }
        let is_seen = line.look().is_ok();
        self.all_fail(|row| {
            let now = look(row).ok().map(|live| live.as_ref().map(fingerprint));
            let state = match now.filter(|_| is_seen) {
                Some(now) if now == row.live => "it is as it was before",
                Some(_) => "it may be changed, or inactive",
                None => "in which state it is could not be read",
            };
            format!("{error}; {state}")
        });
    }

    /// Says of all that were to be written why they are not.
    fn all_fail(&mut self, why: impl Fn(&Row) -> String) {
        for row in self.rows.iter_mut().filter(|row| row.is_to_be_written()) {
            row.result.error = Some(why(row));
        }
    }
}
