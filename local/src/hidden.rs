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
/// a port that browsers block, and any port where many machines, as in tests, have taken all of those.
pub(crate) async fn bind() -> io::Result<TcpListener> {
    let [second, third, fourth] = random::bytes();
    // The first address and the last of a network are not for a host.
    let unguessable = Ipv4Addr::new(127, second, third, fourth.clamp(1, 254));
    let (unguessable, any) = (SocketAddr::from((unguessable, 0)), SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let blocked = BLOCKED_BY_BROWSERS.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    // It takes the first of them that is free and of this machine.
    TcpListener::bind([&[unguessable], &blocked[..], &[any]].concat().as_slice()).await
}
