//! `order-sweeper`: every order and every refund comes to its end, whoever was not told of it.

mod failing;
mod found;
mod schedule;
