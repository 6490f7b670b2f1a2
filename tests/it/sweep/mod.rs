//! `order-sweeper`: every order and every refund comes to its end, whoever was not told of it.

mod closing;
mod dying;
mod failing;
mod found;
mod index;
mod refunds;
mod schedule;
mod together;
