//! Reading objects: sizes, whole objects and exact ranges.

use std::io;
use std::ops::Range;

use chronos_store::backend::{BackendError, BackendResult, check_range, check_size};
use futures_util::future::join;
use futures_util::{StreamExt, stream};
use russh_sftp::protocol::{FileAttributes, StatusCode};

use super::connection::Connection;
use super::failure::Failure;
use super::place::Place;

impl Place {
    /// Size in bytes of an object.
    pub(super) async fn stat(&self, name: &str) -> BackendResult<u64> {
        let connection = self.pool.lease().await.map_err(|e| e.of(name))?;
        let found = connection.stat(&self.path(name)).await.map_err(|e| e.of(name))?;
        size(name, &found)
    }

    /// The bytes of an object, or a range of them.
    pub(super) async fn read(&self, name: &str, range: Option<Range<u64>>) -> BackendResult<Vec<u8>> {
        let connection = self.pool.lease().await.map_err(|e| e.of(name))?;
        let path = self.path(name);
        // An object does not change, so its size may be asked for by its name, and both at once.
        let (open, found) = join(connection.open_file(&path), connection.stat(&path)).await;
        let open = open.map_err(|e| e.of(name))?;
        let read = async {
            let size = size(name, &found.map_err(|e| e.of(name))?)?;
            let range = range.unwrap_or(0..size);
            check_range(name, &range, size)?;
            check_size(name, range.end - range.start)?;
            connection.read_range(&open.id, range).await.map_err(|e| e.of(name))
        };
        let read = read.await;
        connection.close_unwatched(open);
        read
    }
}

/// The size of what is an object; a folder is none.
fn size(name: &str, found: &FileAttributes) -> BackendResult<u64> {
    // A server that does not tell what it is has files.
    let is_file = found.permissions.is_none() || found.file_type().is_file();
    found.size.filter(|_| is_file).ok_or_else(|| BackendError::NotFound(name.to_owned()))
}

impl Connection {
    /// Reads a range that is there, in parts of which several are on their way.
    async fn read_range(&self, id: &str, range: Range<u64>) -> Result<Vec<u8>, Failure> {
        let mut all = Vec::with_capacity((range.end - range.start) as usize);
        let step = self.can.read_bytes;
        let starts = (range.start..range.end).step_by(step as usize);
        let parts = starts.map(|start| self.read_part(id, start..range.end.min(start + step)));
        let mut parts = stream::iter(parts).buffered(self.can.reads());
        while let Some(part) = parts.next().await {
            all.extend_from_slice(&part?);
        }
        Ok(all)
    }

    /// A server may answer with less than was asked for.
    async fn read_part(&self, id: &str, range: Range<u64>) -> Result<Vec<u8>, Failure> {
        let mut part: Vec<u8> = Vec::new();
        loop {
            let start = range.start + part.len() as u64;
            if start >= range.end {
                return Ok(part);
            }
            match self.ask(self.session.read(id, start, (range.end - start) as u32)).await {
                Ok(more) if !more.data.is_empty() && part.is_empty() => part = more.data,
                Ok(more) if !more.data.is_empty() => part.extend_from_slice(&more.data),
                Ok(_) | Err(Failure::Refused(StatusCode::Eof, _)) => {
                    let told = "the file has become shorter while it was read".to_owned();
                    return Err(Failure::Lost(io::ErrorKind::UnexpectedEof, told));
                }
                Err(e) => return Err(e),
            }
        }
    }
}
