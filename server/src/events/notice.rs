//! What those are sent who are notified (HERMES, or any webhook): one document, with a sentence that can be shown as it is.
//!
//! Who is notified, and on what occasions, is said by the configuration.

use serde_json::{Value, json};

use crate::config::Occasion;
use crate::events::Event;
use crate::workplace::host;

/// The document.
pub(crate) fn document(event: &Event) -> Value {
    let (occasion, severity) = match event.occasion {
        Some(Occasion::Failure) => ("failure", "error"),
        Some(Occasion::Damage) => ("damage", "critical"),
        Some(Occasion::Overdue) => ("overdue", "warning"),
        Some(Occasion::Recovery) => ("recovery", "info"),
        None => ("event", "info"),
    };
    json!({
        "source_agent": event.agent.name(),
        "event": event.action,
        "occasion": occasion,
        "severity": severity,
        "target": event.concerns.as_ref().unwrap_or(&event.target),
        "title": title(event),
        "message": event.message,
        "host": host(),
        "timestamp": event.at,
        "event_id": event.id,
        "details": event.full_details(),
    })
}

/// A few words, as for the subject of a mail.
fn title(event: &Event) -> String {
    let what = match event.occasion {
        Some(Occasion::Failure) => "failed",
        Some(Occasion::Damage) => "damaged",
        Some(Occasion::Overdue) => "overdue",
        Some(Occasion::Recovery) => "good again",
        None => event.action,
    };
    let agent = event.agent.name();
    match event.concerns.as_deref() {
        Some(target) => format!("{agent}: {target} {what}"),
        None => format!("{agent}: {}", event.action.replace('_', " ")),
    }
}
