//! The clouds: one file each, holding a table of what the engine answers and which variables its tools read.
//!
//! Pure: a provider gets values and returns values. It knows no HTTP, no environment and no output format. A new
//! cloud is one file here and one line in [`CLOUDS`].

pub mod aws;
pub mod cloud;
pub mod exoscale;
pub(crate) mod mapping;
pub(crate) mod role;
pub mod scaleway;
pub mod secret;
pub mod shape;
pub mod token;

use cloud::Cloud;
use shape::Shape;

/// Every cloud, in the order of the help.
pub static CLOUDS: [&Cloud; 3] = [&exoscale::CLOUD, &aws::CLOUD, &scaleway::CLOUD];

/// The switch by which a cloud's credential becomes one that the AWS SDKs can take.
#[must_use]
pub fn process_switch(shape: &Shape) -> Option<&'static str> {
    let cloud = CLOUDS.into_iter().find(|cloud| cloud.command == shape.name)?;
    let (switch, _) = cloud.shapes.iter().find(|(_, shape)| shape.fits_process())?;
    switch.map(|switch| switch.flag)
}

/// Every shape that a credential of theirs can have.
pub fn shapes() -> impl Iterator<Item = &'static Shape> {
    CLOUDS.into_iter().flat_map(|cloud| cloud.shapes).map(|(_, shape)| *shape)
}
