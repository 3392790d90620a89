//! The clouds: one file each, holding a table of what the engine answers and which variables its tools read.
//!
//! Pure: a provider gets values and returns values. It knows no HTTP, no environment and no output format. A new
//! cloud is one file here and one line in [`CLOUDS`].

pub mod aws;
pub mod cloud;
pub mod exoscale;
pub(crate) mod role;
pub mod secret;
pub mod shape;
pub mod token;

use cloud::Cloud;
use shape::Shape;

/// Every cloud, in the order of the help.
pub static CLOUDS: [&Cloud; 2] = [&exoscale::CLOUD, &aws::CLOUD];

/// Every shape that a credential of theirs can have.
pub fn shapes() -> impl Iterator<Item = &'static Shape> {
    CLOUDS.into_iter().flat_map(|cloud| cloud.shapes).map(|(_, shape)| *shape)
}
