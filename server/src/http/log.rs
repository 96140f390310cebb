//! The log of the service: JSON lines on standard error.

use tracing_subscriber::EnvFilter;

/// What is logged where nobody chose.
const LEVEL: &str = "info";

/// Begins the log; `filter` says what is in it, such as `debug` or `warn`.
///
/// # Errors
/// A sentence, if the filter is none, or a log was begun before.
pub fn begin(filter: Option<&str>) -> Result<(), String> {
    let filter = EnvFilter::builder()
        .parse(filter.unwrap_or(LEVEL))
        .map_err(|e| format!("the level of the log: {e}"))?;
    let begun = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .finish();
    tracing::subscriber::set_global_default(begun).map_err(|e| e.to_string())
}
