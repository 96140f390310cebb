//! Standard input and the output of a command as one file of a snapshot, and such a file into another command.

use std::fmt;
use std::io::{Read, Write};

use chronos_snapshot::{Item, Source, Time, TreePath};

use crate::entry::{Attributes, above, streamed};
use crate::error::{Error, Result};
use crate::process::Process;
use crate::stream::Pump;

/// Bytes that a command may say when something is written into it; more is no use to anybody.
const ANSWER_MAX: usize = 1 << 20;

enum Feed {
    Reader(Option<Box<dyn Read + Send>>),
    Command(Process),
}

/// One file from a stream. A command that fails is an error of the stream: half a dump is no backup.
pub struct StreamSource {
    path: TreePath,
    mtime: Time,
    feed: Feed,
}

impl StreamSource {
    /// What `reader` gives (standard input), stored as `path` with the time `mtime`.
    pub fn reader(reader: Box<dyn Read + Send>, path: TreePath, mtime: Time) -> Result<Self> {
        Self::new(Feed::Reader(Some(reader)), path, mtime)
    }

    /// What a command writes to standard output.
    pub fn command(command: Process, path: TreePath, mtime: Time) -> Result<Self> {
        Self::new(Feed::Command(command), path, mtime)
    }

    fn new(feed: Feed, path: TreePath, mtime: Time) -> Result<Self> {
        if path.is_root() {
            return Err(Error::Invalid("the output of a stream needs a file name".to_owned()));
        }
        Ok(Self { path, mtime, feed })
    }
}

impl fmt::Debug for StreamSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSource")
            .field("path", &self.path)
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}

impl Source for StreamSource {
    fn name(&self) -> String {
        self.path.to_string()
    }

    fn kind(&self) -> &'static str {
        match self.feed {
            Feed::Reader(_) => "stdin",
            Feed::Command(_) => "command",
        }
    }

    fn paths(&self) -> Vec<String> {
        vec![format!("/{}", self.path)]
    }

    fn open(&mut self) -> chronos_snapshot::Result<Box<dyn Iterator<Item = Item> + Send>> {
        let pump = match &mut self.feed {
            Feed::Reader(reader) => {
                let once = || Error::Refused("a stream is read only once".to_owned());
                Pump::of_reader(reader.take().ok_or_else(once)?)
            }
            Feed::Command(command) => command.stream()?,
        };
        let file = streamed(self.path.clone(), Attributes::private(self.mtime), pump);
        Ok(Box::new(above(&self.path).into_iter().chain([file])))
    }

    fn is_repeatable(&self) -> bool {
        matches!(self.feed, Feed::Command(_))
    }
}

/// Runs `command` with what `content` writes as its standard input; gives what it said.
///
/// If the content cannot be read to its end the command is killed, so that it never takes a part for the whole.
pub fn into_command(command: &Process, content: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<String> {
    let said = command.feed(ANSWER_MAX, content)?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

#[cfg(test)]
mod tests;
