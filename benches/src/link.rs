//! A line to somewhere far away: TCP connections whose bytes arrive late, and share so many bytes per second in each direction.
//!
//! What a line has beside these two (a slow start, losses) is left out, for each program alike.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;

/// Bytes that travel together.
const PIECE_BYTES: usize = 32 << 10;

/// What a line is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// Time from a question to its answer.
    pub(crate) round_trip: Duration,
    /// Bytes per second in each direction, of all connections together.
    pub(crate) bytes_per_second: u64,
}

/// One direction of the line: when all that was sent until now has left.
type Direction = Arc<Mutex<Option<Instant>>>;

/// Opens a line to `server`; returns where it begins. It stays open as long as the program runs.
pub(crate) fn open(server: SocketAddr, line: Line) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let (up, down) = (Direction::default(), Direction::default());
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (up, down) = (Arc::clone(&up), Arc::clone(&down));
            std::thread::spawn(move || connect(client, server, line, up, down));
        }
    });
    Ok(address)
}

/// Serves one connection. What breaks it on one side closes it on the other.
fn connect(client: TcpStream, server: SocketAddr, line: Line, up: Direction, down: Direction) {
    // That a connection is made is an exchange by itself.
    std::thread::sleep(line.round_trip);
    let Ok(server) = TcpStream::connect(server) else { return };
    for (from, to, direction) in [(&client, &server, up), (&server, &client, down)] {
        let _ = from.set_nodelay(true);
        if let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) {
            // So much is on its way at most: what the line holds, and no less than a few pieces.
            let held = line.bytes_per_second as f64 * line.round_trip.as_secs_f64();
            let (sender, receiver) = sync_channel(4 + held as usize / PIECE_BYTES);
            std::thread::spawn(move || send(from, line, &direction, &sender));
            std::thread::spawn(move || receive(to, &receiver));
        }
    }
}

/// Reads, and says when each piece arrives at the other end.
fn send(mut from: TcpStream, line: Line, direction: &Direction, sender: &SyncSender<(Instant, Vec<u8>)>) {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let n = match from.read(&mut piece) {
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Ok(n) if n > 0 => n,
            _ => return,
        };
        let takes = Duration::from_secs_f64(n as f64 / line.bytes_per_second as f64);
        let left = {
            let mut busy = direction.lock().unwrap_or_else(PoisonError::into_inner);
            let left = busy.map_or_else(Instant::now, |busy| busy.max(Instant::now())) + takes;
            *busy = Some(left);
            left
        };
        // Nobody sends faster than the line takes it.
        std::thread::sleep(left.saturating_duration_since(Instant::now()));
        let bytes = piece.get(..n).unwrap_or_default().to_vec();
        if sender.send((left + line.round_trip / 2, bytes)).is_err() {
            return;
        }
    }
}

fn receive(mut to: TcpStream, receiver: &Receiver<(Instant, Vec<u8>)>) {
    for (arrives, bytes) in receiver {
        std::thread::sleep(arrives.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
