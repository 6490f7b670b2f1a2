//! `refund-order`, and what WeChat Pay tells of refunds.

mod answers;
mod asking;
mod by_hand;
mod doubts;
mod ends;
mod forged;
mod input;
mod orders;
mod refusals;
mod secrecy;
mod staff;
mod store;
mod together;
mod told;
