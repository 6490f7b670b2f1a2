//! WeChat Pay, version 3: JSON over HTTP, signed with RSA both ways.

mod certificates;
mod client;
mod code;
mod error;
mod notification;
mod pay_keys;
mod prepay;
mod refresh;
mod refund;
mod request;
mod request_payment;
mod transaction;
mod tries;
mod verify;

pub use certificates::PlatformCertificate;
pub use client::{PayClient, PayHosts};
pub use code::PayCode;
pub use error::{PayError, PayRefusal, RequestId};
pub use notification::{Notification, Notifications};
pub use pay_keys::PayKeys;
pub use prepay::PrepayRequest;
pub use refresh::{RefreshError, Refreshed};
pub use refund::{RefundRequest, is_reason};
pub use request::{Stamp, authorization};
pub use request_payment::RequestPayment;
use tries::Tries;
pub use verify::{NotVerified, Verified};

/// The one cipher of what is encrypted. Source: WeChat Pay v3, "Decrypt the notification".
const AEAD_AES_256_GCM: &str = "AEAD_AES_256_GCM";
