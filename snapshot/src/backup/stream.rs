//! Standard input and the output of a command as one file of a snapshot.
//!
//! A thread pumps the bytes, so that a stream that says nothing never keeps a backup from being
//! stopped. A command that fails is an error of the whole backup: half a dump is no backup.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use chronos_store::ChunkClass;

use crate::error::{Error, Result};
use crate::node::{Content, NodeKind, Time};
use crate::path::{TreePath, printable};
use crate::source::{Entry, Item, Origin, Source, made};

/// Bytes of standard error that are shown when a command fails.
const STDERR_TAIL: usize = 4 << 10;
/// Bytes per read of a stream, and pieces read ahead: 1 MiB in flight.
const PIECE: usize = 256 << 10;
const PIECES_AHEAD: usize = 4;
/// How often a silent stream lets its reader look whether it should stop.
const PATIENCE: Duration = Duration::from_millis(100);

enum Feed {
    Reader(Option<Box<dyn Read + Send>>),
    Command(Vec<OsString>),
}

/// One file from a stream.
pub struct StreamSource {
    path: TreePath,
    mtime: Time,
    feed: Feed,
}

impl StreamSource {
    /// What `reader` gives (standard input), stored as `path` with the time `mtime`.
    pub fn reader(reader: Box<dyn Read + Send>, path: TreePath, mtime: Time) -> Result<Self> {
        Self::new(Feed::Reader(Some(reader)), path, mtime)
    }

    /// What a program with its arguments writes to standard output.
    pub fn command(command: Vec<OsString>, path: TreePath, mtime: Time) -> Result<Self> {
        if command.is_empty() {
            return Err(Error::Invalid("no command was given".to_owned()));
        }
        Self::new(Feed::Command(command), path, mtime)
    }

    fn new(feed: Feed, path: TreePath, mtime: Time) -> Result<Self> {
        if path.is_root() {
            return Err(Error::Invalid("the output of a stream needs a file name".to_owned()));
        }
        Ok(Self { path, mtime, feed })
    }
}

impl fmt::Debug for StreamSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSource")
            .field("path", &self.path)
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}

impl Source for StreamSource {
    fn name(&self) -> String {
        self.path.to_string()
    }

    fn kind(&self) -> &'static str {
        match self.feed {
            Feed::Reader(_) => "stdin",
            Feed::Command(_) => "command",
        }
    }

    fn paths(&self) -> Vec<String> {
        vec![format!("/{}", self.path)]
    }

    fn open(&mut self) -> Result<Box<dyn Iterator<Item = Item> + Send>> {
        let pump = match &mut self.feed {
            Feed::Reader(reader) => {
                let reader =
                    reader.take().ok_or_else(|| Error::Refused("a stream is read only once".to_owned()))?;
                Pump::start(reader, None)
            }
            Feed::Command(command) => Running::start(command)?,
        };
        let mut above: Vec<TreePath> = std::iter::successors(self.path.parent(), TreePath::parent)
            .take_while(|p| !p.is_root())
            .collect();
        above.reverse();
        let dir = |path| {
            Item::Entry(Entry {
                path,
                node: made(NodeKind::Dir, 0o755, Time::default()),
                origin: Origin::AboveRoot,
            })
        };
        let content = Content { class: ChunkClass::Std, size: 0, extents: Vec::new() };
        let file = Item::Entry(Entry {
            path: self.path.clone(),
            node: made(NodeKind::File(content), 0o600, self.mtime),
            origin: Origin::Stream(Box::new(pump)),
        });
        Ok(Box::new(above.into_iter().map(dir).chain([file])))
    }

    fn is_repeatable(&self) -> bool {
        matches!(self.feed, Feed::Command(_))
    }
}

/// Reads a stream on a thread of its own. When nothing comes, a read returns `Interrupted` now and then.
struct Pump {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: io::Cursor<Vec<u8>>,
    running: Option<Running>,
}

impl Pump {
    fn start(reader: Box<dyn Read + Send>, running: Option<Running>) -> Self {
        let (sender, pieces) = sync_channel(PIECES_AHEAD);
        // The thread ends with its stream or when nobody listens; there is nothing to wait for.
        std::thread::spawn(move || pump(reader, &sender));
        Self { pieces, piece: io::Cursor::default(), running }
    }
}

fn pump(mut reader: Box<dyn Read + Send>, sender: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let end = match reader.by_ref().take(PIECE as u64).read_to_end(&mut piece) {
            Ok(0) => break,
            Ok(_) => sender.send(Ok(piece)).is_err(),
            Err(e) => {
                // Nobody listens any more: the backup has ended.
                let _ = sender.send(Err(e));
                true
            }
        };
        if end {
            break;
        }
    }
}

impl Read for Pump {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.piece.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            match self.pieces.recv_timeout(PATIENCE) {
                Ok(piece) => self.piece = io::Cursor::new(piece?),
                Err(RecvTimeoutError::Timeout) => return Err(io::ErrorKind::Interrupted.into()),
                Err(RecvTimeoutError::Disconnected) => {
                    return match self.running.take() {
                        Some(running) => running.finish().map(|()| 0).map_err(io::Error::other),
                        None => Ok(0),
                    };
                }
            }
        }
    }
}

/// A running command; killed if it is dropped before its end.
struct Running {
    child: Child,
    shown: String,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    fn start(command: &[OsString]) -> Result<Pump> {
        let words: Vec<_> = command
            .iter()
            .map(|w| printable(std::os::unix::ffi::OsStrExt::as_bytes(w.as_os_str())))
            .collect();
        let shown = words.join(" ");
        let failed = |e: io::Error| Error::Command { command: shown.clone(), why: e.to_string() };
        let (program, arguments) =
            command.split_first().ok_or_else(|| Error::Invalid("no command".to_owned()))?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let stdout = child.stdout.take().ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
        let stderr = child.stderr.take().map(|s| std::thread::spawn(move || tail(s)));
        Ok(Pump::start(Box::new(stdout), Some(Self { child, shown, stderr })))
    }

    fn finish(mut self) -> Result<()> {
        let failed = |why| Error::Command { command: self.shown.clone(), why };
        let status = self.child.wait().map_err(|e| failed(e.to_string()))?;
        if status.success() {
            return Ok(());
        }
        let said = self.stderr.take().and_then(|t| t.join().ok()).unwrap_or_default();
        let said = printable(said.trim_ascii()).replace("\\n", "\n");
        Err(failed(if said.is_empty() { status.to_string() } else { format!("{status}: {said}") }))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended: there is nothing to kill, and its status is known.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads to the end, keeps the last bytes.
fn tail(mut from: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut piece = [0; 1024];
    while let Ok(n @ 1..) = from.read(&mut piece) {
        kept.extend_from_slice(piece.get(..n).unwrap_or_default());
        let extra = kept.len().saturating_sub(STDERR_TAIL);
        kept.drain(..extra);
    }
    kept
}
