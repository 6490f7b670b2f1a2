//! The keys that WeChat Pay signs with, as this instance knows them.

use super::PayError;
use crate::clock::Clock;
use crate::store::{StoreError, Table};
use crate::wechatpay::Merchant;

/// The keys that WeChat Pay signs with: that of the configuration, and the certificates in the table.
#[derive(Debug)]
pub struct PayKeys {}

/// What came of looking whether the certificates have to be fetched anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// It was not the time.
    NotDue,
    /// It was the time, and somebody else has just done it or is doing it.
    ByAnother,
    /// So many certificates were kept.
    Kept(usize),
    /// WeChat Pay has none for this merchant.
    NoneThere,
}

/// Why the certificates could not be fetched anew.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// WeChat Pay gave no good answer.
    #[error("the certificates of WeChat Pay were not fetched")]
    Pay(#[from] PayError),
    /// The table gave no answer.
    #[error("the certificates of WeChat Pay were not kept")]
    Store(#[from] StoreError),
}

impl PayKeys {
    /// The keys of those who sign for this merchant.
    pub fn of(_merchant: &Merchant, _table: Table, _clock: Clock) -> Self {
        Self {}
    }
}
