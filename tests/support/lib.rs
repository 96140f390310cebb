//! What the tests of the whole system share: the program, scratch folders, real trees, comparison of trees.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot be set up must fail at once"
)]

pub mod compare;
mod copies;
mod http;
mod moto;
mod mounted;
mod n8n;
pub mod postgres;
mod program;
pub mod s3;
mod service;
mod special;
mod sshd;
pub mod targets;
mod trees;

pub use http::{HttpServer, Request, Response, client as http_client};
pub use moto::Moto;
pub use mounted::Mounted;
pub use n8n::{N8n, OwnN8n, free_port, hourly, n8n};
pub use program::{Output, Program};
pub use s3::{BUCKET as S3_BUCKET, S3Fault, S3Flaw, S3Rule, S3Server};
pub use service::{Answer, Service, configure};
pub use special::special_tree;
pub use sshd::Sshd;
pub use trees::{fixture, reader_python, repository_root};
