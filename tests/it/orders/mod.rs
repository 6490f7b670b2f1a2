//! Orders and payments: `create-order`, `query-order` and `pay-notify`.

mod create_order;
mod create_order_input;
mod idempotency;
mod idempotency_ended;
mod open_orders;
mod prepay_answers;
mod prepay_hosts;
mod prepay_refusals;
mod stock;
