//! The tool from the outside: the real binary against the double, one module a subject.

#![allow(missing_docs, reason = "tests are sentences")]

mod support;

/// Each identity and engine: what the job gets, and the exact requests.
mod chain;
