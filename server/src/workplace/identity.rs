//! Who runs the program and where, as snapshots tell it.

use crate::workplace::choices::Variables;

/// Letters of a host's name that stand in names of objects; the rest says nothing that a lister should know.
const CLIENT_LEN: usize = 16;

/// Name of this host.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Name of this user, or the number.
pub(super) fn user(variables: &Variables) -> String {
    let named = ["USER", "LOGNAME"].into_iter().find_map(|name| variables.text(name));
    named.unwrap_or_else(|| rustix::process::getuid().as_raw().to_string())
}

/// The pseudonym of this host in names of objects.
pub fn client() -> String {
    let plain: String =
        host().to_lowercase().chars().filter(char::is_ascii_alphanumeric).take(CLIENT_LEN).collect();
    if plain.is_empty() { "local".to_owned() } else { plain }
}
