//! An entry of a tree as JSON: of listings and comparisons.

use chronos_snapshot::{Node, NodeKind, Time, TreePath, printable};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// The fields of one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Entry {
    /// Its path in the snapshot.
    path: String,
    /// The exact bytes, where `path` cannot show them.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    /// `file`, `dir`, `symlink`, `fifo`, `socket`, `chardev` or `blockdev`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Bytes of its content.
    size: u64,
    /// Permission bits, octal.
    mode: String,
    /// Number of its owner.
    uid: u32,
    /// Number of its group.
    gid: u32,
    /// Name of its owner.
    user: Option<String>,
    /// Name of its group.
    group: Option<String>,
    /// Last change.
    mtime: Option<String>,
    /// Number in its file system.
    inode: u64,
    /// How many names it has.
    links: u32,
    /// Where a symbolic link points.
    #[serde(skip_serializing_if = "Option::is_none")]
    link_target: Option<String>,
}

impl Entry {
    /// The fields of an entry.
    pub fn new(path: &TreePath, node: &Node) -> Self {
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
            mtime: moment(node.mtime),
            inode: node.inode,
            links: node.links,
            link_target: link_target(node),
        }
    }
}

/// What an entry is, as a word.
pub fn kind(node: &Node) -> &'static str {
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

/// Where a symbolic link points.
pub fn link_target(node: &Node) -> Option<String> {
    match &node.kind {
        NodeKind::Symlink(to) => Some(printable(to)),
        _ => None,
    }
}

/// A time as RFC 3339; `None` outside the years that it can write.
pub fn moment(time: Time) -> Option<String> {
    let nanos = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    Timestamp::from_nanosecond(nanos).ok().map(|t| t.to_string())
}
