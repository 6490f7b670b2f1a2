//! Events in, status and body out; and the whole machine over HTTP.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod binaries;
mod budget;
mod configuration;
mod early;
mod events;
mod freeze;
mod gateway;
mod identities;
mod login;
mod machine;
mod process;
mod sandbox;
mod sandbox_oauth;
mod sandbox_open_data;
mod sandbox_tokens;
mod secrecy;
mod sessions;
mod store_faults;
mod tls;
mod token_model;
mod wechat_faults;
