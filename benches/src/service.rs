//! An HTTP service under many clients, alone and while it makes a snapshot: how long callers wait, route by route.
//!
//! Every client has one connection that it keeps, and asks for one thing after the other.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::tools::{CONFIG, Tool, lay};

/// Snapshots that are there before.
const SNAPSHOTS: usize = 100;
/// Bytes of a snapshot that is made meanwhile; they are new each time.
const BYTES: u64 = 256 << 20;
/// What is asked for: names of routes and paths.
const ROUTES: [(&str, &str); 3] =
    [("list", "/backups"), ("get", "/backups/latest:small"), ("health", "/health")];
/// Part of the answers that came sooner, in the order of the columns.
const PARTS: [f64; 2] = [0.5, 0.99];

/// Seconds of each answer by route, and how many were none.
#[derive(Debug, Default)]
struct Seen {
    seconds: BTreeMap<&'static str, Vec<f64>>,
    errors: usize,
}

/// Measures the service, and prints a row for each route.
pub(crate) fn run(chronos: &Tool, clients: usize, requests: usize, scratch: &Path) -> Result<()> {
    let place = scratch.join("service");
    lay(&place.join("small/page.html"), "page")?;
    let text = format!(
        "[[schedule]]\nname = \"never\"\njob = \"cleanup\"\ncron = \"0 0 1 1 *\"\nenabled = false\n\
         [[target]]\nname = \"small\"\npaths = [\"{}\"]\n\
         [[target]]\nname = \"large\"\n[[target.source]]\nname = \"new\"\nkind = \"command\"\ncomponent = \"database\"\n\
         command = \"head -c {BYTES} /dev/urandom\"\nfilename = \"new\"\n",
        place.join("small").display()
    );
    lay(&place.join(CONFIG), &text)?;
    chronos.init(&place)?;
    let (mut service, address) = start(chronos, &place)?;
    let mut line = Line::open(&address)?;
    for _ in 0..SNAPSHOTS {
        ensure!(line.ask("POST", "/backup", r#"{"target": "small"}"#)? == 200, "a snapshot was not made");
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{clients} clients, {requests} requests of each, {SNAPSHOTS} snapshots\n")?;
    writeln!(out, "| meanwhile | route | requests | errors | p50 ms | p99 ms | longest ms |")?;
    writeln!(out, "| --- | --- | ---: | ---: | ---: | ---: | ---: |")?;
    print(&mut out, "nothing", &ask(&address, clients, requests)?)?;
    let (is_over, made) = (AtomicBool::new(false), AtomicUsize::new(0));
    let seen = thread::scope(|scope| {
        let backups = scope.spawn(|| -> Result<()> {
            while !is_over.load(Ordering::SeqCst) {
                ensure!(line.ask("POST", "/backup", r#"{"target": "large"}"#)? == 200, "a backup failed");
                made.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        });
        let seen = ask(&address, clients, requests);
        is_over.store(true, Ordering::SeqCst);
        match backups.join() {
            Ok(ended) => ended.and(seen),
            Err(_) => bail!("the backups ended early"),
        }
    })?;
    print(&mut out, "backups", &seen)?;
    writeln!(out, "\nBackups of {} MiB that were made meanwhile: {}", BYTES >> 20, made.into_inner())?;
    service.kill()?;
    service.wait()?;
    Ok(())
}

/// A service on a free port, and its address.
fn start(chronos: &Tool, place: &Path) -> Result<(Child, String)> {
    let mut command = chronos.shell("exec $P serve --only chronos --chronos-listen 127.0.0.1:0", place);
    let log = std::fs::File::create(place.join("log"))?;
    let mut service = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
    let mut line = String::new();
    BufReader::new(service.stdout.take().context("no output")?).read_line(&mut line)?;
    let address = line.split_whitespace().find_map(|word| word.strip_prefix("http://"));
    Ok((service, address.with_context(|| format!("not ready: {line}"))?.to_owned()))
}

/// All clients ask; nobody begins before everybody has a connection.
fn ask(address: &str, clients: usize, requests: usize) -> Result<Seen> {
    let ready = Barrier::new(clients);
    let all = thread::scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|number| {
                let ready = &ready;
                scope.spawn(move || -> Result<Seen> {
                    let line = Line::open(address);
                    ready.wait();
                    let (mut line, mut seen) = (line?, Seen::default());
                    for request in 0..requests {
                        let Some((route, path)) = ROUTES.get((number + request) % ROUTES.len()) else {
                            continue;
                        };
                        let began = Instant::now();
                        let status = line.ask("GET", path, "")?;
                        seen.errors += usize::from(status != 200);
                        seen.seconds.entry(route).or_default().push(began.elapsed().as_secs_f64());
                    }
                    Ok(seen)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| bail!("a client broke")))
            .collect::<Vec<_>>()
    });
    let mut sum = Seen::default();
    for seen in all {
        let seen = seen?;
        sum.errors += seen.errors;
        for (route, seconds) in seen.seconds {
            sum.seconds.entry(route).or_default().extend(seconds);
        }
    }
    Ok(sum)
}

fn print(out: &mut impl Write, meanwhile: &str, seen: &Seen) -> Result<()> {
    for (route, seconds) in &seen.seconds {
        let mut seconds = seconds.clone();
        seconds.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let place = (seconds.len() as f64 * part) as usize;
            seconds.get(place.min(seconds.len().saturating_sub(1))).copied().unwrap_or_default() * 1e3
        };
        let [half, most] = PARTS.map(at);
        let (count, errors, longest) = (seconds.len(), seen.errors, at(1.0));
        writeln!(
            out,
            "| {meanwhile} | {route} | {count} | {errors} | {half:.1} | {most:.1} | {longest:.1} |"
        )?;
    }
    out.flush()?;
    Ok(())
}

/// A connection that stays open.
struct Line(BufReader<TcpStream>);

impl Line {
    fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_mins(5)))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Asks, reads the answer to its end, and gives its status.
    fn ask(&mut self, method: &str, path: &str, body: &str) -> Result<u16> {
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(text.as_bytes())?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let status = line.split(' ').nth(1).with_context(|| format!("no status: {line:?}"))?.parse()?;
        let mut length = 0;
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            match line.trim_end().split_once(": ") {
                None => break,
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse()?;
                }
                Some(_) => {}
            }
        }
        std::io::copy(&mut (&mut self.0).take(length), &mut std::io::sink())?;
        Ok(status)
    }
}
