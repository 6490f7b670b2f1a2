//! Money: whole fen (1/100 yuan), and never a fraction.

use serde::{Deserialize, Serialize};

/// An amount in fen. Arithmetic is checked: an amount that is too large is no amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fen(u64);

impl Fen {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many fen.
    pub const fn new(fen: u64) -> Self {
        Self(fen)
    }

    /// The number of fen.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The sum, if there is one.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// So many times this amount, if that is one.
    pub fn checked_mul(self, times: u64) -> Option<Self> {
        self.0.checked_mul(times).map(Self)
    }
}
