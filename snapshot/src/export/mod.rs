//! Trees as archives: tar, compressed tar and zip, written as a stream in the order of paths.
//!
//! Names in an archive are always relative and never climb: a [`TreePath`] cannot hold `..` or begin with `/`,
//! and zip names are made harmless for systems with other separators too.

mod tar;
#[cfg(test)]
mod tests;
mod zip;

use std::collections::HashMap;
use std::io::Write;

use chronos_store::{Monitor, check_cancelled};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::node::{Node, NodeKind};
use crate::path::TreePath;
use crate::read::ByteRange;
use crate::tree::{RawEntry, Tree};

/// Kind of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExportFormat {
    /// tar with PAX headers: everything but sockets and holes.
    #[serde(rename = "tar")]
    Tar,
    /// The same, compressed with zstd.
    #[serde(rename = "tar.zst")]
    TarZst,
    /// zip: files, folders and symbolic links with their modes; times to two seconds.
    #[serde(rename = "zip")]
    Zip,
}

impl ExportFormat {
    /// Ending of file names, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Tar => "tar",
            Self::TarZst => "tar.zst",
            Self::Zip => "zip",
        }
    }

    /// The format that a file name ends with.
    pub fn of_file_name(name: &str) -> Option<Self> {
        [Self::TarZst, Self::Tar, Self::Zip]
            .into_iter()
            .find(|f| name.strip_suffix(f.extension()).is_some_and(|stem| stem.ends_with('.')))
    }
}

impl std::str::FromStr for ExportFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "tar" => Ok(Self::Tar),
            "tar.zst" | "tzst" => Ok(Self::TarZst),
            "zip" => Ok(Self::Zip),
            _ => Err(Error::Invalid(format!("{text:?} is not a format: tar, tar.zst or zip"))),
        }
    }
}

/// How a tree is exported.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// Kind of the archive.
    pub format: ExportFormat,
    /// The folder whose contents are exported, or the one file.
    pub base: TreePath,
    /// Compression level: 1 to 19 for tar.zst, 0 to 9 for zip; `None` for the usual one.
    pub level: Option<i32>,
}

/// What was exported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportReport {
    /// Entries written.
    pub entries: u64,
    /// Bytes of files written, before compression.
    pub bytes: u64,
    /// Entries that the format cannot hold, and why.
    pub skipped: Vec<(TreePath, &'static str)>,
}

/// An entry on its way into an archive.
struct Member<'a> {
    /// Name inside the archive.
    name: &'a [u8],
    node: &'a Node,
    /// Name of an earlier member that is the same file.
    link: Option<&'a [u8]>,
    /// Writes the content of a file.
    content: &'a dyn Fn(&mut dyn Write) -> Result<u64>,
}

/// What became of a member: bytes of content, or why the format cannot hold it.
type Added = Result<u64, &'static str>;

/// Writes one kind of archive.
trait Archive {
    /// Adds a member.
    fn add(&mut self, member: &Member<'_>) -> Result<Added>;
    /// Writes what belongs at the end.
    fn finish(self: Box<Self>) -> Result<()>;
}

impl Tree {
    /// Writes an archive of what lies below a folder, or of one file.
    ///
    /// Ends with the first part that cannot be read: what was written until then is not a whole archive.
    pub fn export(
        &self,
        options: &ExportOptions,
        out: &mut (dyn Write + '_),
        monitor: &dyn Monitor,
    ) -> Result<ExportReport> {
        let most = match options.format {
            ExportFormat::Tar => None,
            ExportFormat::TarZst => Some(1..=19),
            ExportFormat::Zip => Some(0..=9),
        };
        if let Some(level) = options.level
            && !most.as_ref().is_some_and(|levels| levels.contains(&level))
        {
            let why =
                most.map_or("it is not compressed".to_owned(), |l| format!("{} to {}", l.start(), l.end()));
            return Err(Error::Invalid(format!(
                "{} has no level {level}: {why}",
                options.format.extension()
            )));
        }
        let mut archive: Box<dyn Archive + '_> = match options.format {
            ExportFormat::Tar => Box::new(tar::TarWriter::plain(out)),
            ExportFormat::TarZst => Box::new(tar::TarWriter::zstd(out, options.level)?),
            ExportFormat::Zip => Box::new(zip::ZipArchive::new(out, options.level)),
        };
        let report = self.add_all(&mut *archive, &options.base, monitor)?;
        archive.finish()?;
        Ok(report)
    }

    fn add_all(
        &self,
        archive: &mut dyn Archive,
        base: &TreePath,
        monitor: &dyn Monitor,
    ) -> Result<ExportReport> {
        let mut report = ExportReport::default();
        let mut links: HashMap<(u64, u64), Vec<u8>> = HashMap::new();
        let mut found = base.is_root();
        // The last entry that is no folder: in the order of paths whatever claims to lie below it follows at once.
        let mut leaf: Option<TreePath> = None;
        for entry in self.walk(base) {
            check_cancelled(monitor)?;
            let entry = entry?;
            found = true;
            let Some(name) = name_below(base, &entry) else { continue };
            monitor.item(name);
            let node = &entry.node;
            if let Some(leaf) = leaf.as_ref().filter(|leaf| entry.path.strip(leaf).is_some()) {
                // Whoever unpacks it might follow a link there.
                let (what, why) = (entry.path.to_string(), format!("{leaf} is no folder"));
                return Err(Error::Damaged { what, why });
            }
            if !node.is_dir() {
                leaf = Some(entry.path.clone());
            }
            let same = may_be_link(node).then_some((node.dev, node.inode));
            let link = same.and_then(|key| links.get(&key)).map(Vec::as_slice);
            let content = |out: &mut dyn Write| self.write_content(&entry, ByteRange::ALL, out);
            let added = archive.add(&Member { name, node, link, content: &content })?;
            match added {
                Ok(bytes) => {
                    report.entries += 1;
                    report.bytes += bytes;
                    monitor.advance(1, bytes);
                    if let Some(key) = same {
                        links.entry(key).or_insert_with(|| name.to_vec());
                    }
                }
                Err(why) => report.skipped.push((entry.path.clone(), why)),
            }
        }
        if found { Ok(report) } else { Err(Error::NotFound { what: "path", name: base.to_string() }) }
    }
}

/// The name inside the archive; `None` for the folder whose contents are exported.
fn name_below<'a>(base: &TreePath, entry: &'a RawEntry) -> Option<&'a [u8]> {
    match entry.path.strip(base)? {
        [] if entry.node.is_dir() => None,
        [] => Some(entry.path.name()),
        name => Some(name),
    }
}

fn may_be_link(node: &Node) -> bool {
    node.links > 1 && node.inode != 0 && !matches!(node.kind, NodeKind::Dir | NodeKind::Socket)
}

/// Makes an error of the output.
fn output(error: std::io::Error) -> Error {
    Error::file("the output", error)
}
