//! Bytes that another thread brings, as a stream for the engine.
//!
//! What brings them may be slow or say nothing for hours; a read returns `Interrupted` now and then, so that a backup can
//! always be stopped. In flight is at most 1 MiB.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{Error, Result};

/// Bytes per piece, and pieces read ahead.
const PIECE: usize = 256 << 10;
const PIECES_AHEAD: usize = 3;
/// How often a silent stream lets its reader look whether it should stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// A piece; `None` is the end, without which a stream is cut off.
type Pieces = Result<Option<Vec<u8>>>;

/// The reading end.
pub struct Pump {
    pieces: Receiver<Pieces>,
    piece: io::Cursor<Vec<u8>>,
    is_at_end: bool,
    end: End,
}

/// What happens to the thread when nobody listens any more.
enum End {
    /// It finds out when it has something to say.
    Left,
    /// This is called first.
    Told(Box<dyn Fn() + Send>),
    /// As above, and it is waited for: it leaves nothing behind.
    Awaited(Box<dyn Fn() + Send>, Option<JoinHandle<()>>),
}

/// The writing end. Writing fails with `BrokenPipe` once nobody listens.
pub(crate) struct Feed {
    pieces: SyncSender<Pieces>,
    piece: Vec<u8>,
}

impl Pump {
    /// What `reader` gives. It is left alone if it still waits for something in the end, as standard input does.
    pub fn of_reader(mut reader: impl Read + Send + 'static) -> Self {
        Self::start(move |feed| feed.copy(&mut reader), End::Left)
    }

    /// What `work` writes; `stop` is called if nobody listens any more.
    pub(crate) fn of_work(
        work: impl FnOnce(&mut Feed) -> Result<()> + Send + 'static,
        stop: impl Fn() + Send + 'static,
    ) -> Self {
        Self::start(work, End::Told(Box::new(stop)))
    }

    /// The same; the end of `work` is waited for, whatever happens.
    pub(crate) fn of_awaited_work(
        work: impl FnOnce(&mut Feed) -> Result<()> + Send + 'static,
        stop: impl Fn() + Send + 'static,
    ) -> Self {
        Self::start(work, End::Awaited(Box::new(stop), None))
    }

    fn start(work: impl FnOnce(&mut Feed) -> Result<()> + Send + 'static, end: End) -> Self {
        let (sender, pieces) = sync_channel(PIECES_AHEAD);
        let mut feed = Feed { pieces: sender, piece: Vec::new() };
        let thread = std::thread::spawn(move || {
            let done = work(&mut feed).and_then(|()| feed.flush().map_err(|_| Error::Interrupted));
            // If nobody listens any more, the backup has ended.
            let _ = feed.pieces.send(done.map(|()| None));
        });
        let end = match end {
            End::Awaited(stop, _) => End::Awaited(stop, Some(thread)),
            other => other,
        };
        Self { pieces, piece: io::Cursor::default(), is_at_end: false, end }
    }
}

impl Read for Pump {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.piece.read(buffer)?;
            if n > 0 || buffer.is_empty() || self.is_at_end {
                return Ok(n);
            }
            match self.pieces.recv_timeout(PATIENCE) {
                Ok(piece) => match piece.map_err(|e| io::Error::other(chronos_snapshot::Error::from(e)))? {
                    Some(piece) => self.piece = io::Cursor::new(piece),
                    None => self.is_at_end = true,
                },
                Err(RecvTimeoutError::Timeout) => return Err(io::ErrorKind::Interrupted.into()),
                Err(RecvTimeoutError::Disconnected) => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        // Whoever waits for room finds out that nobody listens.
        self.pieces = sync_channel(0).1;
        match &mut self.end {
            End::Left => {}
            End::Told(stop) => stop(),
            End::Awaited(stop, thread) => {
                stop();
                // A panic of the thread has ended the stream without an error of its own; there is nothing to add.
                let _ = thread.take().map(JoinHandle::join);
            }
        }
    }
}

impl fmt::Debug for Pump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pump").finish_non_exhaustive()
    }
}

impl Feed {
    /// Takes all that `reader` gives.
    pub(crate) fn copy(&mut self, reader: &mut dyn Read) -> Result<()> {
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            let read = reader.take(PIECE as u64).read_to_end(&mut piece);
            if self.send(piece).is_err() {
                return Err(Error::Interrupted);
            }
            match read {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(e) => return Err(Error::file("the stream", e)),
            }
        }
    }

    fn send(&mut self, piece: Vec<u8>) -> io::Result<()> {
        if piece.is_empty() {
            return Ok(());
        }
        self.pieces.send(Ok(Some(piece))).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Feed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE - self.piece.len();
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or(bytes);
        self.piece.extend_from_slice(taken);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::take(&mut self.piece);
        self.send(piece)
    }
}
