//! What is backed up: a few files in versions that share most of their chunks, also with files of other clients, put as a tree of
//! reference lists.

use std::collections::BTreeSet;
use std::sync::Arc;

use chronos_store::{ChunkId, ChunkKind, Error, Reader, RefList, Result, Session, SessionId, View};

use super::dice::Dice;
use crate::fixture::noise;

/// Files of every snapshot.
const FILES: usize = 5;
/// Chunks of a file.
const CHUNKS: u64 = 3;

/// The version of each file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tree([u64; FILES]);

impl Tree {
    /// Changes some of the files, of which there are so many versions.
    pub(super) fn change(&mut self, versions: u64, dice: &mut Dice) {
        for version in &mut self.0 {
            if dice.once_in(3) {
                *version = dice.below(versions);
            }
        }
    }

    fn name(self, file: usize) -> Vec<u8> {
        format!("file {file} in version {}", self.0[file]).into_bytes()
    }

    fn chunks(self, file: usize) -> impl Iterator<Item = Vec<u8>> {
        let first = 100 * file as u64 + self.0[file];
        (first..first + CHUNKS).map(|number| noise(number, 200 + 37 * (number as usize % 11)))
    }
}

/// An earlier snapshot, whose files are taken over if they have not changed.
#[derive(Debug)]
pub(super) struct Parent {
    pub(super) tree: Tree,
    pub(super) session: SessionId,
    pub(super) files: Vec<ChunkId>,
}

/// Puts a tree, and sends off what is gathered from time to time; returns its root.
pub(super) fn put(
    session: &Session,
    tree: Tree,
    parent: Option<&Parent>,
    dice: &mut Dice,
) -> Result<ChunkId> {
    let mut children = Vec::new();
    for file in 0..FILES {
        let same = parent.filter(|parent| parent.tree.0[file] == tree.0[file]);
        if let Some(list) = same.and_then(|parent| parent.files.get(file)) {
            children.push(*list);
            continue;
        }
        children.push(put_file(session, tree, file)?);
        if dice.once_in(4) {
            session.flush()?;
        }
    }
    put_list(session, RefList { meta: None, children, data: Vec::new() })
}

fn put_file(session: &Session, tree: Tree, file: usize) -> Result<ChunkId> {
    let mut writer = session.writer(ChunkKind::Data);
    let data = tree.chunks(file).map(|chunk| Ok(writer.put(&chunk)?.id)).collect::<Result<_>>()?;
    writer.finish()?;
    let mut writer = session.writer(ChunkKind::Meta);
    let meta = Some(writer.put(&tree.name(file))?.id);
    writer.finish()?;
    put_list(session, RefList { meta, children: Vec::new(), data })
}

fn put_list(session: &Session, list: RefList) -> Result<ChunkId> {
    let mut writer = session.writer(ChunkKind::Refs);
    let id = writer.put(&list.encode())?.id;
    writer.finish()?;
    Ok(id)
}

/// Reads a tree and compares every byte; `known` are chunks that were compared before.
pub(super) fn compare(
    reader: &Reader,
    root: &ChunkId,
    tree: Tree,
    known: &mut BTreeSet<(usize, ChunkId)>,
) -> Result<()> {
    let differs = |file: usize| Error::Invalid(format!("file {file} is not what was backed up"));
    let files = reader.refs(root)?.children;
    if files.len() != FILES {
        return Err(differs(files.len()));
    }
    for (file, id) in files.iter().enumerate() {
        let expected = (file + 100 * tree.0[file] as usize, *id);
        if known.contains(&expected) {
            continue;
        }
        let list = reader.refs(id)?;
        let meta = list.meta.ok_or_else(|| differs(file))?;
        let mut is_same = reader.read(ChunkKind::Meta, &meta)?[..] == tree.name(file);
        let chunks: Vec<_> = tree.chunks(file).collect();
        is_same &= chunks.len() == list.data.len();
        for (chunk, id) in chunks.iter().zip(&list.data) {
            is_same &= reader.read(ChunkKind::Data, id)?[..] == chunk[..];
        }
        if !is_same {
            return Err(differs(file));
        }
        known.insert(expected);
    }
    Ok(())
}

/// The files of a listed snapshot, as a parent of the next one.
pub(super) fn parent(view: &Arc<View>, session: &SessionId, tree: Tree) -> Result<Option<Parent>> {
    let Some(row) = view.snapshots().find(|row| row.session == *session) else { return Ok(None) };
    let Some(root) = row.roots.first() else { return Ok(None) };
    let files = view.reader().refs(root)?.children;
    Ok(Some(Parent { tree, session: session.clone(), files }))
}
