//! What Prometheus asks for.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::operations::offsite::OffsiteState;
use crate::state::QueueCounts;

/// Bounds of the time that requests take, in seconds: from a look at memory to a backup.
const SECONDS: [f64; 10] = [0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 600.0, 3600.0];

/// By what requests are told apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: String,
    route: String,
    status: u16,
}

/// By what times of requests are told apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

/// One target.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfTarget {
    /// Its name.
    pub(crate) target: String,
}

/// One of those who are told of events.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfReceiver {
    /// Name of its queue.
    pub(crate) receiver: String,
}

/// Events on their way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queues {
    waiting: Family<OfReceiver, Gauge>,
    delivered: Family<OfReceiver, Counter>,
    failed: Family<OfReceiver, Counter>,
    dropped: Family<OfReceiver, Counter>,
}

impl Queues {
    fn register(&self, registry: &mut Registry) {
        let (waiting, delivered) = (self.waiting.clone(), self.delivered.clone());
        registry.register("events_waiting", "Events that wait to be delivered", waiting);
        registry.register("events_delivered", "Events that were delivered", delivered);
        registry.register(
            "event_attempts_failed",
            "Attempts to deliver that were in vain",
            self.failed.clone(),
        );
        registry.register(
            "events_dropped",
            "Events that were given up and never delivered",
            self.dropped.clone(),
        );
    }

    /// Takes over how the queues stand; what is counted for ever stands in the state of this host.
    pub(crate) fn take(&self, queues: &[QueueCounts]) {
        for queue in queues {
            let label = OfReceiver { receiver: queue.receiver.clone() };
            let waiting = i64::try_from(queue.waiting).unwrap_or(i64::MAX);
            self.waiting.get_or_create(&label).set(waiting);
            let counters = [
                (&self.delivered, queue.delivered),
                (&self.failed, queue.failed),
                (&self.dropped, queue.dropped),
            ];
            for (family, count) in counters {
                let counter = family.get_or_create(&label);
                counter.inc_by(count.saturating_sub(counter.get()));
            }
        }
    }
}

/// One copy at another place.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPlace {
    destination: String,
}

/// Copies at other places.
#[derive(Clone, Debug, Default)]
pub(crate) struct Copies {
    last_success: Family<OfPlace, Gauge>,
    lag: Family<OfPlace, Gauge>,
    missing: Family<OfPlace, Gauge>,
    late: Family<OfPlace, Gauge>,
    bytes: Family<OfPlace, Counter>,
    failures: Family<OfPlace, Counter>,
}

impl Copies {
    fn register(&self, registry: &mut Registry) {
        let gauges = [
            (
                "offsite_last_success_timestamp_seconds",
                "When a copy last got everything; 0 if it never did",
                &self.last_success,
            ),
            (
                "offsite_lag_seconds",
                "How long the oldest snapshot that a copy lacks has been without it; 0 if it has all",
                &self.lag,
            ),
            ("offsite_snapshots_missing", "Snapshots that a copy lacks", &self.missing),
            ("offsite_late", "Whether a copy lacks a snapshot for longer than it may", &self.late),
        ];
        for (name, help, family) in gauges {
            registry.register(name, help, family.clone());
        }
        registry.register("offsite_bytes_copied", "Bytes that were copied to a place", self.bytes.clone());
        registry.register("offsite_syncs_failed", "Syncs to a place that failed", self.failures.clone());
    }

