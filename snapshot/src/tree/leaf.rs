//! Leaves: entries with all their attributes, user names and extended attributes once per leaf.
//!
//! `Meta`: version, form, number of entries, table of user and group names, table of sets of extended
//! attributes, entries. `Refs`: ids of recipe nodes as children, ids of data chunks, both in the order in
//! which the entries use them.

use std::sync::Arc;

use chronos_store::{ChunkClass, ChunkId, RefList};

use super::codec::{Dec, ENTRIES_MAX, Form, VERSION, damaged, put_bytes, put_int, put_path, put_signed};
use super::recipe::{self, EXTENTS_MAX, INLINE_EXTENTS_MAX, Ids};
use super::{RawEntry, Sink};
use crate::error::{Error, Result};
use crate::node::{Content, Node, NodeKind, Time, Xattr};
use crate::path::{PATH_BYTES_MAX, TreePath};

/// Longest user or group name in bytes; far above what systems allow.
const NAME_BYTES_MAX: usize = 1024;
/// Longest name of an extended attribute; the kernel's `XATTR_NAME_MAX`.
const XATTR_NAME_MAX: usize = 255;
/// Longest value of an extended attribute; the kernel's `XATTR_SIZE_MAX`.
const XATTR_VALUE_MAX: usize = 1 << 16;
/// Most extended attributes of one entry.
const XATTRS_MAX: usize = 4096;
/// In the byte of the chunk class: some extents are in pieces.
const WITH_PIECES: u8 = 0x80;
/// Most bytes of extended attributes of one entry: a leaf full of such entries still fits a pack.
const XATTR_BYTES_MAX: usize = 1 << 18;

/// Collects the entries of one leaf.
#[derive(Debug, Default)]
pub(crate) struct LeafWriter {
    count: usize,
    body: Vec<u8>,
    names: Vec<Arc<str>>,
    xattrs: Vec<Vec<Xattr>>,
    /// Bytes of the sets above.
    xattr_bytes: usize,
    refs: RefList,
    first: Option<TreePath>,
    last: Vec<u8>,
    /// Memory of the entry that was encoded last.
    scratch: Vec<u8>,
}

