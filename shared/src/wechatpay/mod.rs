//! WeChat Pay: what its versions have in common. How version 3 speaks is in [`v3`]; another version goes beside it.

mod api_v3_key;
mod keyring;
mod merchant;
mod notify_url;
mod refund;
mod trade;
pub mod v3;

pub use api_v3_key::ApiV3Key;
pub use keyring::{Certificate, Keyring, PublicKey, PublicKeyId};
pub use merchant::{CannotSign, InvalidMerchant, Merchant, Verifier};
pub use notify_url::{InvalidNotifyUrl, NotifyUrl};
pub use refund::{OutRefundNo, RefundResult, RefundStatus};
pub use trade::{Amount, MchId, Named, OutTradeNo, PrepayId, Trade, TradeState};
pub use v3::Verified;
