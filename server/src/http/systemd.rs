//! What systemd is told: ready, stopping, and that the service still answers.

use sd_notify::NotifyState;

/// Says something; without systemd nobody listens.
pub(super) fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told");
    }
}

/// Tells the watchdog, if there is one, twice as often as it asks for. Runs on the threads that answer requests.
pub(super) async fn watchdog() {
    let Some(interval) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut ticks = tokio::time::interval(interval / 2);
    loop {
        ticks.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}
