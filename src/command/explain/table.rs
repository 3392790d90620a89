//! Every table that words an error, in one list.

use super::way::WAY;
use crate::auth;
use crate::aws;
use crate::engine;
use crate::vault::failure;
use crate::vault::refusal::{RefusalTable, Row};

/// A row, and the table that it stands in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cause {
    pub(super) table: &'static RefusalTable,
    pub(super) row: &'static Row,
}

/// Every table.
pub(super) fn tables() -> impl Iterator<Item = &'static RefusalTable> {
    const AUTH: &[RefusalTable] = auth::TABLES;
    const ENGINE: &[RefusalTable] = &engine::TABLES;
    const SERVER: &[RefusalTable] = &failure::TABLES;
    const AWS: &[RefusalTable] = &aws::TABLES;
    AUTH.iter().chain(ENGINE).chain(AWS).chain(SERVER).chain([WAY])
}

/// Every row.
pub(super) fn causes() -> impl Iterator<Item = Cause> {
    tables().flat_map(|table| table.rows.iter().map(move |row| Cause { table, row }))
}
