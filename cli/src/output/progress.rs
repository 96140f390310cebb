//! Progress on standard error: a bar for people, lines of JSON for machines, or nothing.
//!
//! This is the [`Monitor`] that the libraries report to; it also carries the wish to stop.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chronos_snapshot::printable;
use chronos_store::Monitor;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// Time between two lines of JSON progress: often enough to watch, seldom enough to log.
const JSON_INTERVAL: Duration = Duration::from_millis(500);
/// How often the bar is drawn per second.
const BAR_RATE: u8 = 8;
/// Longest name shown beside the bar, in characters.
const ITEM_LEN_MAX: usize = 60;

/// Columns that a bar with its numbers needs.
const WIDTH_MIN: u16 = 72;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// A bar when standard error is a terminal, else nothing.
    Auto,
    /// A bar.
    Bar,
    /// One JSON object per line.
    Json,
    /// Nothing.
    None,
}

/// Draws or writes the progress of one command.
#[derive(Debug)]
pub(crate) struct Progress {
    mode: Mode,
    quiet: bool,
    stop: Arc<AtomicBool>,
    bar: ProgressBar,
    problems: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: &'static str,
    items: u64,
    bytes: u64,
    items_total: u64,
    bytes_total: u64,
    item: String,
    began: Instant,
    written: Instant,
    styled: bool,
}

impl State {
    /// At the beginning of a phase.
    fn of(phase: &'static str) -> Self {
        let now = Instant::now();
        Self {
            phase,
            items: 0,
            bytes: 0,
            items_total: 0,
            bytes_total: 0,
            item: String::new(),
            began: now,
            written: now,
            styled: false,
        }
    }
}

/// One line of `--progress json`.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "names of the JSON document")]
struct Event<'a> {
    event: &'static str,
    phase: &'a str,
    items_done: u64,
    items_total: Option<u64>,
    bytes_done: u64,
    bytes_total: Option<u64>,
    bytes_per_second: u64,
    eta_seconds: Option<u64>,
    item: &'a str,
}

impl Progress {
    /// Progress in this mode; `stop` is what a signal sets.
    pub(crate) fn new(mode: Mode, quiet: bool, stop: Arc<AtomicBool>) -> Self {
        let mode = match mode {
            Mode::Auto if !quiet && io::stderr().is_terminal() => Mode::Bar,
            Mode::Auto => Mode::None,
            given => given,
        };
        let bar = ProgressBar::hidden();
        if mode == Mode::Bar {
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(BAR_RATE));
        }
        let state = State::of("");
        Self { mode, quiet, stop, bar, problems: AtomicU64::new(0), state: Mutex::new(state) }
    }

    /// One line on standard error, above the bar if there is one.
    pub(crate) fn say(&self, text: &str) {
        let print = || {
            // Nothing can be told if standard error is closed; the work and its exit code do not depend on it.
            drop(writeln!(io::stderr().lock(), "{text}"));
        };
        if self.mode == Mode::Bar { self.bar.suspend(print) } else { print() }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if self.mode == Mode::Bar && !self.bar.is_finished() {
            self.bar.finish_and_clear();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self, state: &mut State) {
        match self.mode {
            Mode::Bar => self.draw_bar(state),
            Mode::Json if state.written.elapsed() >= JSON_INTERVAL => self.write_json(state),
            _ => {}
        }
    }

    fn draw_bar(&self, state: &mut State) {
        if !state.styled {
            state.styled = true;
            let template = match (state.items_total, state.bytes_total) {
                (1.., _) | (_, 1..) if is_narrow() => "{prefix} {percent}%",
                _ if is_narrow() => "{prefix} {binary_bytes}",
                (_, 1..) => {
                    "{prefix} [{bar:24}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} ETA {eta} {wide_msg}"
                }
                (1.., 0) => "{prefix} [{bar:24}] {pos}/{len} {per_sec} ETA {eta} {wide_msg}",
                _ => "{spinner} {prefix} {binary_bytes} {binary_bytes_per_sec} {wide_msg}",
            };
            self.style(template);
        }
        let by_items = state.bytes_total == 0 && state.items_total > 0;
        let (done, total) =
            if by_items { (state.items, state.items_total) } else { (state.bytes, state.bytes_total) };
        if total > 0 {
            self.bar.set_length(total.max(done));
        }
        self.bar.set_position(done);
        let item: String = state.item.chars().take(ITEM_LEN_MAX).collect();
        self.bar.set_message(if by_items { item } else { format!("{} items {item}", state.items) });
    }

    fn style(&self, template: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
    }

    fn write_json(&self, state: &mut State) {
        state.written = Instant::now();
        let rate = state.bytes as f64 / state.began.elapsed().as_secs_f64().max(0.001);
        let left = state.bytes_total.saturating_sub(state.bytes);
        #[expect(clippy::cast_sign_loss, reason = "a rate is not negative")]
        let event = Event {
            event: "progress",
            phase: state.phase,
            items_done: state.items,
            items_total: (state.items_total > 0).then_some(state.items_total),
            bytes_done: state.bytes,
            bytes_total: (state.bytes_total > 0).then_some(state.bytes_total),
            bytes_per_second: rate as u64,
            eta_seconds: (state.bytes_total > 0 && rate >= 1.0).then_some((left as f64 / rate) as u64),
            item: &state.item,
        };
        if let Ok(line) = serde_json::to_string(&event) {
            self.say(&line);
        }
    }
}

/// Whether a line with a bar would not fit the terminal.
fn is_narrow() -> bool {
    // What is no terminal has no width.
    rustix::termios::tcgetwinsize(io::stderr()).is_ok_and(|size| (1..WIDTH_MIN).contains(&size.ws_col))
}

/// No progress, for what is said before a command begins.
impl Default for Progress {
    fn default() -> Self {
        Self::new(Mode::None, true, Arc::default())
    }
}

impl Monitor for Progress {
    fn phase(&self, name: &'static str) {
        let mut state = self.state();
        *state = State::of(name);
        if self.mode == Mode::Bar {
            self.style("{prefix} {wide_msg}");
            self.bar.reset();
            self.bar.set_prefix(name);
        } else if self.mode == Mode::Json {
            self.write_json(&mut state);
        }
    }

    fn total(&self, items: u64, bytes: u64) {
        if self.mode == Mode::None {
            return;
        }
        let mut state = self.state();
        let known = (state.items_total > 0, state.bytes_total > 0);
        (state.items_total, state.bytes_total) = (items, bytes);
        if known != (items > 0, bytes > 0) {
            state.styled = false;
        }
        self.draw(&mut state);
    }

    fn advance(&self, items: u64, bytes: u64) {
        if self.mode == Mode::None {
            return;
        }
        let mut state = self.state();
        state.items += items;
        state.bytes += bytes;
        self.draw(&mut state);
    }

    fn item(&self, name: &[u8]) {
        if self.mode == Mode::None {
            return;
        }
        self.state().item = printable(name);
    }

    fn problem(&self, what: &str) {
        self.problems.fetch_add(1, Ordering::Relaxed);
        if !self.quiet {
            self.say(&format!("warning: {}", printable(what.as_bytes())));
        }
    }

    fn left_out(&self, _what: &str) {
        // Commands name these last, from their reports.
        self.problems.fetch_add(1, Ordering::Relaxed);
    }

    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
