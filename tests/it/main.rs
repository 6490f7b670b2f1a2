//! Events in, status and body out; and the whole machine over HTTP.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod binaries;
mod budget;
mod card_account;
mod card_ext;
mod configuration;
mod early;
mod events;
mod freeze;
mod function_store_faults;
mod gateway;
mod identities;
mod login;
mod machine;
mod oauth_login;
mod phone_code;
mod phone_decrypt;
mod phone_session;
mod process;
mod profile_unionid;
mod properties;
mod sandbox;
mod sandbox_oauth;
mod sandbox_open_data;
mod sandbox_tokens;
mod secrecy;
mod secrecy_of_answers;
mod sessions;
mod store_faults;
mod tls;
mod user_info;
mod vectors;
mod wechat_faults;
mod wechat_profile;
