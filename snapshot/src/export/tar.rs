//! tar: ustar headers, and a PAX header before those entries that need one.
//!
//! PAX as in POSIX.1-2017 (`pax`, "pax Header Block"); extended attributes as `SCHILY.xattr.*`, with `%` and
//! `=` in their names escaped as GNU tar does.

use std::io::Write;

use ::tar::{EntryType, Header};

use super::{Added, Archive, Member, output};
use crate::error::{Error, Result};
use crate::node::{Node, NodeKind, Time};

/// Length of a block.
const BLOCK: usize = 512;
/// Largest number of twelve octal digits less the end mark: sizes and times.
const OCTAL_11_MAX: u64 = 0o777_7777_7777;
/// Largest number of eight octal digits less the end mark: owners and devices.
const OCTAL_7_MAX: u64 = 0o777_7777;
/// Longest name or link target in a ustar header.
const NAME_MAX: usize = 100;
/// Longest user or group name in a ustar header, less the end mark.
const OWNER_MAX: usize = 31;
/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;

/// Where the blocks go.
enum Out<'a> {
    Plain(&'a mut dyn Write),
    Zstd(zstd::Encoder<'static, &'a mut dyn Write>),
}

impl Out<'_> {
    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Plain(out) => *out,
            Self::Zstd(out) => out,
        }
    }
}

/// Writes a tar.
pub(super) struct TarWriter<'a> {
    out: Out<'a>,
}

impl<'a> TarWriter<'a> {
    pub(super) fn plain(out: &'a mut dyn Write) -> Self {
        Self { out: Out::Plain(out) }
    }

    pub(super) fn zstd(out: &'a mut dyn Write, level: Option<i32>) -> Result<Self> {
        let level = level.unwrap_or(ZSTD_LEVEL);
        let mut encoder = zstd::Encoder::new(out, level).map_err(output)?;
        encoder.include_checksum(true).map_err(output)?;
        Ok(Self { out: Out::Zstd(encoder) })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.writer().write_all(bytes).map_err(output)
    }

    fn pad(&mut self, written: u64) -> Result<()> {
        let over = (written % BLOCK as u64) as usize;
        let padding = [0; BLOCK];
        if over == 0 { Ok(()) } else { self.write(padding.get(over..).unwrap_or_default()) }
    }

    fn header(&mut self, header: &mut Header) -> Result<()> {
        header.set_cksum();
        self.write(header.as_bytes())
    }

    fn pax(&mut self, name: &[u8], records: &[u8]) -> Result<()> {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::XHeader);
        set_name(&mut header, &[b"PaxHeaders/", name].concat());
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(records.len() as u64);
        self.header(&mut header)?;
        self.write(records)?;
        self.pad(records.len() as u64)
    }
}

impl Archive for TarWriter<'_> {
    fn add(&mut self, member: &Member<'_>) -> Result<Added> {
        let node = member.node;
        if matches!(node.kind, NodeKind::Socket) {
            return Ok(Err("tar has no sockets"));
        }
        let mut name = member.name.to_vec();
        if node.is_dir() {
            name.push(b'/');
        }
        let target = match (&node.kind, member.link) {
            (_, Some(link)) => link,
            (NodeKind::Symlink(to), None) => to,
            _ => &[],
        };
        let size = if member.link.is_some() { 0 } else { node.size() };
        let records = records(&name, target, size, node);
        if !records.is_empty() {
            self.pax(&name, &records)?;
        }
        let mut header = ustar(&name, target, size, member);
        self.header(&mut header)?;
        if size == 0 {
            return Ok(Ok(0));
        }
        let written = (member.content)(self.out.writer())?;
        if written != size {
            return Err(Error::Damaged {
                what: crate::path::printable(member.name),
                why: format!("{written} bytes of {size} were there"),
            });
        }
        self.pad(written)?;
        Ok(Ok(written))
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.write(&[0; 2 * BLOCK])?;
        match self.out {
            Out::Plain(out) => out.flush(),
            Out::Zstd(encoder) => encoder.finish().and_then(Write::flush),
        }
        .map_err(output)
    }
}

