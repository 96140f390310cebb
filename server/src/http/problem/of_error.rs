//! From errors of every layer to failures of requests: the one place where an error becomes a status, a word and a piece of advice.

use axum::http::StatusCode;
use chronos_snapshot::ErrorKind;
use serde_json::Value;

use crate::error::{Error, Kind};
use crate::http::problem::Problem;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let (status, state) = status_of(error);
        let mut problem = Self::new(status, state, sentence(error));
        if let Some(id) = error.backup_id() {
            problem = problem.with("backup_id", id);
        }
        if let Some(status) = error.upstream().and_then(|u| u.status) {
            problem = problem.with("upstream_status", status);
        }
        match error {
            Error::NothingMade { backups, .. } => problem.with("backups", backups.clone()),
            Error::NotRestored { report, .. } => of_restore(problem, report),
            Error::Unknown { near: Some(near), .. } => problem.with("nearest", near.clone()),
            // `schedule: cron`: whose value it is, and which.
            Error::Value { place, .. } => problem.with("field", place.rsplit(": ").next().unwrap_or(place)),
            _ => problem,
        }
    }
}

/// A restore that put nothing back: the problem has what its answer would have had.
fn of_restore(mut problem: Problem, report: &Value) -> Problem {
    if problem.status.is_server_error() {
        problem.state = "failed";
    }
    for (name, value) in report.as_object().into_iter().flatten().filter(|(name, _)| *name != "status") {
        problem.more.insert(name.clone(), value.clone());
    }
    problem
}

/// What is told of an error: what it says, and what to do about it.
pub(crate) fn sentence(error: &Error) -> String {
    match advice(error) {
        Some(advice) => format!("{error}: {advice}"),
        None => error.to_string(),
    }
}

/// The status and the word of an error.
fn status_of(error: &Error) -> (StatusCode, &'static str) {
    use chronos_snapshot::Error as Snapshot;
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    match error {
        Error::Failed { cause, upstream, .. } => {
            let (status, _) = status_of(cause);
            let is_late = status == StatusCode::BAD_GATEWAY && upstream.is_some_and(|u| u.timed_out);
            return (if is_late { StatusCode::GATEWAY_TIMEOUT } else { status }, "failed");
        }
        Error::NothingMade { first, .. } => {
            let (status, _) = status_of(first);
            return (
                if status == StatusCode::NOT_FOUND { StatusCode::BAD_GATEWAY } else { status },
                "failed",
            );
        }
        Error::NotRestored { cause, .. } | Error::NoSafety { cause: Some(cause), .. } => {
            return status_of(cause);
        }
        Error::Connect(_) | Error::StepFailed(_) if matches!(error.kind(), Kind::Library(ErrorKind::Io)) => {
            let is_late = error.upstream().is_some_and(|u| u.timed_out);
            let status = if is_late { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::BAD_GATEWAY };
            return (status, "failed");
        }
        Error::OutsideRoot { .. } => return (StatusCode::FORBIDDEN, "forbidden"),
        // What was to be read failed, not this program.
        Error::Snapshot(
            Snapshot::AllFailed(_)
            | Snapshot::Source { .. }
            | Snapshot::Command { .. }
            | Snapshot::File { .. },
        ) if !matches!(error.kind(), Kind::Library(ErrorKind::NoSpace | ErrorKind::Interrupted)) => {
            return (StatusCode::BAD_GATEWAY, "failed");
        }
        Error::Snapshot(Snapshot::Ambiguous { .. })
        | Error::Unknown { source: Snapshot::Ambiguous { .. }, .. } => {
            return (StatusCode::UNPROCESSABLE_ENTITY, "ambiguous");
        }
        Error::TooLong { .. } => return (StatusCode::GATEWAY_TIMEOUT, "timeout"),
        Error::Fault => return (StatusCode::INTERNAL_SERVER_ERROR, "fault"),
        Error::NoTargets | Error::Elsewhere { .. } => return (StatusCode::NOT_FOUND, "not_found"),
        Error::Held { .. } => return (StatusCode::CONFLICT, "held"),
        _ => {}
    }
    match error.kind() {
        Kind::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        Kind::NotFound => (StatusCode::NOT_FOUND, "not_found"),
        Kind::Refused | Kind::Library(ErrorKind::Refused | ErrorKind::Exists) => {
            (StatusCode::CONFLICT, "refused")
        }
        Kind::Library(kind) => match kind {
            ErrorKind::Busy => (StatusCode::CONFLICT, "busy"),
            ErrorKind::NoSpace => (StatusCode::INSUFFICIENT_STORAGE, "no_space"),
            ErrorKind::NoRepository => (unavailable, "no_repository"),
            ErrorKind::WrongKey => (unavailable, "wrong_key"),
            ErrorKind::TooNew => (unavailable, "too_new"),
            ErrorKind::Damaged => (unavailable, "damaged"),
            ErrorKind::Interrupted => (unavailable, "interrupted"),
            ErrorKind::ReadOnly => (unavailable, "read_only"),
            _ => (unavailable, "unavailable"),
        },
    }
}

