//! HADES: its routes on one page, one file per resource.
//!
//! What always holds: nothing here needs a running CHRONOS; the repository is read as it is.

mod diff;
mod emergency;
mod health;
mod neighbour;
mod recover;
mod rollback;
mod undo;
mod versions;
mod workflows;

use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::auth::Role;
use crate::http::common::history;
use crate::http::idempotency::idempotent;
use crate::http::router::needs;
use crate::http::service::Service;

/// What the document says of it.
pub(in crate::http) const ABOUT: &str = "Rollback and recovery: any snapshot back to where it came from, after a snapshot of what is \
    there. Bodies are JSON whatever their content type says. Every failure is a problem of RFC 9457 whose `detail` is a sentence.";

/// Everything that HADES answers.
pub(in crate::http) fn routes(service: &Arc<Service>) -> OpenApiRouter<Arc<Service>> {
    let once = || from_fn_with_state(Arc::clone(service), idempotent);
    let read = OpenApiRouter::new()
        .routes(routes!(health::health))
        .routes(routes!(versions::get))
        .routes(routes!(history::get))
        .routes(routes!(history::one));
    let restore = OpenApiRouter::new()
        .routes(routes!(rollback::post))
        .routes(routes!(workflows::version))
        .routes(routes!(workflows::from_backup))
        .routes(routes!(undo::post))
        .routes(routes!(recover::post))
        .routes(routes!(recover::rebuild_all))
        .routes(routes!(emergency::post))
        .route_layer(once());
    let compare = OpenApiRouter::new().routes(routes!(diff::get));
    OpenApiRouter::new().merge(needs(read, Role::Read)).merge(needs(restore.merge(compare), Role::Restore))
}