    /// Takes over how they stand; what is counted for ever stands in the state of this host.
    pub(crate) fn take(&self, copies: &[OffsiteState]) {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        for copy in copies {
            let label = OfPlace { destination: copy.destination.clone() };
            let at = copy.last_success.as_ref().and_then(|at| at.parse::<jiff::Timestamp>().ok());
            let at = at.map_or(0, jiff::Timestamp::as_second);
            self.last_success.get_or_create(&label).set(at);
            self.lag.get_or_create(&label).set(number(copy.lag_seconds));
            self.late.get_or_create(&label).set(i64::from(copy.late));
            if let Some(missing) = copy.snapshots_missing {
                self.missing.get_or_create(&label).set(number(missing as u64));
            }
            let counters = [(&self.bytes, copy.bytes_copied), (&self.failures, copy.failures)];
            for (family, count) in counters {
                let counter = family.get_or_create(&label);
                counter.inc_by(count.saturating_sub(counter.get()));
            }
        }
    }
}

/// Everything that is measured.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    seconds: Family<Route, Histogram>,
    /// Snapshots that there are, by target.
    pub(crate) snapshots: Family<OfTarget, Gauge>,
    /// Time of the last good snapshot, by target.
    pub(crate) last_good: Family<OfTarget, Gauge>,
    /// When a drill last proved a snapshot, by target.
    pub(crate) last_proven: Family<OfTarget, Gauge>,
    /// 1 if the last drill of a target passed.
    pub(crate) drill_passed: Family<OfTarget, Gauge>,
    /// How long the last drill of a target took.
    pub(crate) drill_seconds: Family<OfTarget, Gauge<f64, AtomicU64>>,
    /// 1 for each target that has no good snapshot of when there should be one.
    pub(crate) overdue: Family<OfTarget, Gauge>,
    /// Jobs that run here.
    pub(crate) jobs_running: Gauge,
    /// Events on their way.
    pub(crate) queues: Queues,
    /// Copies at other places.
    pub(crate) copies: Copies,
    /// 1 if the repository can be used.
    pub(crate) up: Gauge,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("chronos");
        let requests = Family::default();
        let seconds = Family::<Route, Histogram>::new_with_constructor(|| Histogram::new(SECONDS));
        let (snapshots, last_good, up) = (Family::default(), Family::default(), Gauge::default());
        let (overdue, jobs_running) = (Family::default(), Gauge::default());
        registry.register("http_requests", "Requests that were answered", requests.clone());
        registry.register("http_request_seconds", "How long requests took", seconds.clone());
        registry.register("snapshots", "Snapshots in the repository", snapshots.clone());
        registry.register(
            "last_good_snapshot_timestamp_seconds",
            "When the last good snapshot of a target was taken; 0 if there is none",
            last_good.clone(),
        );
        registry.register(
            "target_overdue",
            "Whether a target has no good snapshot of when there should be one",
            overdue.clone(),
        );
        let (last_proven, drill_passed, drill_seconds) =
            (Family::default(), Family::default(), Family::default());
        registry.register(
            "last_proven_timestamp_seconds",
            "When a drill last proved a snapshot of a target, or the whole recovery (all); 0 if none has",
            last_proven.clone(),
        );
        registry.register(
            "last_drill_passed",
            "Whether the last drill of a target on this host passed",
            drill_passed.clone(),
        );
        registry.register(
            "last_drill_seconds",
            "How long the last drill of a target on this host took: the measured recovery time",
            drill_seconds.clone(),
        );
        registry.register("jobs_running", "Jobs that run", jobs_running.clone());
        registry.register("repository_up", "Whether the repository can be used", up.clone());
        let queues = Queues::default();
        queues.register(&mut registry);
        let copies = Copies::default();
        copies.register(&mut registry);
        Self {
            registry,
            requests,
            seconds,
            snapshots,
            last_good,
            last_proven,
            drill_passed,
            drill_seconds,
            overdue,
            jobs_running,
            queues,
            copies,
            up,
        }
    }
}

impl Metrics {
    /// Counts an answer. The route is the one of the table, so that there are not more of them than routes.
    pub(crate) fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        let (method, route) = (method.to_owned(), route.to_owned());
        self.seconds.get_or_create(&Route { route: route.clone() }).observe(took.as_secs_f64());
        self.requests.get_or_create(&Request { method, route, status }).inc();
    }

    /// All of it as text.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
