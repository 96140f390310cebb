//! Writes full packs in the background: one at a time, one more waiting.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::backend::{Backend, BackendError, BackendExt, Durability};
use crate::error::{Error, Result};
use crate::packs::lock;

/// Packs that wait behind the one being written; each is 16 MiB of memory.
const WAITING: usize = 0;

type Job = (String, Vec<u8>);

/// The way of packs to the backend. After one failure everything fails.
#[derive(Debug)]
pub(super) struct Uploader {
    backend: Arc<dyn Backend>,
    thread: Mutex<Option<(SyncSender<Job>, JoinHandle<()>)>>,
    failure: Arc<Mutex<Option<BackendError>>>,
    /// The memory of the last pack written, for the next one.
    spare: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Uploader {
    pub(super) fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend, thread: Mutex::default(), failure: Arc::default(), spare: Arc::default() }
    }

    /// An empty buffer of at least `capacity` bytes.
    pub(super) fn buffer(&self, capacity: usize) -> Vec<u8> {
        match lock(&self.spare).take() {
            Some(mut spare) if spare.capacity() >= capacity => {
                spare.clear();
                spare
            }
            // All of it at once: untouched memory costs nothing, and growing by doubling takes twice as much.
            _ => Vec::with_capacity(capacity),
        }
    }

    /// The failure of an earlier write, if there was one; every thread is told the same.
    pub(super) fn check(&self) -> Result<()> {
        match lock(&self.failure).as_ref() {
            Some(failure) => Err(failure.again().into()),
            None => Ok(()),
        }
    }

    /// Hands a pack over; waits while another is being written.
    pub(super) fn send(&self, object: String, bytes: Vec<u8>) -> Result<()> {
        self.check()?;
        let sender = {
            let mut thread = lock(&self.thread);
            if thread.is_none() {
                let (sender, receiver) = sync_channel(WAITING);
                let (backend, failure) = (Arc::clone(&self.backend), Arc::clone(&self.failure));
                let spare = Arc::clone(&self.spare);
                let run = move || write(backend.as_ref(), &receiver, &failure, &spare);
                *thread = Some((sender, std::thread::spawn(run)));
            }
            thread.as_ref().map(|(sender, _)| sender.clone())
        };
        match sender.map(|s| s.send((object, bytes))) {
            Some(Ok(())) => Ok(()),
            _ => self.check().and(Err(Error::Invalid("the writing thread ended".into()))),
        }
    }

    /// Waits until everything is written.
    pub(super) fn drain(&self) -> Result<()> {
        if let Some((sender, thread)) = lock(&self.thread).take() {
            drop(sender);
            thread.join().map_err(|_| Error::Invalid("the writing thread panicked".into()))?;
        }
        self.check()
    }
}

fn write(
    backend: &dyn Backend,
    jobs: &Receiver<Job>,
    failure: &Mutex<Option<BackendError>>,
    spare: &Mutex<Option<Vec<u8>>>,
) {
    for (object, bytes) in jobs {
        if let Err(e) = backend.create(&object, &bytes, Durability::Deferred) {
            *lock(failure) = Some(e);
            // Dropping the receiver tells the senders.
            return;
        }
        *lock(spare) = Some(bytes);
    }
}