/// The fixed header; numbers and names that do not fit are cut, since a PAX record has them whole.
fn ustar(name: &[u8], target: &[u8], size: u64, member: &Member<'_>) -> Header {
    let node = member.node;
    let mut header = Header::new_ustar();
    header.set_entry_type(match &node.kind {
        _ if member.link.is_some() => EntryType::Link,
        NodeKind::Dir => EntryType::Directory,
        NodeKind::Symlink(_) => EntryType::Symlink,
        NodeKind::Fifo => EntryType::Fifo,
        NodeKind::CharDevice { .. } => EntryType::Char,
        NodeKind::BlockDevice { .. } => EntryType::Block,
        NodeKind::File(_) | NodeKind::Socket => EntryType::Regular,
    });
    set_name(&mut header, name);
    header.set_mode(node.mode);
    header.set_uid(u64::from(node.uid).min(OCTAL_7_MAX));
    header.set_gid(u64::from(node.gid).min(OCTAL_7_MAX));
    header.set_size(size.min(OCTAL_11_MAX));
    header.set_mtime(u64::try_from(node.mtime.seconds).unwrap_or(0).min(OCTAL_11_MAX));
    let rdev = match node.kind {
        NodeKind::CharDevice { rdev } | NodeKind::BlockDevice { rdev } => rdev,
        _ => 0,
    };
    if let Some(ustar) = header.as_ustar_mut() {
        ustar.set_device_major(rustix::fs::major(rdev).min(OCTAL_7_MAX as u32));
        ustar.set_device_minor(rustix::fs::minor(rdev).min(OCTAL_7_MAX as u32));
        fill(&mut ustar.linkname, target);
        fill(&mut ustar.uname, owner(node.user.as_deref()).unwrap_or_default().as_bytes());
        fill(&mut ustar.gname, owner(node.group.as_deref()).unwrap_or_default().as_bytes());
    }
    header
}

/// The name if it fits the fixed header.
fn owner(name: Option<&str>) -> Option<&str> {
    name.filter(|n| n.len() <= OWNER_MAX && n.is_ascii())
}

fn set_name(header: &mut Header, name: &[u8]) {
    if let Some(ustar) = header.as_ustar_mut() {
        fill(&mut ustar.name, name);
    }
}

/// Puts as many bytes into a field as it holds.
fn fill(field: &mut [u8], bytes: &[u8]) {
    field.fill(0);
    for (to, from) in field.iter_mut().zip(bytes) {
        *to = *from;
    }
}

/// The PAX records that an entry needs.
fn records(name: &[u8], target: &[u8], size: u64, node: &Node) -> Vec<u8> {
    let mut out = Vec::new();
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok();
    if name.len() > NAME_MAX && !text(name) || target.len() > NAME_MAX && !text(target) {
        record(&mut out, b"hdrcharset", b"BINARY");
    }
    if name.len() > NAME_MAX {
        record(&mut out, b"path", name);
    }
    if target.len() > NAME_MAX {
        record(&mut out, b"linkpath", target);
    }
    if size > OCTAL_11_MAX {
        record(&mut out, b"size", size.to_string().as_bytes());
    }
    let fits = u64::try_from(node.mtime.seconds).is_ok_and(|s| s <= OCTAL_11_MAX);
    if !fits || node.mtime.nanos > 0 {
        record(&mut out, b"mtime", decimal(node.mtime).as_bytes());
    }
    for (key, id) in [(&b"uid"[..], node.uid), (b"gid", node.gid)] {
        if u64::from(id) > OCTAL_7_MAX {
            record(&mut out, key, id.to_string().as_bytes());
        }
    }
    for (key, name) in [(&b"uname"[..], &node.user), (b"gname", &node.group)] {
        match name.as_deref() {
            Some(name) if owner(Some(name)).is_none() => record(&mut out, key, name.as_bytes()),
            _ => {}
        }
    }
    for x in &node.xattrs {
        let mut key = b"SCHILY.xattr.".to_vec();
        for byte in &x.name {
            match byte {
                b'%' => key.extend_from_slice(b"%25"),
                b'=' => key.extend_from_slice(b"%3D"),
                other => key.push(*other),
            }
        }
        record(&mut out, &key, &x.value);
    }
    out
}

/// Appends one record; its length counts its own digits.
fn record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(format!("{length} ").as_bytes());
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// A time as a decimal number of seconds.
fn decimal(time: Time) -> String {
    let nanos = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    let sign = if nanos < 0 { "-" } else { "" };
    let (whole, part) = (nanos.unsigned_abs() / 1_000_000_000, nanos.unsigned_abs() % 1_000_000_000);
    if part == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part:09}") }
}
