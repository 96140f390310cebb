//! The one place where requests cross over to the operations, which block.
//!
//! What always holds: a request that has arrived takes a place before it waits for its turn, and gives it back when its work is done; who
//! finds no place is told when to come again. Whether the service does well can be asked without a place.

use std::sync::Arc;

use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;
use crate::http::problem::Problem;
use crate::http::service::Service;

/// Seconds after which a caller whom the service had no place for may ask again.
const AGAIN_SECONDS: u64 = 5;

/// A quick look: its time is limited.
pub(crate) async fn look<T, E, F>(service: &Arc<Service>, work: F) -> Result<T, Problem>
where
    T: Send + 'static,
    E: Into<Problem> + Send + 'static,
    F: FnOnce(&Service) -> Result<T, E> + Send + 'static,
{
    let place = place(service)?;
    limited(service, service.looking(), Some(place), work).await
}

/// A look whether the service does well: it needs no place, and nobody who works is in its way.
pub(crate) async fn check<T, E, F>(service: &Arc<Service>, work: F) -> Result<T, Problem>
where
    T: Send + 'static,
    E: Into<Problem> + Send + 'static,
    F: FnOnce(&Service) -> Result<T, E> + Send + 'static,
{
    limited(service, service.checking(), None, work).await
}

/// A look that belongs to a request which has its place, or has had it.
pub(crate) async fn within<T, E, F>(service: &Arc<Service>, work: F) -> Result<T, Problem>
where
    T: Send + 'static,
    E: Into<Problem> + Send + 'static,
    F: FnOnce(&Service) -> Result<T, E> + Send + 'static,
{
    limited(service, service.looking(), None, work).await
}

async fn limited<T, E, F>(
    service: &Arc<Service>,
    turns: &Arc<Semaphore>,
    place: Option<OwnedSemaphorePermit>,
    work: F,
) -> Result<T, Problem>
where
    T: Send + 'static,
    E: Into<Problem> + Send + 'static,
    F: FnOnce(&Service) -> Result<T, E> + Send + 'static,
{
    let limit = service.options().time_max;
    let done = async {
        let turn = turn(turns).await?;
        crossed(service, (place, turn), work).await
    };
    tokio::time::timeout(limit, done).await.unwrap_or_else(|_| {
        Err(Problem::unavailable(
            "timeout",
            format!("this took longer than {} seconds; the storage may be slow or busy", limit.as_secs()),
        )
        .retry_after(AGAIN_SECONDS))
    })
}

/// Work that takes as long as it takes. It goes on when the caller goes away.
pub(crate) async fn work<T, F>(service: &Arc<Service>, work: F) -> Result<T, Problem>
where
    T: Send + 'static,
    F: FnOnce(&Service) -> Result<T, Error> + Send + 'static,
{
    let place = place(service)?;
    let turn = turn(service.working()).await?;
    crossed(service, (Some(place), turn), work).await
}

/// A place among those that have a turn or wait for one.
pub(crate) fn place(service: &Service) -> Result<OwnedSemaphorePermit, Problem> {
    Arc::clone(service.places()).try_acquire_owned().map_err(|_| {
        let most = service.options().concurrent_max;
        let why = format!("{most} requests are being answered, and no more are taken at once");
        Problem::unavailable("overloaded", why).retry_after(AGAIN_SECONDS)
    })
}

/// Waits for a turn, in the order of arrival.
async fn turn(turns: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
    Arc::clone(turns).acquire_owned().await.map_err(|_| stopping())
}

/// What is held while the work goes on, though its caller may have gone away.
type Held = (Option<OwnedSemaphorePermit>, OwnedSemaphorePermit);

async fn crossed<T, E, F>(service: &Arc<Service>, held: Held, work: F) -> Result<T, Problem>
where
    T: Send + 'static,
    E: Into<Problem> + Send + 'static,
    F: FnOnce(&Service) -> Result<T, E> + Send + 'static,
{
    let service = Arc::clone(service);
    let joined = tokio::task::spawn_blocking(move || {
        let done = work(&service);
        drop(held);
        done
    });
    match joined.await {
        Ok(done) => done.map_err(Into::into),
        Err(error) if error.is_cancelled() => Err(stopping()),
        Err(error) => {
            tracing::error!(%error, "a fault of this program");
            Err(Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "fault",
                "a fault of this program ended the request; its log says more, and no snapshot was harmed",
            ))
        }
    }
}

fn stopping() -> Problem {
    Problem::unavailable("stopping", "the service is stopping").retry_after(AGAIN_SECONDS)
}
