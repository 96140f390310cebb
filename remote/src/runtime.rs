//! The threads on which asynchronous libraries run. Callers wait for them, from whatever thread they are on.

use std::future::Future;
use std::io;
use std::sync::{OnceLock, mpsc};

use tokio::runtime::{Builder, Runtime};

/// Threads for all connections together: encryption is their work, and two of them fill 10 Gbit/s.
const THREADS: usize = 2;

/// Runs `future` to its end and gives its result.
///
/// # Errors
/// If no thread can be had.
pub(crate) fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> io::Result<T> {
    let (done, result) = mpsc::sync_channel(1);
    runtime()?.spawn(async move {
        // Whoever asked is waiting.
        let _ = done.send(future.await);
    });
    result.recv().map_err(|_| io::Error::other("the connection's thread ended unexpectedly"))
}

fn runtime() -> io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let make =
        || Builder::new_multi_thread().worker_threads(THREADS).thread_name("remote").enable_all().build();
    RUNTIME
        .get_or_init(|| make().map_err(|e| e.to_string()))
        .as_ref()
        .map_err(|e| io::Error::other(e.as_str()))
}
