//! A small HTTP server for tests: answers as told, counts, passes on to a real server, breaks off.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a port may still belong to a server that has just been stopped.
const PORT_WAIT: Duration = Duration::from_secs(10);

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, …
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Content type.
    pub kind: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// Only so many bytes of the body are sent, then the connection is closed.
    pub cut: Option<usize>,
}

impl Response {
    /// Of JSON.
    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::of(status, "application/json; charset=utf-8", value.to_string())
    }

    /// Of a page.
    pub fn html(status: u16, text: &str) -> Self {
        Self::of(status, "text/html; charset=utf-8", text)
    }

    /// Of any type.
    pub fn of(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, kind: kind.to_owned(), headers: Vec::new(), body: body.into(), cut: None }
    }
}

/// Answers one request.
type Handler = dyn Fn(&Request) -> Response + Send + Sync;

/// A server on a loopback port of its own; stops when it is dropped.
pub struct HttpServer {
    port: u16,
    stop: Arc<AtomicBool>,
    log: Arc<Mutex<Vec<Request>>>,
    most: Arc<Mutex<(usize, usize)>>,
}

impl std::fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpServer").field("port", &self.port).finish_non_exhaustive()
    }
}

impl HttpServer {
    /// Starts one that answers with what `handler` gives.
    ///
    /// # Panics
    /// If there is no free port.
    pub fn start(handler: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        Self::start_at(0, handler)
    }

    /// Starts one at a port, once nobody else has it.
    ///
    /// # Panics
    /// If somebody else keeps it.
    pub fn start_at(port: u16, handler: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let limit = Instant::now() + PORT_WAIT;
        let listener = loop {
            match TcpListener::bind(("127.0.0.1", port)) {
                Err(e) if e.kind() == ErrorKind::AddrInUse && Instant::now() < limit => {
                    std::thread::yield_now();
                }
                bound => break bound.unwrap(),
            }
        };
        let port = listener.local_addr().unwrap().port();
        let (stop, log) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let most: Arc<Mutex<(usize, usize)>> = Arc::default();
        let counted = Arc::clone(&most);
        let handler: Arc<Handler> = Arc::new(move |request: &Request| {
            let in_hand = Counted::begin(&counted);
            let answer = handler(request);
            drop(in_hand);
            answer
        });
        let (stopped, logged) = (Arc::clone(&stop), Arc::clone(&log));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (handler, logged) = (Arc::clone(&handler), Arc::clone(&logged));
                // A client that goes away ends its connection.
                std::thread::spawn(move || drop(serve(stream, handler.as_ref(), &logged)));
            }
        });
        Self { port, stop, log, most }
    }

    /// Passes every request on to the server at `upstream` (`http://127.0.0.1:5678`), after `before` has seen it.
    ///
    /// # Panics
    /// If there is no free port.
    pub fn pass_on(upstream: &str, before: impl Fn(&Request) + Send + Sync + 'static) -> Self {
        Self::pass_on_unless(upstream, move |request| {
            before(request);
            None
        })
    }

    /// Passes requests on to the server at `upstream` unless `instead` answers them.
    ///
    /// # Panics
    /// If there is no free port.
    pub fn pass_on_unless(
        upstream: &str,
        instead: impl Fn(&Request) -> Option<Response> + Send + Sync + 'static,
    ) -> Self {
        let upstream = upstream.to_owned();
        let client = client();
        Self::start(move |request| instead(request).unwrap_or_else(|| forward(&client, &upstream, request)))
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All requests until now.
    ///
    /// # Panics
    /// If a handler did.
    pub fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// The most requests that were in hand at once.
    ///
    /// # Panics
    /// If a handler did.
    pub fn most_at_once(&self) -> usize {
        self.most.lock().unwrap().1
    }

    /// Forgets the requests until now.
    ///
    /// # Panics
    /// If a handler did.
    pub fn forget(&self) {
        self.log.lock().unwrap().clear();
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the listener, which sees that it is to stop.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

/// A request in hand: how many there are, and the most there were.
struct Counted<'c>(&'c Mutex<(usize, usize)>);

impl<'c> Counted<'c> {
    fn begin(count: &'c Mutex<(usize, usize)>) -> Self {
        let mut counts = count.lock().unwrap();
        counts.0 += 1;
        counts.1 = counts.1.max(counts.0);
        drop(counts);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap().0 -= 1;
    }
}

/// A client for loopback addresses.
///
/// # Panics
/// If the system gives no random numbers.
pub fn client() -> reqwest::blocking::Client {
    let client = reqwest::blocking::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    client.timeout(std::time::Duration::from_mins(2)).build().unwrap()
}

fn forward(client: &reqwest::blocking::Client, upstream: &str, request: &Request) -> Response {
    let method = reqwest::Method::from_bytes(request.method.as_bytes()).unwrap();
    let mut call = client.request(method, format!("{upstream}{}", request.target)).body(request.body.clone());
    for (name, value) in &request.headers {
        if !matches!(name.as_str(), "host" | "content-length" | "connection" | "transfer-encoding") {
            call = call.header(name, value);
        }
    }
    match call.send() {
        Ok(answer) => {
            let status = answer.status().as_u16();
            let kind = answer.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default();
            let kind = kind.to_owned();
            Response::of(status, &kind, answer.bytes().unwrap_or_default())
        }
        Err(error) => Response::html(502, &error.to_string()),
    }
}

fn serve(stream: TcpStream, handler: &Handler, log: &Mutex<Vec<Request>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while let Some(request) = read(&mut reader)? {
        log.lock().unwrap().push(request.clone());
        let answer = handler(&request);
        let mut head = format!("HTTP/1.1 {} X\r\ncontent-type: {}\r\n", answer.status, answer.kind);
        for (name, value) in &answer.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        write!(head, "content-length: {}\r\n\r\n", answer.body.len()).unwrap();
        writer.write_all(head.as_bytes())?;
        if let Some(cut) = answer.cut {
            writer.write_all(&answer.body[..cut.min(answer.body.len())])?;
            return writer.shutdown(std::net::Shutdown::Both);
        }
        writer.write_all(&answer.body)?;
    }
    Ok(())
}

/// The next request; `None` at the end of the connection.
fn read(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let length = headers.iter().find(|(n, _)| n == "content-length").and_then(|(_, v)| v.parse().ok());
    let mut body = Vec::new();
    reader.take(length.unwrap_or(0)).read_to_end(&mut body)?;
    Ok(Some(Request { method, target, headers, body }))
}
