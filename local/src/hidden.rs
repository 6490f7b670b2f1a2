//! Where the embedded DynamoDB itself listens: behind the door, and where no web page finds it. It answers every request,
//! with CORS open to all, and its crate offers it on a TCP listener only.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use shared::random;
use tokio::net::TcpListener;

/// Ports that browsers connect to for no page, and that anybody may listen on.
///
/// Source: Fetch Standard, "Port blocking", the bad ports from 1024 on.
const BLOCKED_BY_BROWSERS: [u16; 19] =
    [1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080];

/// Listens on an address of loopback that cannot be guessed: 38 bits, with the port. macOS has 127.0.0.1 only; there it is
/// a port that browsers block, and any port where many machines, as in tests, have taken all of those: a line says so.
pub(crate) async fn bind() -> io::Result<TcpListener> {
    let [second, third, fourth] = random::bytes();
    // The first address and the last of a network are not for a host, and one everybody guesses first.
    let unguessable = SocketAddr::from((Ipv4Addr::new(127, second, third, fourth.clamp(2, 254)), 0));
    let blocked = BLOCKED_BY_BROWSERS.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    // It takes the first of them that is free and of this machine.
    if let Ok(listener) = TcpListener::bind([&[unguessable], &blocked[..]].concat().as_slice()).await {
        return Ok(listener);
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    tracing::warn!(
        "all ports that browsers block are in use: the embedded DynamoDB listens on any port of 127.0.0.1, where a web \
         page can find it"
    );
    Ok(listener)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn linux_has_addresses_of_loopback_that_no_page_guesses() {
        let address = bind().await.unwrap().local_addr().unwrap();
        assert!(address.ip().is_loopback() && address.ip() != Ipv4Addr::LOCALHOST, "{address}");
    }
}
