//! A real S3 server within the test: signed requests over TCP to a bucket in memory, which counts, and breaks things when told to.

mod faults;
mod objects;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

pub use faults::{S3Fault, S3Rule};
pub use objects::{BUCKET, Content, Objects, S3Flaw};

use objects::CLIENT_KEY_ID;

const KEY_ID: &str = "test-key-id";
const SECRET: &str = "test/secret+key";

/// The server; it ends with this value.
#[derive(Debug)]
pub struct S3Server {
    address: SocketAddr,
    objects: Objects,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

/// What its connections share.
#[derive(Debug, Default)]
struct Shared {
    rules: Mutex<Vec<S3Rule>>,
    requests: Mutex<Vec<(String, String)>>,
}

impl Default for S3Server {
    fn default() -> Self {
        Self::new()
    }
}

impl S3Server {
    /// One that does everything right.
    pub fn new() -> Self {
        Self::start(Objects::new(None))
    }

    /// One that gets something wrong.
    pub fn with_flaw(flaw: S3Flaw) -> Self {
        Self::start(Objects::new(Some(flaw)))
    }

    fn start(objects: Objects) -> Self {
        let mut builder = S3ServiceBuilder::new(objects.clone());
        let mut auth = SimpleAuth::from_single(KEY_ID, SECRET);
        auth.register(CLIENT_KEY_ID.to_owned(), SECRET.into());
        builder.set_auth(auth);
        let service = builder.build();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        runtime.spawn(accept(listener, service, Arc::clone(&shared)));
        Self { address, objects, shared, _runtime: runtime }
    }

    /// The bucket's content.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A place in its bucket.
    pub fn location(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}?endpoint={}", self.endpoint())
    }

    /// What a client needs to know.
    pub fn variables(&self) -> [(&'static str, String); 3] {
        [
            ("AWS_ACCESS_KEY_ID", KEY_ID.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
    }

    /// The same for a client that may write what is not there, and delete nothing.
    pub fn variables_of_client(&self) -> [(&'static str, String); 3] {
        let [(name, _), secret, region] = self.variables();
        [(name, CLIENT_KEY_ID.to_owned()), secret, region]
    }

    /// Breaks requests from now on; of several rules that fit, the first decides.
    pub fn add(&self, rule: S3Rule) {
        self.shared.rules.lock().unwrap().push(rule);
    }

    /// Does everything right again.
    pub fn heal(&self) {
        self.shared.rules.lock().unwrap().clear();
    }

    /// Requests since the last call: method (`LIST` for lists) and key, of a list its prefix.
    pub fn take_requests(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.shared.requests.lock().unwrap())
    }

    /// The same, counted by method.
    pub fn take_counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for (method, _) in self.take_requests() {
            *counts.entry(method).or_default() += 1;
        }
        counts
    }
}

async fn accept(listener: TcpListener, service: S3Service, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (service, shared) = (service.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let answer = hyper::service::service_fn(|request| faults::answer(&service, &shared, request));
            let connection =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), answer);
            // A client that goes away, and a connection that a rule breaks, end here.
            let _ = connection.await;
        });
    }
}
