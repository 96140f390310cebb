//! Compresses and seals frames: on the writer's own thread, or on one beside it if that has nothing to do.
//!
//! One big file is read by one thread; with a second one that packs what was read, two cores work on it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::own::Own;
use super::packer::{Packer, SealedFrame};
use crate::crypto::SealKey;
use crate::error::{Error, Result};
use crate::format::{Origin, TocChunk, seal_frame};
use crate::id::ChunkKind;
use crate::packs::lock;
use crate::repository::Inner;

/// Most threads beside the writers' own: each holds a frame, compressed and not, and what zstd needs, about 8 MiB.
const THREADS_MAX: usize = 2;

/// A frame that is complete.
#[derive(Debug)]
pub(super) struct PlainFrame {
    pub(super) plain: Vec<u8>,
    pub(super) chunks: Vec<TocChunk>,
    pub(super) kind: ChunkKind,
    pub(super) level: i32,
    /// What it is sealed under, the key of that, and the number.
    pub(super) origin: Origin,
    pub(super) key: Arc<SealKey>,
    pub(super) number: u32,
}

/// Where frames go.
#[derive(Debug)]
pub(super) struct Works {
    pub(super) inner: Arc<Inner>,
    pub(super) own: Own,
    pub(super) packer: Packer,
    /// Chunks that were promised never came into a pack: the session cannot be committed.
    pub(super) lost: AtomicBool,
}

impl Works {
    /// Seals a frame and adds it to the open pack; gives memory for another back, empty.
    fn take(&self, frame: PlainFrame) -> Result<Vec<u8>> {
        let PlainFrame { plain, chunks, kind, level, origin, key, number } = frame;
        let raw = plain.len() as u32;
        let outcome = seal_frame(&key, kind, number, plain, level).and_then(|(bytes, codec)| {
            let frame = SealedFrame { bytes, raw, codec, kind, origin, number, chunks };
            self.packer.add(&self.inner, &frame, &self.own)?;
            Ok(frame.bytes)
        });
        if outcome.is_err() {
            self.lost.store(true, Ordering::Relaxed);
        }
        outcome.map(|mut memory| {
            memory.clear();
            memory
        })
    }
}

/// The threads that seal, once there are any.
#[derive(Debug)]
pub(super) struct Sealer {
    works: Arc<Works>,
    threads: Mutex<Option<Threads>>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Threads {
    sender: SyncSender<PlainFrame>,
    handles: Vec<JoinHandle<()>>,
}

/// What the threads leave for the writers.
#[derive(Debug, Default)]
struct Shared {
    failure: Mutex<Option<Error>>,
    /// Memory of frames, empty.
    spare: Mutex<Vec<Vec<u8>>>,
}

impl Sealer {
    pub(super) fn new(works: Arc<Works>) -> Self {
        Self { works, threads: Mutex::default(), shared: Arc::default() }
    }

    /// Sees to a full frame: hands it to a thread that waits, else does it here. Returns empty memory for the next one.
    pub(super) fn take(&self, frame: PlainFrame) -> Result<Vec<u8>> {
        let sender = lock(&self.threads).get_or_insert_with(|| self.start()).sender.clone();
        match sender.try_send(frame) {
            Ok(()) => Ok(lock(&self.shared.spare).pop().unwrap_or_default()),
            Err(TrySendError::Full(frame) | TrySendError::Disconnected(frame)) => self.take_here(frame),
        }
    }

    /// The same on this thread.
    pub(super) fn take_here(&self, frame: PlainFrame) -> Result<Vec<u8>> {
        self.works.take(frame)
    }

    /// Waits until every frame is in a pack.
    pub(super) fn drain(&self) -> Result<()> {
        if let Some(Threads { sender, handles }) = lock(&self.threads).take() {
            drop(sender);
            // All of them are waited for, whatever became of the first.
            if handles.into_iter().map(JoinHandle::join).filter(Result::is_err).count() > 0 {
                self.works.lost.store(true, Ordering::Relaxed);
                return Err(Error::Invalid("a sealing thread panicked".into()));
            }
        }
        lock(&self.shared.failure).take().map_or(Ok(()), Err)
    }

    fn start(&self) -> Threads {
        let cores = self.works.inner.env.cores();
        // Nothing waits in the channel: a frame goes to a thread that is ready for it, or stays.
        let (sender, receiver) = sync_channel(0);
        let receiver = Arc::new(Mutex::new(receiver));
        // With one core there are none: nobody receives, so that every frame stays with who made it.
        let threads = 0..(cores - 1).min(THREADS_MAX);
        let handles = threads.map(|_| {
            let (works, shared) = (Arc::clone(&self.works), Arc::clone(&self.shared));
            let receiver = Arc::clone(&receiver);
            std::thread::spawn(move || run(&works, &shared, &receiver))
        });
        Threads { sender, handles: handles.collect() }
    }
}

/// Takes frames until there are no more, or one fails; then everything fails.
fn run(works: &Works, shared: &Shared, receiver: &Mutex<Receiver<PlainFrame>>) {
    loop {
        let frame = lock(receiver).recv();
        let Ok(frame) = frame else { return };
        match works.take(frame) {
            Ok(memory) => lock(&shared.spare).push(memory),
            Err(e) => {
                lock(&shared.failure).get_or_insert(e);
                return;
            }
        }
    }
}
