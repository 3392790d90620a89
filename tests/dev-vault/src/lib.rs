//! An honest in-process double of `HashiCorp` Vault and `OpenBao`: real HTTP on loopback, real state, no canned answers.
//!
//! Start one with [`DevVault::builder`], set it up through Vault's own API ([`DevVault::write`]), let a client talk to
//! it, break it with [`DevVault::inject`], and ask it afterwards what it saw and what is still alive.

#![warn(missing_docs, unreachable_pub)]

mod admin;
mod aside;
mod cidr;
mod clock;
mod connection;
mod core;
mod crowd;
mod dialect;
mod engine;
mod fault;
mod gate;
mod gitlab;
mod gitlab_variable;
mod http;
mod issuer;
mod journal;
mod kubernetes;
mod listener;
mod machine;
mod oracle;
mod p521;
mod pki;
mod proxy;
mod random;
mod reader;
mod relay;
mod script;
mod server;
mod sink;
mod stream;
mod sts;
mod tls;
mod web_token;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use crowd::Crowd;
pub use dialect::Dialect;
pub use engine::aws_login::{AWS_SESSION, AWS_USER, AwsPrincipal};
pub use fault::{Fault, On, Reply};
pub use gate::Gate;
pub use gitlab::{GitlabKeys, GitlabToken};
pub use gitlab_variable::{Gitlab, GitlabFault, GitlabVariable};
pub use http::{Answer, Headers};
pub use issuer::{TokenIssuer, TokenWire};
pub use journal::Recorded;
pub use kubernetes::KubernetesApi;
pub use machine::{IMDS_TOKEN, Machine};
pub use oracle::{LiveLease, LiveToken};
pub use pki::{ClientCa, KeyUsage};
pub use proxy::Proxy;
pub use relay::Relay;
pub use server::{Builder, DevVault};
pub use sink::Sink;
pub use sts::{EXTERNAL_ID, FIRST_ROLE, SECOND_KEYS, SECOND_ROLE, Sts};
pub use tls::{ClientIdentity, Issuer, Tls};
pub use web_token::{AWS_ISSUER, AWS_REGION, AWS_TAG};

/// A lock that outlives a panic: the panic itself is reported when the server is dropped.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
