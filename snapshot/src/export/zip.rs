//! zip: files, folders and symbolic links with their modes, written without seeking.
//!
//! Names are UTF-8. Bytes that are not, backslashes and drive letters are written as `%` and two digits, so that
//! no system takes part of a name for a separator or a root.

use std::fmt::Write as _;
use std::io::Write;

use ::zip::write::{SimpleFileOptions, StreamWriter};
use ::zip::{CompressionMethod, DateTime, ZipWriter, result::ZipError};
use jiff::{Timestamp, tz::TimeZone};

use super::{Added, Archive, Member, output};
use crate::error::{Error, Result};
use crate::node::{NodeKind, Time};

/// Files from this size on get 64-bit lengths: deflate may lengthen them beyond four gigabytes.
const LARGE_BYTES: u64 = 0xf000_0000;

/// Writes a zip.
pub(super) struct ZipArchive<'a> {
    zip: ZipWriter<StreamWriter<&'a mut dyn Write>>,
    level: Option<i64>,
}

impl<'a> ZipArchive<'a> {
    pub(super) fn new(out: &'a mut dyn Write, level: Option<i32>) -> Self {
        Self { zip: ZipWriter::new_stream(out), level: level.map(i64::from) }
    }
}

impl Archive for ZipArchive<'_> {
    fn add(&mut self, member: &Member<'_>) -> Result<Added> {
        let node = member.node;
        let name = harmless(member.name);
        let options = SimpleFileOptions::default()
            .last_modified_time(dos_time(node.mtime))
            .unix_permissions(node.mode)
            .large_file(node.size() >= LARGE_BYTES);
        match &node.kind {
            NodeKind::Dir => {
                self.zip.add_directory(name, options).map_err(failed)?;
                Ok(Ok(0))
            }
            NodeKind::Symlink(to) => match std::str::from_utf8(to) {
                Ok(to) => {
                    self.zip.add_symlink(name, to, options).map_err(failed)?;
                    Ok(Ok(0))
                }
                Err(_) => Ok(Err("zip has no link targets that are not UTF-8")),
            },
            NodeKind::File(_) => {
                let options =
                    options.compression_method(CompressionMethod::Deflated).compression_level(self.level);
                self.zip.start_file(name, options).map_err(failed)?;
                Ok(Ok((member.content)(&mut self.zip)?))
            }
            NodeKind::Fifo
            | NodeKind::Socket
            | NodeKind::CharDevice { .. }
            | NodeKind::BlockDevice { .. } => Ok(Err("zip has no pipes, sockets and devices")),
        }
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let stream = self.zip.finish().map_err(failed)?;
        stream.into_inner().flush().map_err(output)
    }
}

fn failed(error: ZipError) -> Error {
    match error {
        ZipError::Io(error) => output(error),
        other => Error::Invalid(format!("the zip cannot be written: {other}")),
    }
}

/// A name that no system takes for more than names joined by `/`. Different names stay different.
fn harmless(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len());
    let drive = matches!(name, [letter, b':', ..] if letter.is_ascii_alphabetic());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            if matches!(c, '\\' | '%') || c.is_ascii_control() || c == ':' && drive {
                escape(&mut out, c as u8);
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            escape(&mut out, *byte);
        }
    }
    out
}

fn escape(out: &mut String, byte: u8) {
    // Writing to a string cannot fail.
    let _ = write!(out, "%{byte:02x}");
}

/// The nearest time that zip can hold: 1980 to 2107, UTC.
fn dos_time(time: Time) -> DateTime {
    let moment = Timestamp::from_second(time.seconds).unwrap_or(Timestamp::MIN).to_zoned(TimeZone::UTC);
    let part = |value: i8| u8::try_from(value).unwrap_or(0);
    DateTime::from_date_and_time(
        u16::try_from(moment.year()).unwrap_or(0),
        part(moment.month()),
        part(moment.day()),
        part(moment.hour()),
        part(moment.minute()),
        part(moment.second()),
    )
    .unwrap_or_default()
}