impl LeafWriter {
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// About how long it is.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len() + self.xattr_bytes
    }

    pub(crate) fn first(&self) -> Option<&TreePath> {
        self.first.as_ref()
    }

    /// Adds an entry; stores the recipe of a large file unless it is given.
    pub(crate) fn add(
        &mut self,
        sink: &mut dyn Sink,
        path: &TreePath,
        node: &Node,
        recipe: Option<ChunkId>,
    ) -> Result<()> {
        check(node, recipe.is_some()).map_err(|why| Error::Invalid(format!("{path}: {why}")))?;
        let mut out = std::mem::take(&mut self.scratch);
        out.clear();
        put_path(&mut out, &self.last, path.as_bytes());
        out.push(tag(&node.kind));
        for value in [node.mode, node.uid, node.gid] {
            put_int(&mut out, u64::from(value));
        }
        let user = name_index(&mut self.names, node.user.as_ref());
        put_int(&mut out, user);
        let group = name_index(&mut self.names, node.group.as_ref());
        put_int(&mut out, group);
        put_signed(&mut out, node.mtime.seconds);
        put_int(&mut out, u64::from(node.mtime.nanos));
        put_signed(&mut out, node.ctime.seconds.wrapping_sub(node.mtime.seconds));
        put_int(&mut out, u64::from(node.ctime.nanos));
        put_int(&mut out, node.dev);
        put_int(&mut out, node.inode);
        put_int(&mut out, u64::from(node.links));
        let sets = self.xattrs.len();
        let set = set_index(&mut self.xattrs, &node.xattrs);
        if self.xattrs.len() > sets {
            self.xattr_bytes += node.xattrs.iter().map(|x| x.name.len() + x.value.len()).sum::<usize>();
        }
        put_int(&mut out, set);
        match &node.kind {
            NodeKind::File(content) => self.put_content(sink, &mut out, content, recipe)?,
            NodeKind::Symlink(to) => put_bytes(&mut out, to),
            NodeKind::CharDevice { rdev } | NodeKind::BlockDevice { rdev } => put_int(&mut out, *rdev),
            NodeKind::Dir | NodeKind::Fifo | NodeKind::Socket => {}
        }
        self.body.extend_from_slice(&out);
        self.scratch = out;
        self.count += 1;
        self.first.get_or_insert_with(|| path.clone());
        self.last.clear();
        self.last.extend_from_slice(path.as_bytes());
        Ok(())
    }

    fn put_content(
        &mut self,
        sink: &mut dyn Sink,
        out: &mut Vec<u8>,
        content: &Content,
        recipe: Option<ChunkId>,
    ) -> Result<()> {
        let is_inline = recipe.is_none() && recipe::is_inline(content);
        let pieced = is_inline && recipe::has_pieces(&content.extents);
        let flags = if pieced { WITH_PIECES } else { 0 };
        match content.class {
            ChunkClass::Std => out.push(flags),
            ChunkClass::Db => out.push(flags | 1),
            ChunkClass::Bulk => out.push(flags | 2),
            ChunkClass::Page(size) => {
                out.push(flags | 3);
                put_int(out, u64::from(size));
            }
        }
        put_int(out, content.size);
        if let Some(recipe) = recipe {
            out.push(0);
            self.refs.children.push(recipe);
        } else if is_inline {
            put_int(out, content.extents.len() as u64 + 1);
            for extent in &content.extents {
                recipe::put_extent(out, &mut self.refs.data, extent, pieced);
            }
        } else {
            out.push(0);
            self.refs.children.push(recipe::store(sink, &content.extents)?);
        }
        Ok(())
    }

    /// The two halves of the leaf; the writer is empty afterwards.
    pub(crate) fn take(&mut self) -> (Vec<u8>, RefList) {
        let done = std::mem::take(self);
        let mut out = vec![VERSION, Form::Leaf as u8];
        put_int(&mut out, done.count as u64);
        put_int(&mut out, done.names.len() as u64);
        for name in &done.names {
            put_bytes(&mut out, name.as_bytes());
        }
        put_int(&mut out, done.xattrs.len() as u64);
        for set in &done.xattrs {
            put_int(&mut out, set.len() as u64);
            for x in set {
                put_bytes(&mut out, &x.name);
                put_bytes(&mut out, &x.value);
            }
        }
        out.extend_from_slice(&done.body);
        (out, done.refs)
    }
}

/// Whether a node is inside the limits of the format.
fn check(node: &Node, has_recipe: bool) -> Result<(), String> {
    let fail = |ok: bool, why: &str| if ok { Ok(()) } else { Err(why.to_owned()) };
    fail(node.mode <= 0o7777, "its mode has bits beyond 07777")?;
    fail(node.mtime.nanos < 1_000_000_000, "its time has too many nanoseconds")?;
    fail(node.ctime.nanos < 1_000_000_000, "its time has too many nanoseconds")?;
    for name in [&node.user, &node.group].into_iter().flatten() {
        fail(name.len() <= NAME_BYTES_MAX, "its owner's name is too long")?;
    }
    fail(node.xattrs.len() <= XATTRS_MAX, "it has too many extended attributes")?;
    let mut bytes = 0;
    for x in &node.xattrs {
        let fits = !x.name.is_empty() && x.name.len() <= XATTR_NAME_MAX && x.value.len() <= XATTR_VALUE_MAX;
        fail(fits, "an extended attribute is too long")?;
        bytes += x.name.len() + x.value.len();
    }
    fail(bytes <= XATTR_BYTES_MAX, "its extended attributes are too long together")?;
    let rising = node.xattrs.windows(2).all(|w| matches!(w, [a, b] if a.name < b.name));
    fail(rising, "its extended attributes are not sorted")?;
    if let NodeKind::File(Content { class: ChunkClass::Page(size), .. }) = node.kind {
        fail(ChunkClass::page(size).is_some(), "its pages are of no known size")?;
    }
    match &node.kind {
        NodeKind::Symlink(to) => fail(to.len() <= PATH_BYTES_MAX, "its target is too long"),
        NodeKind::File(_) if has_recipe => Ok(()),
        NodeKind::File(content) => {
            fail(content.extents.len() <= EXTENTS_MAX, "it has too many extents")?;
            fail(content.extents.iter().all(|e| !e.is_empty()), "one of its extents is empty")?;
            fail(
                content.extents.iter().all(recipe::fits),
                "one of its chunks has too many or too long pieces",
            )?;
            let sum = recipe::total(&content.extents).ok();
            fail(sum == Some(content.size), "its extents are not as long as it is")
        }
        _ => Ok(()),
    }
}

