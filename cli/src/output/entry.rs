//! An entry of a tree as the line of a listing.

use chronos_server::catalog::{link_target, moment};
use chronos_snapshot::{Node, NodeKind, TreePath, printable};

pub(crate) use chronos_server::catalog::{Entry, kind};

use crate::output::table::{Table, local_time, size};

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
    moment(node.mtime).map_or_else(|| format!("@{}", node.mtime.seconds), |t| local_time(&t))
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
