//! Cuts whatever can be read, through one reused buffer.

use std::io::{self, Read};

use super::Chunker;

/// Bytes asked for at once beyond what is looked at; large enough that system calls cost nothing.
const READ_AHEAD: usize = 1 << 20;

/// The chunks of a reader, one after the other, without copying them out of the buffer.
#[derive(Debug, Default)]
pub struct ChunkStream {
    buffer: Vec<u8>,
    /// The bytes not handed out yet are `buffer[start..end]`.
    start: usize,
    end: usize,
    ended: bool,
}

impl ChunkStream {
    /// A stream with no buffer yet; reuse it for many files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets what is left of the last file.
    pub fn reset(&mut self) {
        (self.start, self.end, self.ended) = (0, 0, false);
    }

    /// The bytes that are already read and not handed out, at least `wanted` of them unless the reader ends before.
    pub fn peek(&mut self, reader: &mut dyn Read, wanted: usize) -> io::Result<&[u8]> {
        self.fill(reader, wanted)?;
        Ok(self.ready())
    }

    /// The next chunk; `None` at the end. Call [`ChunkStream::reset`] before another reader.
    pub fn next_chunk(&mut self, reader: &mut dyn Read, chunker: &Chunker) -> io::Result<Option<&[u8]>> {
        let mut length = chunker.cut(self.ready());
        for wanted in [chunker.usual(), chunker.max()] {
            let ready = self.ready().len();
            // It may go on. A cut before the end of what is ready would be one with more ready too.
            if length == ready && ready < wanted && !self.ended {
                self.fill(reader, wanted)?;
                length = chunker.cut(self.ready());
            }
        }
        let ready = self.buffer.get(self.start..self.end).unwrap_or_default();
        if ready.is_empty() {
            return Ok(None);
        }
        let length = length.clamp(1, ready.len());
        self.start += length;
        Ok(ready.get(..length))
    }

    fn ready(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    fn fill(&mut self, reader: &mut dyn Read, wanted: usize) -> io::Result<()> {
        if self.end - self.start >= wanted || self.ended {
            return Ok(());
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.buffer.len() < wanted + READ_AHEAD {
            self.buffer.resize(wanted + READ_AHEAD, 0);
        }
        while self.end < wanted {
            let Some(room) = self.buffer.get_mut(self.end..) else { break };
            match reader.read(room) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(n) => self.end += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}
