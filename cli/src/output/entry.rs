//! An entry of a tree as the answer of a command: the line of a listing, and the JSON object.

use chronos_snapshot::{Node, NodeKind, Time, TreePath, printable};
use jiff::Timestamp;
use serde::Serialize;

use crate::output::table::{Table, local_time, size};

/// The fields of one entry.
#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    path: String,
    /// The exact bytes, where `path` cannot show them.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
    size: u64,
    mode: String,
    uid: u32,
    gid: u32,
    user: Option<String>,
    group: Option<String>,
    mtime: Option<String>,
    inode: u64,
    links: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_target: Option<String>,
}

impl Entry {
    /// The fields of an entry.
    pub(crate) fn new(path: &TreePath, node: &Node) -> Self {
        let shown = path.to_string();
        Self {
            path_hex: (shown.as_bytes() != path.as_bytes()).then(|| hex::encode(path.as_bytes())),
            path: shown,
            kind: kind(node),
            size: node.size(),
            mode: format!("{:04o}", node.mode),
            uid: node.uid,
            gid: node.gid,
            user: node.user.as_deref().map(str::to_owned),
            group: node.group.as_deref().map(str::to_owned),
            mtime: rfc3339(node.mtime),
            inode: node.inode,
            links: node.links,
            link_target: link_target(node),
        }
    }
}

/// What an entry is, as a word.
pub(crate) fn kind(node: &Node) -> &'static str {
    match node.kind {
        NodeKind::File(_) => "file",
        NodeKind::Dir => "dir",
        NodeKind::Symlink(_) => "symlink",
        NodeKind::Fifo => "fifo",
        NodeKind::Socket => "socket",
        NodeKind::CharDevice { .. } => "chardev",
        NodeKind::BlockDevice { .. } => "blockdev",
    }
}

/// An empty table of entries with their attributes.
pub(crate) fn long_table() -> Table {
    Table::new(&["", "", "", "", "", ""]).right(&[3])
}

/// Adds a row with attributes.
pub(crate) fn long_row(table: &mut Table, path: &TreePath, node: &Node) {
    let owner = |name: Option<&str>, number: u32| {
        name.map_or_else(|| number.to_string(), |n| printable(n.as_bytes()))
    };
    let mut name = name(path, node);
    if let Some(target) = link_target(node) {
        name.push_str(" -> ");
        name.push_str(&target);
    }
    table.row([
        mode(node),
        owner(node.user.as_deref(), node.uid),
        owner(node.group.as_deref(), node.gid),
        size(node.size()),
        mtime(node),
        name,
    ]);
}

/// The path with the mark of a folder.
pub(crate) fn name(path: &TreePath, node: &Node) -> String {
    if node.is_dir() { format!("{path}/") } else { path.to_string() }
}

/// Last change in the time zone of the process.
pub(crate) fn mtime(node: &Node) -> String {
    rfc3339(node.mtime).map_or_else(|| format!("@{}", node.mtime.seconds), |t| local_time(&t))
}

fn link_target(node: &Node) -> Option<String> {
    match &node.kind {
        NodeKind::Symlink(to) => Some(printable(to)),
        _ => None,
    }
}

/// A time as RFC 3339; `None` outside the years that it can write.
fn rfc3339(time: Time) -> Option<String> {
    let nanos = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    Timestamp::from_nanosecond(nanos).ok().map(|t| t.to_string())
}

/// Type and permissions as `ls -l` writes them.
fn mode(node: &Node) -> String {
    let first = match node.kind {
        NodeKind::File(_) => '-',
        NodeKind::Dir => 'd',
        NodeKind::Symlink(_) => 'l',
        NodeKind::Fifo => 'p',
        NodeKind::Socket => 's',
        NodeKind::CharDevice { .. } => 'c',
        NodeKind::BlockDevice { .. } => 'b',
    };
    let mut text = String::from(first);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = node.mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, node.mode & special != 0) {
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    text
}
