//! Which place is what: a sync writes only into an empty place, or into a mirror of the same repository with the same history.

use super::Job;
use crate::backend::{Backend, BackendError, BackendExt, Durability, Entry};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Config;
use crate::id::RepositoryId;
use crate::log::LogRecord;
use crate::marks::{self, MIRROR_MARK, Marks, MirrorMark};
use crate::names;

/// Made when a mirror becomes independent; never removed.
pub(super) const PROMOTED: &str = "mirror/promoted";

/// Most records that are looked at for one that can be compared.
const COMPARED_MAX: usize = 1000;

impl Job<'_> {
    /// Makes sure that the destination is, or becomes, a mirror of the source.
    pub(super) fn admit(&self) -> Result<()> {
        let bytes = match self.source.read(names::CONFIG, None) {
            Err(BackendError::NotFound(_)) => return Err(Error::NoRepository(self.source.location())),
            bytes => bytes?,
        };
        let (config, _) = Config::decode(&bytes)?;
        let dest = self.dest.as_ref();
        self.refuse_promoted()?;
        let there = match dest.read(names::CONFIG, None) {
            Err(BackendError::NotFound(_)) => None,
            there => Some(there?),
        };
        let marks = Marks::read(dest)?;
        if !marks.is_mirror() {
            self.refuse_unmarked(there.is_some())?;
        }
        let marked = marks.mirror.iter().find_map(|(_, mark)| mark.as_ref()).map(|mark| mark.repository);
        if marked.is_some_and(|id| id != config.id) {
            return Err(self.is_of_another());
        }
        let is_same = there.as_ref() == Some(&bytes);
        if let Some(there) = there.as_ref().filter(|_| !is_same)
            && !matches!(Config::decode(there), Err(Error::Damaged { .. }))
        {
            return Err(self.is_of_another());
        }
        if self.options.dry_run {
            return Ok(());
        }
        self.mark(&marks, config.id)?;
        if !is_same {
            // Slots first, and durable: with the config there is a repository.
            self.copy_area(names::KEYS)?;
            dest.sync()?;
            if there.is_some() {
                dest.remove(names::CONFIG)?;
                self.healed(names::CONFIG);
            }
            dest.create(names::CONFIG, &bytes, Durability::Now)?;
        }
        Ok(())
    }

    /// A place that bears no mark has to be empty.
    fn refuse_unmarked(&self, is_repository: bool) -> Result<()> {
        let place = self.dest.location();
        if is_repository {
            return Err(Error::Refused(format!(
                "{place} is a repository, and no mirror: sync writes only into an empty place or a mirror that it made"
            )));
        }
        if self.dest.list("", None, 1)?.is_empty() {
            return Ok(());
        }
        Err(Error::Refused(format!("{place} is not empty, and no mirror: choose an empty place")))
    }

    /// Marks the destination as a mirror; a damaged mark stays until another stands beside it.
    fn mark(&self, marks: &Marks, repository: RepositoryId) -> Result<()> {
        let source = self.source.location();
        let damaged: Vec<&String> =
            marks.mirror.iter().filter(|(_, mark)| mark.is_none()).map(|(name, _)| name).collect();
        if damaged.len() < marks.mirror.len() {
            return Ok(());
        }
        let name = if damaged.is_empty() {
            MIRROR_MARK.to_owned()
        } else {
            marks::another_mirror_mark(self.env.random_bytes()?)
        };
        let bytes = marks::encode(&MirrorMark { repository, source })?;
        match self.dest.create(&name, &bytes, Durability::Now) {
            // Another sync was faster.
            Err(BackendError::AlreadyExists(_)) => {}
            outcome => outcome?,
        }
        for name in damaged {
            self.dest.remove(name)?;
            self.healed(name);
        }
        Ok(())
    }

    /// A mirror that was made independent takes no syncs any more.
    pub(super) fn refuse_promoted(&self) -> Result<()> {
        if !self.dest.exists(PROMOTED)? {
            return Ok(());
        }
        Err(Error::Refused(format!(
            "{} was a mirror and was made independent: it takes no syncs any more; sync from it into an empty place",
            self.dest.location()
        )))
    }

    /// The newest record of the destination that can be read is the source's of that number: then so are all before it.
    pub(super) fn same_history(&self, dest: &dyn Backend) -> Result<()> {
        for entry in dest.list(names::LOG, None, COMPARED_MAX)? {
            let Some(n) = names::log_number(&entry.name) else { continue };
            let there = dest.read(&entry.name, None)?;
            let here = match self.source.read(&entry.name, None) {
                Err(BackendError::NotFound(_)) => None,
                here => Some(here?),
            };
            if here.as_ref() == Some(&there) {
                return Ok(());
            }
            let decoded = self.keys.map(|keys| LogRecord::decode(keys, n, &there));
            let is_damage =
                |outcome: &Result<LogRecord>| outcome.as_ref().is_err_and(|e| e.kind() == ErrorKind::Damaged);
            if !decoded.as_ref().is_some_and(is_damage) {
                return Err(self.has_its_own(&entry));
            }
        }
        Ok(())
    }

    pub(super) fn has_its_own(&self, entry: &Entry) -> Error {
        Error::Refused(format!(
            "{} holds {}, which {} does not know as it is there: they are not one history (or the source was put back to an older \
             state); nothing was changed, sync into an empty place instead",
            self.dest.location(),
            entry.name,
            self.source.location()
        ))
    }

    fn is_of_another(&self) -> Error {
        Error::Refused(format!(
            "{} is a mirror of another repository than {}: choose another place",
            self.dest.location(),
            self.source.location()
        ))
    }
}
