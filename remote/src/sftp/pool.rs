//! The connections of one handle: one for calls that come one after the other, more while calls run at the same time.

use std::io;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use tokio::sync::Mutex;

use super::command::SshCommand;
use super::connection::Connection;
use super::failure::Failure;

/// Most connections; servers let in ten at a time that have not said yet who they are.
pub(super) const CONNECTIONS_MAX: usize = 4;

/// The connections.
#[derive(Debug)]
pub(super) struct Pool {
    command: SshCommand,
    /// The place, as users write it.
    shown: String,
    slots: [Mutex<Option<Arc<Connection>>>; CONNECTIONS_MAX],
    /// Calls that use each.
    users: StdMutex<[usize; CONNECTIONS_MAX]>,
    /// Connections that the server has granted; lower than the most once it refused one.
    limit: AtomicUsize,
    /// Whether there has been a connection.
    has_met: AtomicBool,
    /// Connections that broke and were replaced.
    losses: AtomicU64,
}

/// A connection, for one call.
#[derive(Debug)]
pub(super) struct Lease<'p> {
    connection: Arc<Connection>,
    pool: &'p Pool,
    slot: usize,
}

impl Deref for Lease<'_> {
    type Target = Arc<Connection>;

    fn deref(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.pool.release(self.slot);
    }
}

impl Pool {
    pub(super) fn new(command: SshCommand, shown: String) -> Self {
        Self {
            command,
            shown,
            slots: Default::default(),
            users: StdMutex::default(),
            limit: AtomicUsize::new(CONNECTIONS_MAX),
            has_met: AtomicBool::new(false),
            losses: AtomicU64::new(0),
        }
    }

    /// How many connections have been replaced.
    pub(super) fn losses(&self) -> u64 {
        self.losses.load(Ordering::Relaxed)
    }

    /// The connection that the fewest calls use, made if it is not there.
    pub(super) async fn lease(&self) -> Result<Lease<'_>, Failure> {
        loop {
            let slot = self.choose();
            match self.connect(slot).await {
                Ok(connection) => return Ok(Lease { connection, pool: self, slot }),
                Err(why) => {
                    self.release(slot);
                    if slot == 0 {
                        return Err(why);
                    }
                    // A server that grants no more serves by those that are there.
                    self.limit.fetch_min(slot, Ordering::Relaxed);
                }
            }
        }
    }

    fn choose(&self) -> usize {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = self.limit.load(Ordering::Relaxed);
        let least = users.iter_mut().take(limit).enumerate().min_by_key(|(_, users)| **users);
        least.map_or(0, |(slot, users)| {
            *users += 1;
            slot
        })
    }

    fn release(&self, slot: usize) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(users) = users.get_mut(slot) {
            *users = users.saturating_sub(1);
        }
    }

    async fn connect(&self, slot: usize) -> Result<Arc<Connection>, Failure> {
        let unreachable = |why: String| {
            // What worked before is worth another attempt.
            let has_met = self.has_met.load(Ordering::Relaxed);
            let kind = if has_met { io::ErrorKind::NotConnected } else { io::ErrorKind::Other };
            Failure::Unreachable { kind, place: self.shown.clone(), why }
        };
        let slot_of =
            self.slots.get(slot).ok_or_else(|| unreachable("there is no such connection".to_owned()))?;
        let mut place = slot_of.lock().await;
        if let Some(connection) = place.as_ref().filter(|c| c.is_usable()) {
            return Ok(Arc::clone(connection));
        }
        if slot > 0 && slot >= self.limit.load(Ordering::Relaxed) {
            return Err(unreachable("the server grants no more connections".to_owned()));
        }
        if place.take().is_some() {
            self.losses.fetch_add(1, Ordering::Relaxed);
        }
        let made = Arc::new(Connection::open(&self.command).await.map_err(unreachable)?);
        self.has_met.store(true, Ordering::Relaxed);
        if slot == 0 {
            self.limit.store(CONNECTIONS_MAX, Ordering::Relaxed);
        }
        Ok(Arc::clone(place.insert(made)))
    }
}
