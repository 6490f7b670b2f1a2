//! The table: users, sessions, login codes, tokens, cards, products, orders, refunds, keys of WeChat Pay.
//!
//! One table with the keys `pk` and `sk`, and `ttl` in epoch seconds. ARCHITECTURE.md lists the rows. Everything that
//! decides something is read consistently, nothing is decided by a row that is only deleted by TTL, and no index
//! decides uniqueness: uniqueness is the key of a row, written with a condition.

mod call;
mod cards;
mod corrupt;
mod dynamodb;
mod identities;
mod item;
mod links;
mod logins;
pub mod orders;
mod pay_keys;
mod products;
mod quarantine;
pub mod refunds;
mod sessions;
pub mod sweep;
mod table;
pub mod tokens;
mod users;

pub use cards::{Card, Cards, Codes};
pub use corrupt::Corrupt;
pub use links::UnionIdConflict;
pub use logins::{Login, Logins, NewLogin, Recalled};
pub use orders::Orders;
pub use pay_keys::{KeptKeys, PayKeyRows, REFRESH_WITHIN, RefreshClaim, Refreshes};
pub use products::{Product, Products, Sku};
pub use quarantine::{Evidence, Quarantine};
pub use refunds::Refunds;
pub use sessions::{Session, SessionHash, SessionToken, Sessions};
pub use table::Table;
pub use tokens::TokenRows;
pub use users::{User, UserId, Users};

/// Why the table gave no answer. A condition that does not hold is an answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Throttled, in conflict with others, or not reached, until the deadline.
    #[error("the table was busy until the deadline ({0})")]
    Busy(String),
    /// A row that this code cannot have written.
    #[error("{0}")]
    Corrupt(Corrupt),
    /// DynamoDB refuses the caller or does not know the table.
    #[error("DynamoDB refused: {0}")]
    Misconfigured(String),
    /// DynamoDB refuses the request for what it is.
    #[error("DynamoDB refused the request: {0}")]
    Refused(String),
}

impl From<Corrupt> for StoreError {
    fn from(corrupt: Corrupt) -> Self {
        Self::Corrupt(corrupt)
    }
}
