//! What went wrong with another host, in the words of the storage layer.

use std::io;

use chronos_store::backend::BackendError;
use russh_sftp::protocol::StatusCode;

/// Why a request came to nothing.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Failure {
    /// The server's answer is a refusal.
    Refused(StatusCode, String),
    /// No answer came, or none that has a meaning; the connection is of no use any more.
    Lost(io::ErrorKind, String),
    /// There is no connection to this place.
    Unreachable {
        /// Whether that may pass.
        kind: io::ErrorKind,
        /// The place, as users write it.
        place: String,
        /// What `ssh` said.
        why: String,
    },
}

impl Failure {
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Refused(StatusCode::NoSuchFile, _))
    }

    /// The failure of a call that was about the object `name`.
    pub(super) fn of(self, name: &str) -> BackendError {
        let (kind, told) = match self {
            Self::Refused(StatusCode::NoSuchFile, _) => return BackendError::NotFound(name.to_owned()),
            Self::Refused(StatusCode::PermissionDenied, _) => (
                io::ErrorKind::PermissionDenied,
                "the server answered that this account may not do that there".to_owned(),
            ),
            Self::Refused(code, said) => {
                let said = if said.is_empty() { code.to_string() } else { said };
                (io::ErrorKind::Other, format!("the server refused, and does not say why ({said})"))
            }
            Self::Lost(kind, told) => (kind, told),
            Self::Unreachable { kind, place, why } => {
                return BackendError::io(place, io::Error::new(kind, why));
            }
        };
        BackendError::io(name, io::Error::new(kind, told))
    }
}
