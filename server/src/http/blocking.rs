//! The one place where requests cross over to the operations, which block.

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
    let limit = service.options().time_max;
    let done = async {
        let turn = turn(service, service.looking()).await?;
        crossed(service, turn, work).await
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
    let turn = turn(service, service.working()).await?;
    crossed(service, turn, work).await
}

/// Waits for a turn, in the order of arrival.
async fn turn(service: &Service, turns: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
    let full =
        |_| Problem::unavailable("overloaded", "too many requests wait already").retry_after(AGAIN_SECONDS);
    let _place = service.waiting().try_acquire().map_err(full)?;
    Arc::clone(turns).acquire_owned().await.map_err(|_| stopping())
}

async fn crossed<T, E, F>(service: &Arc<Service>, turn: OwnedSemaphorePermit, work: F) -> Result<T, Problem>
where
    T: Send + 'static,
    E: Into<Problem> + Send + 'static,
    F: FnOnce(&Service) -> Result<T, E> + Send + 'static,
{
    let service = Arc::clone(service);
    let joined = tokio::task::spawn_blocking(move || {
        let done = work(&service);
        drop(turn);
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