fn tag(kind: &NodeKind) -> u8 {
    match kind {
        NodeKind::File(_) => 0,
        NodeKind::Dir => 1,
        NodeKind::Symlink(_) => 2,
        NodeKind::Fifo => 3,
        NodeKind::Socket => 4,
        NodeKind::CharDevice { .. } => 5,
        NodeKind::BlockDevice { .. } => 6,
    }
}

/// 0 for none, else the place in the table from 1.
fn name_index(table: &mut Vec<Arc<str>>, name: Option<&Arc<str>>) -> u64 {
    let Some(name) = name else { return 0 };
    let at = table.iter().position(|n| n == name).unwrap_or_else(|| {
        table.push(Arc::clone(name));
        table.len() - 1
    });
    at as u64 + 1
}

fn set_index(table: &mut Vec<Vec<Xattr>>, set: &[Xattr]) -> u64 {
    if set.is_empty() {
        return 0;
    }
    let at = table.iter().position(|s| s == set).unwrap_or_else(|| {
        table.push(set.to_vec());
        table.len() - 1
    });
    at as u64 + 1
}

/// Reads the entries of one leaf one by one.
#[derive(Debug)]
pub(crate) struct LeafReader {
    meta: Arc<[u8]>,
    at: usize,
    left: usize,
    names: Vec<Arc<str>>,
    xattrs: Vec<Vec<Xattr>>,
    data: Ids,
    recipes: std::vec::IntoIter<ChunkId>,
    last: Option<TreePath>,
}

impl LeafReader {
    /// Reads the head of a leaf.
    pub(crate) fn open(meta: Arc<[u8]>, refs: RefList) -> Result<Self> {
        let mut dec = Dec::new(&meta);
        if dec.form()? != Form::Leaf {
            return Err(damaged("a leaf is of the wrong form"));
        }
        let left = dec.count(ENTRIES_MAX, "the number of entries")?;
        let mut names = Vec::new();
        for _ in 0..dec.count(2 * ENTRIES_MAX, "the number of names")? {
            let name = std::str::from_utf8(dec.bytes(NAME_BYTES_MAX, "a name")?);
            names.push(Arc::from(name.map_err(|_| damaged("a name is not UTF-8"))?));
        }
        let mut xattrs = Vec::new();
        for _ in 0..dec.count(ENTRIES_MAX, "the number of attribute sets")? {
            xattrs.push(xattr_set(&mut dec)?);
        }
        let at = meta.len() - dec.left();
        Ok(Self {
            meta,
            at,
            left,
            names,
            xattrs,
            data: Ids::new(refs.data),
            recipes: refs.children.into_iter(),
            last: None,
        })
    }

    /// Path of the last entry that was handed out.
    pub(crate) fn reached(&self) -> TreePath {
        self.last.clone().unwrap_or_default()
    }

    /// The next entry; after the last one, checks that nothing is left over.
    pub(crate) fn step(&mut self) -> Result<Option<RawEntry>> {
        let meta = Arc::clone(&self.meta);
        let mut dec = Dec::new(meta.get(self.at..).unwrap_or_default());
        if self.left == 0 {
            if self.data.left() + self.recipes.len() > 0 {
                return Err(damaged("a leaf refers to more than its entries do"));
            }
            dec.end()?;
            return Ok(None);
        }
        let entry = self.entry(&mut dec)?;
        self.at = meta.len() - dec.left();
        self.left -= 1;
        self.last.get_or_insert_default().clone_from(&entry.path);
        Ok(Some(entry))
    }

