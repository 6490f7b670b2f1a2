//! WeChat Pay, version 3: JSON over HTTP, signed with RSA both ways.

mod client;
mod code;
mod error;
mod notification;
mod pay_keys;
mod prepay;
mod refund;
mod request;
mod request_payment;
mod transaction;
mod verify;

pub use client::{PayClient, PayHosts};
pub use code::PayCode;
pub use error::{PayError, PayRefusal, RequestId};
pub use notification::{Notification, Notifications};
pub use pay_keys::{PayKeys, RefreshError, Refreshed};
pub use prepay::PrepayRequest;
pub use refund::{RefundRequest, is_reason};
pub use request::{Stamp, authorization};
pub use request_payment::RequestPayment;
pub use verify::{NotVerified, Verified};
