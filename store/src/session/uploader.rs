//! Writes full packs in the background: as many at a time as the storage has lanes; no other waits.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::backend::{Backend, BackendError, BackendExt, Durability};
use crate::error::{Error, Result};
use crate::packs::lock;

type Job = (String, Vec<u8>);

/// The way of packs to the backend. After one failure everything fails.
#[derive(Debug)]
pub(super) struct Uploader {
    works: Arc<Works>,
    threads: Mutex<Option<Threads>>,
}

/// What the threads work with.
#[derive(Debug)]
struct Works {
    backend: Arc<dyn Backend>,
    failure: Mutex<Option<BackendError>>,
    /// The memory of packs that are written, for the next ones.
    spare: Mutex<Vec<Vec<u8>>>,
}

#[derive(Debug)]
struct Threads {
    sender: SyncSender<Job>,
    handles: Vec<JoinHandle<()>>,
}

impl Uploader {
    pub(super) fn new(backend: Arc<dyn Backend>) -> Self {
        let works = Works { backend, failure: Mutex::default(), spare: Mutex::default() };
        Self { works: Arc::new(works), threads: Mutex::default() }
    }

    /// An empty buffer of at least `capacity` bytes.
    pub(super) fn buffer(&self, capacity: usize) -> Vec<u8> {
        match lock(&self.works.spare).pop() {
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
        match lock(&self.works.failure).as_ref() {
            Some(failure) => Err(failure.again().into()),
            None => Ok(()),
        }
    }

    /// Hands a pack over; waits while all lanes are taken.
    pub(super) fn send(&self, object: String, bytes: Vec<u8>) -> Result<()> {
        self.check()?;
        let sender = lock(&self.threads).get_or_insert_with(|| self.start()).sender.clone();
        match sender.send((object, bytes)) {
            Ok(()) => Ok(()),
            Err(_) => self.check().and(Err(Error::Invalid("the writing threads ended".into()))),
        }
    }

    /// Waits until everything is written.
    pub(super) fn drain(&self) -> Result<()> {
        if let Some(Threads { sender, handles }) = lock(&self.threads).take() {
            drop(sender);
            // All of them are waited for, whatever became of the first.
            if handles.into_iter().map(JoinHandle::join).filter(Result::is_err).count() > 0 {
                return Err(Error::Invalid("a writing thread panicked".into()));
            }
        }
        self.check()
    }

    fn start(&self) -> Threads {
        // No pack waits behind those that are being written: each is 16 MiB of memory.
        let (sender, receiver) = sync_channel(0);
        let receiver = Arc::new(Mutex::new(receiver));
        let handles = (0..self.works.backend.lanes().max(1)).map(|_| {
            let (works, receiver) = (Arc::clone(&self.works), Arc::clone(&receiver));
            std::thread::spawn(move || works.write_all(&receiver))
        });
        Threads { sender, handles: handles.collect() }
    }
}

impl Works {
    fn write_all(&self, jobs: &Mutex<Receiver<Job>>) {
        loop {
            let job = lock(jobs).recv();
            let Ok((object, bytes)) = job else { return };
            // After a failure what still comes is let go, so that nobody waits for a thread that ended.
            if lock(&self.failure).is_some() {
                continue;
            }
            if let Err(e) = self.backend.create(&object, &bytes, Durability::Deferred) {
                lock(&self.failure).get_or_insert(e);
                continue;
            }
            lock(&self.spare).push(bytes);
        }
    }
}
