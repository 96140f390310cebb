//! Where entries come from: a source yields them in the order of their paths, with what their content is.
//!
//! The file source walks folders; a stream is one file from standard input or a command; memory holds
//! entries that somebody made. Sources of later crates implement [`Source`] too.

mod absent;
mod exclude;
mod files;
mod include;
mod labelled;
mod list;
mod memory;
mod merge;
pub(crate) mod names;
mod options;
mod roots;
pub(crate) mod rules;
mod stat;
mod walk;
pub(crate) mod xattrs;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::Read;

use crate::error::Result;
use crate::node::Node;
use crate::path::TreePath;
use crate::record::{PathError, SourcePart};

pub use absent::AbsentSource;
pub use exclude::{Explanation, Reason, Tag};
pub use files::{FileOptions, FileSource};
pub use labelled::{COMPONENTS, LabelledSource};
pub use list::read_path_list;
pub use memory::MemorySource;
pub(crate) use memory::made;
pub(crate) use merge::{Merged, none};
pub(crate) use names::Names;
pub use options::Preset;
pub(crate) use stat::{Stat, look, names_in, open_holder, xattrs_since};

/// Gives the entries of one part of a snapshot.
pub trait Source: Send + fmt::Debug {
    /// Its name among the sources of a snapshot.
    fn name(&self) -> String;

    /// `files`, `stdin`, `command`, …
    fn kind(&self) -> &'static str;

    /// Which component of its target it is: one of [`COMPONENTS`].
    fn component(&self) -> String {
        "files".to_owned()
    }

    /// What it covers, for people and for finding the previous snapshot of the same thing.
    fn paths(&self) -> Vec<String>;

    /// Begins to give entries, in the order of their paths, each path once. All sources of a snapshot are opened before the
    /// first is read. One that cannot be opened has failed; the others go on.
    fn open(&mut self) -> Result<Box<dyn Iterator<Item = Item> + Send>>;

    /// Whether it can be opened a second time.
    fn is_repeatable(&self) -> bool;

    /// Whether it gave something of this name or id that the paths of its files do not tell: a workflow by its name, a
    /// table. Asked for like [`Source::outcome`], and before it.
    fn holds(&self, _name: &str) -> bool {
        false
    }

    /// What it has to say of itself; asked for when all that it gave is stored.
    fn outcome(&self) -> SourceOutcome {
        SourceOutcome::default()
    }
}

/// What a source says of itself in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceOutcome {
    /// Why what it gave is not whole, though nothing failed while it was read; makes the snapshot partial.
    pub incomplete: Option<String>,
    /// What it is made of.
    pub parts: Vec<SourcePart>,
    /// How consistent it is, and which versions were met.
    pub notes: Vec<String>,
}

/// What a source gives.
#[derive(Debug)]
pub enum Item {
    /// One entry.
    Entry(Entry),
    /// Something that could not be read; the rest goes on.
    Problem(PathError),
    /// The source has failed and gives nothing more; other sources go on.
    Failed(String),
}

/// An entry of a source.
#[derive(Debug)]
pub struct Entry {
    /// Where it goes in the snapshot.
    pub path: TreePath,
    /// Its attributes; the content of a regular file is known by its size only.
    pub node: Node,
    /// Where the content of a regular file is.
    pub origin: Origin,
}

/// Where the content of a regular file is.
pub enum Origin {
    /// There is none: not a regular file.
    Nothing,
    /// Not a regular file, and above the roots: its times say nothing about what is backed up.
    AboveRoot,
    /// At the same path of the file system, in a folder of this device and inode; so are its extended attributes, which
    /// the node does not have yet.
    File((u64, u64)),
    /// Here.
    Bytes(Vec<u8>),
    /// To be read once. If that fails the source has failed; neither this file nor what the source gives after it is stored.
    Stream(Box<dyn Read + Send>),
    /// One of several things that its source is there for, to be read once. If that fails the source has failed and this file
    /// is not stored, but what the source gives beside it is.
    Part(Box<dyn Read + Send>),
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::AboveRoot => "AboveRoot",
            Self::File(_) => "File",
            Self::Bytes(_) => "Bytes",
            Self::Stream(_) => "Stream",
            Self::Part(_) => "Part",
        })
    }
}
