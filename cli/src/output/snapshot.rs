//! Snapshots as the table of an answer.

use chronos_snapshot::Snapshot;

use crate::output::table::{SHORT_ID_LEN, Table, local_time, size};

/// A table of snapshots.
pub(crate) fn table<'a>(snapshots: impl Iterator<Item = &'a Snapshot>) -> Table {
    let heads = ["ID", "BACKUP ID", "TIME", "STATUS", "SIZE", "ADDED", "HOST", "PATHS"];
    let mut table = Table::new(&heads).right(&[4, 5]);
    for s in snapshots {
        let m = &s.manifest;
        let shown = |text: &str| chronos_snapshot::printable(text.as_bytes());
        let mut status = s.status().to_owned();
        if s.marks.held {
            status.push_str(", held");
        }
        if m.unchanged {
            status.push_str(", unchanged");
        }
        table.row([
            s.id.to_string().chars().take(SHORT_ID_LEN).collect(),
            shown(&m.backup_id),
            local_time(&m.created_at),
            status,
            size(m.size_bytes),
            size(m.added_bytes),
            shown(&m.host),
            shown(&m.paths.join(" ")),
        ]);
    }
    table
}
