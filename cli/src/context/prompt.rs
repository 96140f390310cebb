//! Asks for a password on the terminal, without showing it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

use chronos_store::Monitor;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};

use crate::error::{Exit, Failure};

/// Longest password that can be typed, in bytes.
const PASSWORD_BYTES_MAX: usize = 1024;
/// How long a signal may wait for being noticed.
const PATIENCE_NANOS: i64 = 200_000_000;
/// Ctrl-C, as it arrives while the terminal gives bytes as they are typed.
const INTERRUPT: u8 = 3;
/// Ctrl-D.
const END: u8 = 4;
/// Ctrl-U: begin again.
const KILL: u8 = 21;

/// Puts the terminal back when dropped.
struct Hidden<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Hidden<'a> {
    fn new(terminal: &'a File) -> io::Result<Self> {
        let before = termios::tcgetattr(terminal)?;
        let mut hidden = before.clone();
        // Byte by byte and without signals: Ctrl-C must not leave a terminal behind that shows nothing.
        hidden.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN;
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        termios::tcsetattr(terminal, OptionalActions::Flush, &hidden)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no mode.
        let _ = termios::tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// Whether somebody can be asked: standard input is a terminal, so nobody's pipe is waited for.
pub(crate) fn possible() -> bool {
    io::IsTerminal::is_terminal(&io::stdin()) && open().is_ok()
}

/// Asks once; gives up when `monitor` tells that a signal came.
pub(crate) fn ask(question: &str, monitor: &dyn Monitor) -> Result<String, Failure> {
    let bad = |e: io::Error| Failure::new(Exit::Failed, format!("the terminal: {e}"));
    let terminal = open().map_err(bad)?;
    let typed = {
        // Before the question: whoever answers it at once must neither be shown nor lost.
        let hidden = Hidden::new(&terminal).map_err(bad)?;
        write!(&terminal, "{question}: ").map_err(bad)?;
        read(hidden.terminal, monitor).map_err(bad)
    };
    // Ends the line that the keys did not end; a terminal that is gone needs none.
    let _ = writeln!(&terminal);
    match typed? {
        None => Err(Failure::new(Exit::Interrupted, "no password was typed; nothing was changed")),
        Some(text) if text.is_empty() => Err(Failure::usage("an empty password opens nothing")),
        Some(text) => Ok(text),
    }
}

/// Asks twice, so that a slip of the finger does not become the password.
pub(crate) fn ask_new(question: &str, monitor: &dyn Monitor) -> Result<String, Failure> {
    let first = ask(question, monitor)?;
    let second = ask("The same again", monitor)?;
    if first == second {
        Ok(first)
    } else {
        Err(Failure::usage("the two passwords differ; nothing was changed"))
    }
}

fn open() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty")
}

fn read(mut terminal: &File, monitor: &dyn Monitor) -> io::Result<Option<String>> {
    let mut typed = Vec::with_capacity(PASSWORD_BYTES_MAX);
    let mut byte = [0_u8];
    loop {
        while !is_ready(terminal)? {
            if monitor.cancelled() {
                return Ok(None);
            }
        }
        match terminal.read(&mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            // What a terminal answers whose other end is closed.
            Err(e) if e.raw_os_error() == Some(Errno::IO.raw_os_error()) => return Ok(None),
            Err(e) => return Err(e),
        }
        match byte {
            [b'\r' | b'\n'] => break,
            [INTERRUPT] => return Ok(None),
            [END] if typed.is_empty() => return Ok(None),
            [KILL] => typed.clear(),
            [8 | 127] => backspace(&mut typed),
            [other] if typed.len() < PASSWORD_BYTES_MAX => typed.push(other),
            _ => {}
        }
    }
    String::from_utf8(typed)
        .map(Some)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the password is not UTF-8"))
}

/// Whether something was typed or the terminal is gone; waits a little for it.
fn is_ready(terminal: &File) -> io::Result<bool> {
    let patience = Timespec { tv_sec: 0, tv_nsec: PATIENCE_NANOS };
    match poll(&mut [PollFd::new(terminal, PollFlags::IN)], Some(&patience)) {
        Ok(found) => Ok(found > 0),
        Err(Errno::INTR) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Removes one character, which may have several bytes.
fn backspace(typed: &mut Vec<u8>) {
    while typed.pop().is_some_and(|b| b & 0xc0 == 0x80) {}
}
