//! moto, an S3 server that nobody of this project has written: an independent reading of the protocol.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::s3::BUCKET;
use crate::trees::{fixture, repository_root};

/// A running server with one bucket; it ends with this value, and with the test program.
#[derive(Debug)]
pub struct Moto {
    child: Child,
    port: u16,
}

impl Default for Moto {
    fn default() -> Self {
        Self::new()
    }
}

impl Moto {
    /// Starts it.
    pub fn new() -> Self {
        let mut child = Command::new(fixture("moto").join("bin/python"))
            .arg(repository_root().join("tests/remote/moto/serve.py"))
            .arg(BUCKET)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("moto did not start");
        Self { child, port }
    }

    /// A place in its bucket.
    pub fn location(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}?endpoint=http://127.0.0.1:{}", self.port)
    }

    /// What a client needs to know.
    pub fn variables(&self) -> [(&'static str, String); 2] {
        [("AWS_ACCESS_KEY_ID", "any".to_owned()), ("AWS_SECRET_ACCESS_KEY", "any".to_owned())]
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
