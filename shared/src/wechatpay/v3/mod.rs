//! WeChat Pay, version 3: JSON over HTTP, signed with RSA both ways.

mod client;
mod code;
mod error;
mod notification;
mod payment;
mod prepay;
mod request;
mod transaction;
mod verify;

pub use client::{PayClient, PayHosts};
pub use code::PayCode;
pub use error::{PayError, PayRefusal};
pub use notification::{Notification, Notifications};
pub use payment::Payment;
pub use prepay::PrepayRequest;
pub use request::{Stamp, authorization};
pub use verify::NotVerified;