    fn entry(&mut self, dec: &mut Dec<'_>) -> Result<RawEntry> {
        let path = dec.path(self.last.as_ref())?;
        let tag = dec.byte()?;
        let mode = dec.at_most(0o7777, "a mode")? as u32;
        let uid = dec.u32("a user id")?;
        let gid = dec.u32("a group id")?;
        let user = self.name(dec)?;
        let group = self.name(dec)?;
        let mtime = Time { seconds: dec.signed()?, nanos: nanos(dec)? };
        let ctime = Time { seconds: dec.signed()?.wrapping_add(mtime.seconds), nanos: nanos(dec)? };
        let dev = dec.int()?;
        let inode = dec.int()?;
        let links = dec.u32("a number of links")?;
        let xattrs = match dec.int()? {
            0 => Vec::new(),
            n => {
                let set = self.xattrs.get(n as usize - 1);
                set.ok_or_else(|| damaged("an attribute set is not in its table"))?.clone()
            }
        };
        let mut recipe = None;
        let kind = match tag {
            0 => {
                let (content, large) = self.content(dec)?;
                recipe = large;
                NodeKind::File(content)
            }
            1 => NodeKind::Dir,
            2 => NodeKind::Symlink(dec.bytes(PATH_BYTES_MAX, "a link target")?.to_vec()),
            3 => NodeKind::Fifo,
            4 => NodeKind::Socket,
            5 => NodeKind::CharDevice { rdev: dec.int()? },
            6 => NodeKind::BlockDevice { rdev: dec.int()? },
            other => return Err(damaged(format!("entry type {other} is not known"))),
        };
        let node = Node { kind, mode, uid, gid, user, group, mtime, ctime, dev, inode, links, xattrs };
        Ok(RawEntry { path, node, recipe })
    }

    fn name(&self, dec: &mut Dec<'_>) -> Result<Option<Arc<str>>> {
        match dec.int()? {
            0 => Ok(None),
            n => match self.names.get(n as usize - 1) {
                Some(name) => Ok(Some(Arc::clone(name))),
                None => Err(damaged("a name is not in its table")),
            },
        }
    }

    fn content(&mut self, dec: &mut Dec<'_>) -> Result<(Content, Option<ChunkId>)> {
        let code = dec.byte()?;
        let pieced = code & WITH_PIECES != 0;
        let class = match code & !WITH_PIECES {
            0 => ChunkClass::Std,
            1 => ChunkClass::Db,
            2 => ChunkClass::Bulk,
            3 => ChunkClass::page(dec.u32("a page size")?)
                .ok_or_else(|| damaged("a file's page size is not known"))?,
            other => return Err(damaged(format!("chunk class {other} is not known"))),
        };
        let size = dec.int()?;
        let n = dec.count(INLINE_EXTENTS_MAX + 1, "the number of extents")?;
        if n == 0 {
            if pieced {
                return Err(damaged("a recipe is marked as having pieces"));
            }
            let id = self.recipes.next().ok_or_else(|| damaged("a recipe is not referred to"))?;
            return Ok((Content { class, size, extents: Vec::new() }, Some(id)));
        }
        let data = &mut self.data;
        let extents = (1..n).map(|_| recipe::extent(dec, data, pieced)).collect::<Result<Vec<_>>>()?;
        if pieced && !recipe::has_pieces(&extents) {
            return Err(damaged("a file is marked as having pieces"));
        }
        if recipe::total(&extents)? != size {
            return Err(damaged("a file's extents are not as long as it is"));
        }
        Ok((Content { class, size, extents }, None))
    }
}

fn nanos(dec: &mut Dec<'_>) -> Result<u32> {
    Ok(dec.at_most(999_999_999, "nanoseconds")? as u32)
}

fn xattr_set(dec: &mut Dec<'_>) -> Result<Vec<Xattr>> {
    let mut set: Vec<Xattr> = Vec::new();
    let mut bytes = 0;
    for _ in 0..dec.count(XATTRS_MAX, "the number of attributes")? {
        let name = dec.bytes(XATTR_NAME_MAX, "an attribute's name")?.to_vec();
        let value = dec.bytes(XATTR_VALUE_MAX, "an attribute's value")?.to_vec();
        bytes += name.len() + value.len();
        let rising = set.last().is_none_or(|last| last.name < name);
        if name.is_empty() || !rising || bytes > XATTR_BYTES_MAX {
            return Err(damaged("a set of attributes is not sorted or too long"));
        }
        set.push(Xattr { name, value });
    }
    Ok(set)
}
