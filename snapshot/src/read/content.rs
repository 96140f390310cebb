//! The content of a file as a stream.

use std::io::Write;

use crate::error::{Error, Result};
use crate::node::{Extent, NodeKind};
use crate::path::TreePath;
use crate::tree::{RawEntry, Tree};

/// Zeros that are written at a time.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// Part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// Offset of the first byte.
    pub start: u64,
    /// Offset behind the last byte; what lies behind the end of the file is not there.
    pub end: u64,
}

impl ByteRange {
    /// Everything.
    pub const ALL: Self = Self { start: 0, end: u64::MAX };
}

impl Tree {
    /// Writes the content of the file at `path`, or of part of it, and returns how many bytes that were.
    ///
    /// Holes are written as zeros. Nothing behind a chunk that cannot be read is written.
    pub fn cat(&self, path: &TreePath, range: ByteRange, out: &mut dyn Write) -> Result<u64> {
        match self.find(path)? {
            Some(entry) if matches!(entry.node.kind, NodeKind::File(_)) => {
                self.write_content(&entry, range, out)
            }
            Some(_) => Err(Error::Invalid(format!("{path} is not a regular file"))),
            None => Err(Error::NotFound { what: "path", name: path.to_string() }),
        }
    }

    /// Writes the content of a file.
    pub(crate) fn write_content(
        &self,
        entry: &RawEntry,
        range: ByteRange,
        out: &mut dyn Write,
    ) -> Result<u64> {
        let mut written = 0;
        for extent in self.extents(entry, range.start) {
            let (at, extent) = extent?;
            if at >= range.end {
                break;
            }
            let length = extent.len();
            let skip = range.start.saturating_sub(at).min(length);
            let stop = (range.end - at).min(length);
            let (count, result) = match extent {
                Extent::Hole { .. } | Extent::Zero { .. } => {
                    let count = stop.saturating_sub(skip);
                    (count, write_zeros(out, count))
                }
                Extent::Data { .. } | Extent::Assembled(_) => {
                    let bytes = self.nodes().bytes(&extent).map_err(|e| match e {
                        Error::Damaged { why, .. } => Error::Damaged { what: entry.path.to_string(), why },
                        other => other,
                    })?;
                    let part = bytes.get(skip as usize..stop as usize).unwrap_or_default();
                    (part.len() as u64, out.write_all(part))
                }
            };
            result.map_err(|e| Error::file("the output", e))?;
            written += count;
        }
        Ok(written)
    }
}

fn write_zeros(out: &mut dyn Write, mut count: u64) -> std::io::Result<()> {
    while count > 0 {
        let n = count.min(ZEROS.len() as u64) as usize;
        out.write_all(ZEROS.get(..n).unwrap_or_default())?;
        count -= n as u64;
    }
    Ok(())
}
