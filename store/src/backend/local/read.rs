//! Reading files: sizes, whole objects and exact ranges.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use super::super::memory::{check_range, check_size};
use super::{BackendError, BackendResult, LocalBackend, is_absent};

impl LocalBackend {
    pub(super) fn stat_file(&self, name: &str) -> BackendResult<u64> {
        let meta = std::fs::metadata(self.path(name)).map_err(|e| self.read_error(name, e))?;
        if meta.is_file() { Ok(meta.len()) } else { Err(BackendError::NotFound(name.to_owned())) }
    }

    pub(super) fn read_file(&self, name: &str, range: Option<Range<u64>>) -> BackendResult<Vec<u8>> {
        let mut file = File::open(self.path(name)).map_err(|e| self.read_error(name, e))?;
        let meta = file.metadata().map_err(|e| self.error(name, e))?;
        if !meta.is_file() {
            return Err(BackendError::NotFound(name.to_owned()));
        }
        let range = range.unwrap_or(0..meta.len());
        check_range(name, &range, meta.len())?;
        let wanted = range.end - range.start;
        check_size(name, wanted)?;
        if range.start > 0 {
            file.seek(SeekFrom::Start(range.start)).map_err(|e| self.error(name, e))?;
        }
        let mut bytes = Vec::with_capacity(wanted as usize);
        file.take(wanted).read_to_end(&mut bytes).map_err(|e| self.error(name, e))?;
        if bytes.len() as u64 != wanted {
            return Err(self.error(name, io::ErrorKind::UnexpectedEof.into()));
        }
        Self::count(&self.counting.bytes_read, wanted);
        Ok(bytes)
    }

    fn read_error(&self, name: &str, error: io::Error) -> BackendError {
        if is_absent(&error) { BackendError::NotFound(name.to_owned()) } else { self.error(name, error) }
    }
}
