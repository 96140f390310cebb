//! Workflows back by the command line alone: all are imported at once, or none; then what was active is published one by one, and
//! everything is exported again and compared. A server that runs takes it up when it is started anew.

use std::borrow::Cow;

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::n8n::command_line::CommandLine;
use crate::n8n::restore::compare::{has_own_published_version, same_graph};
use crate::n8n::restore::run::{Row, Run};
use crate::n8n::restore::write::as_published;
use crate::n8n::version::Era;
use crate::n8n::workflow::{fingerprint, text_of};

impl Run<'_> {
    /// Carries the plan out by the command line.
    pub(super) fn by_command(&mut self, line: &CommandLine) {
        if self.is_to_stop(0) {
            return;
        }
        if self.touch_all() > 0 {
            let before: Vec<Option<String>> = self.rows.iter().map(|row| version(line, row)).collect();
            if let Err(error) = self.import_published(line).and_then(|()| line.import(self.to_import())) {
                return self.not_imported(line, &error);
            }
            if let Err(error) = line.look() {
                let why = format!("it is written, inactive, and could not be read back: {error}");
                return self.all_fail(|_| why.clone());
            }
            self.check_taken(line, &before);
            if self.publish(line) > 0
                && let Err(error) = line.look()
            {
                let why = format!("it is written, and could not be read back: {error}");
                return self.all_fail(|_| why.clone());
            }
        }
        self.read_back();
    }

    /// Where something else is published than what the editor shows, that is imported first: it is published once the other is there too.
    pub(super) fn import_published(&mut self, line: &CommandLine) -> Result<()> {
        if self.era < Era::Early2 {
            return Ok(());
        }
        let mut first: Vec<usize> = Vec::new();
        for (at, row) in self.rows.iter().enumerate().filter(|(_, row)| row.is_to_be_written()) {
            if has_own_published_version(&self.stored.load(&row.result.id)?) {
                first.push(at);
            }
        }
        if first.is_empty() {
            return Ok(());
        }
        let rows = first.iter().filter_map(|at| self.rows.get(*at)).map(|row| &row.result);
        line.import(rows.map(|row| Ok((as_published(&self.load(&row.id)?), row.live_id.clone()))))?;
        line.look()?;
        for at in first {
            let Some(row) = self.rows.get(at) else { continue };
            let wanted = as_published(&self.load(&row.result.id)?);
            let live = line.workflow(&row.result.live_id)?.filter(|live| same_graph(&wanted, live));
            let Some(version) =
                live.as_ref().and_then(|live| text_of(live, "versionId")).map(Cow::into_owned)
            else {
                return Err(Error::Refused(format!(
                    "what is to be published of workflow {} is not there when it is read back",
                    row.result.id
                )));
            };
            if let Some(row) = self.rows.get_mut(at) {
                row.publish = Some(version);
            }
        }
        Ok(())
    }

    /// A policy of n8n may have kept some from being imported.
    fn check_taken(&mut self, line: &CommandLine, before: &[Option<String>]) {
        for (row, before) in self.rows.iter_mut().zip(before).filter(|(row, _)| row.is_to_be_written()) {
            if version(line, row).is_none_or(|now| Some(&now) == before.as_ref()) {
                row.result.error = Some("n8n did not take it, and gave no reason".to_owned());
            }
        }
    }

    /// Publishes what is to be active: the very version that was imported, so that no edit of somebody else goes live with it.
    /// Gives how many were asked for.
    fn publish(&mut self, line: &CommandLine) -> usize {
        let mut asked = 0;
        for at in 0..self.rows.len() {
            let Some(row) = self.rows.get(at).filter(|row| row.is_active && row.is_to_be_written()) else {
                continue;
            };
            asked += 1;
            let published = self.version_to_publish(line, row).and_then(|version| {
                line.publish(&row.result.live_id, &version).map_err(|error| error.to_string())
            });
            self.monitor.advance(1, 0);
            if let (Err(why), Some(row)) = (published, self.rows.get_mut(at)) {
                row.result.error = Some(row.not_published(&why));
            }
        }
        asked
    }

    fn version_to_publish(&self, line: &CommandLine, row: &Row) -> Result<String, String> {
        if let Some(version) = &row.publish {
            return Ok(version.clone());
        }
        let stored = self.load(&row.result.id).map_err(|e| e.to_string())?;
        let live = line.workflow(&row.result.live_id).map_err(|e| e.to_string())?.unwrap_or_default();
        match text_of(&live, "versionId").filter(|_| same_graph(&stored, &live)) {
            Some(version) => Ok(version.into_owned()),
            None => Err("it was edited meanwhile".to_owned()),
        }
    }

    /// Says of each how an import that failed has left it.
    fn not_imported(&mut self, line: &CommandLine, error: &Error) {
        let is_seen = line.look().is_ok();
        let may_go_on = error.kind() == ErrorKind::TimedOut;
        self.all_fail(|row| {
            let now = line.workflow(&row.result.live_id).ok().filter(|_| is_seen);
            let state = match now.map(|live| live.as_ref().map(fingerprint)) {
                _ if may_go_on => "what was begun behind its prefix may go on, and change it yet",
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

/// The version of a workflow that the last look has shown.
fn version(line: &CommandLine, row: &Row) -> Option<String> {
    let live: Option<Value> = line.workflow(&row.result.live_id).ok().flatten();
    live.as_ref().and_then(|live| text_of(live, "versionId")).map(Cow::into_owned)
}
