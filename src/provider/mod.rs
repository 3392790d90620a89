//! The clouds: one file each, holding a table of what the engine answers and which variables its tools read.
//!
//! Pure: a provider gets values and returns values. It knows no HTTP, no environment and no output format. A new
//! cloud is one file here and one line in each list below. Beside the tables stands what is asked of AWS itself,
//! [`caller_identity`], and how that is signed.

pub mod aws;
pub mod caller_identity;
pub mod exoscale;
pub mod shape;
pub mod signature;

use shape::Shape;

/// Every shape of a credential: one a cloud, and Exoscale's key in AWS's.
pub static SHAPES: [&Shape; 3] = [&exoscale::EXOSCALE, &exoscale::SOS, &aws::AWS];
