//! Random bytes, for tokens and ids, and random waits.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};

/// `N` bytes from the system's generator.
///
/// # Panics
///
/// If the system has no random bytes to give. Nothing that needs them could go on safely.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "without random bytes no token may be issued")]
    SystemRandom::new().fill(&mut bytes).expect("the system's random generator works");
    bytes
}

/// `N` random bytes as base64url without padding.
pub fn base64url<const N: usize>() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<N>())
}

/// So many random decimal digits, each as likely as any other.
pub fn digits(count: usize) -> String {
    choose(b"0123456789", count)
}

/// So many random digits and letters, each as likely as any other.
pub fn alphanumeric(count: usize) -> String {
    choose(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", count)
}

fn choose(alphabet: &[u8], count: usize) -> String {
    // A byte beyond the last whole multiple of the alphabet's length would make the first characters likelier.
    let fair = 256 - 256 % alphabet.len();
    let bytes = std::iter::repeat_with(bytes::<32>).flatten().map(usize::from).filter(|byte| *byte < fair);
    bytes.take(count).filter_map(|byte| alphabet.get(byte % alphabet.len())).copied().map(char::from).collect()
}

/// A random wait between half of `longest` and `longest`.
pub fn jitter(longest: Duration) -> Duration {
    let fraction = f64::from(u32::from_le_bytes(bytes())) / f64::from(u32::MAX);
    longest.mul_f64(0.5 + fraction / 2.0)
}
