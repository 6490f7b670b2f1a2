//! WeChat Pay: what its versions have in common. How version 3 speaks is in [`v3`]; another version goes beside it.

mod trade;
pub mod v3;

pub use trade::{Amount, MchId, OutTradeNo, PrepayId, Trade, TradeState, Verified};
