//! The keys of WeChat Pay: platform certificates, the public key, and both.

mod lists;
mod missing;
mod modes;
mod notifications;
mod published;
mod refresh;
mod refresh_faults;
mod rotation;
mod switch;