/// What to do about an error, in the words of a caller of the service.
fn advice(error: &Error) -> Option<String> {
    let words = match error {
        Error::Unknown { near: Some(near), .. } => return Some(format!("did you mean {near}?")),
        Error::Unknown { .. } => "GET /backups lists what there is",
        Error::UnknownTarget { .. } => "GET /health lists the configured targets",
        Error::UnknownVersion { .. } => "GET /versions?workflow_id= of HADES lists what there is",
        Error::UnknownWorkflow { .. } => "workflows are named by the ids that n8n shows in their addresses",
        Error::UnknownJob { .. } => "GET /jobs lists what there is",
        Error::NoTargets => "add a [[target]] to the configuration of the service",
        Error::NoRepository { .. } => "`chronos init` makes one there",
        Error::Held { .. } => "DELETE /backups/{id}/hold first",
        // What is to be done stands with each target.
        Error::NothingMade { .. } | Error::TooLong { .. } => return None,
        Error::Failed { cause, .. } | Error::NotRestored { cause, .. } => return advice(cause),
        Error::UnknownRollback { .. } => "GET /history lists what there is",
        Error::PlanMoved { .. } => "look at the plan of another dry run, and send its fingerprint",
        Error::RestoreRunning { .. } => "GET /history tells of it; try again when it has ended",
        error => match error.kind() {
            Kind::Library(ErrorKind::NoSpace) => {
                "free some space; POST /cleanup gives back what no snapshot needs"
            }
            Kind::Library(ErrorKind::Busy) => "nothing was changed; try again when the other run has ended",
            Kind::Library(ErrorKind::Interrupted) => {
                "the service is stopping; what was uploaded is used by the next run"
            }
            _ => return None,
        },
    };
    Some(words.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Upstream;

    fn status(error: Error) -> (u16, &'static str) {
        let (status, state) = status_of(&error);
        (status.as_u16(), state)
    }

    #[test]
    fn what_a_caller_sent_is_never_a_fault_of_the_server() {
        assert_eq!(status(Error::UnknownTarget { target: "x".into() }), (404, "not_found"));
        assert_eq!(status(Error::NoTargets), (404, "not_found"));
        assert_eq!(status(Error::Held { backup_id: "x".into() }), (409, "held"));
        assert_eq!(status(chronos_snapshot::Error::Invalid("x".into()).into()), (422, "invalid"));
        let several = chronos_snapshot::Error::Ambiguous { name: "a".into(), matches: Vec::new() };
        assert_eq!(status(several.into()), (422, "ambiguous"));
    }

    #[test]
    fn a_failed_backup_tells_what_failed() {
        let failed =
            |cause: Error| Error::Failed { backup_id: "x".into(), upstream: None, cause: Box::new(cause) };
        let source = chronos_snapshot::Error::Command { command: "false".into(), why: "exit 1".into() };
        assert_eq!(status(failed(source.into())), (502, "failed"));
        let source = chronos_snapshot::Error::Command { command: "false".into(), why: "exit 1".into() };
        let late = Error::Failed {
            backup_id: "x".into(),
            upstream: Some(Upstream { status: Some(524), timed_out: true }),
            cause: Box::new(source.into()),
        };
        assert_eq!(status_of(&late).0, StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(Problem::from(late).more.get("upstream_status"), Some(&Value::from(524)));
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let full = Error::Local { path: "/x".into(), source: full };
        assert_eq!(status(failed(full)), (507, "failed"));
        assert_eq!(status(chronos_store::Error::Interrupted.into()), (503, "interrupted"));
    }
}
