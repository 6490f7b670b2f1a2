//! The apps that a world has, if nothing else is said.

/// The mini program, which is the first app.
pub const MINI_PROGRAM: &str = "wx0123456789abcdef";

/// The official account.
pub const OFFICIAL_ACCOUNT: &str = "wx1123456789abcdef";

/// The mobile app.
pub const MOBILE_APP: &str = "wx2123456789abcdef";
