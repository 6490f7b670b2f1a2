//! Orders and payments: `create-order`, `query-order` and `pay-notify`.

mod configuration;
mod create_order;
mod create_order_input;
mod idempotency;
mod idempotency_ended;
mod open_orders;
mod paid_after_closed;
mod pay_notify;
mod pay_notify_faults;
mod pay_notify_forged;
mod pay_notify_quarantine;
mod pay_notify_verifier;
mod pay_notify_version_2;
mod prepay_answers;
mod prepay_ended;
mod prepay_hosts;
mod prepay_refusals;
mod prepay_words;
mod query_answers;
mod query_order;
mod query_paid;
mod query_words;
pub(crate) mod secrecy;
mod stock;
mod store_faults;
mod storm;
