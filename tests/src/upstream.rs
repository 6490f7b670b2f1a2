//! A server that tests write by hand, connection by connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

/// More than a connection takes.
const WITHIN: Duration = Duration::from_secs(10);

/// A port that nobody listens on, as long as this is kept.
#[derive(Debug)]
pub struct ClosedPort {
    /// Where nobody is.
    pub url: String,
    socket: TcpSocket,
}

impl Default for ClosedPort {
    fn default() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        Self { url: format!("http://{}", socket.local_addr().unwrap()), socket }
    }
}

impl ClosedPort {
    /// From now on somebody is there, who answers `body`.
    pub fn open(self, body: &str) -> Upstream {
        Upstream::serve(self.socket.listen(8).unwrap(), body, After::Stay, 0)
    }
}

/// What a connection does after its first answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Says goodbye properly.
    Close,
    /// Says that it will send nothing more, and goes on reading.
    HalfClose,
    /// Reads on and never says anything again, like a connection that a NAT has forgotten.
    Silence,
    /// Answers on.
    Stay,
}

/// A server that answers every first request of a connection with the same body, and counts.
#[derive(Debug)]
pub struct Upstream {
    /// Where it listens.
    pub url: String,
    accepted: watch::Receiver<usize>,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Upstream {
    /// A server that answers `body`.
    pub async fn start(body: &str, after: After) -> Self {
        Self::serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), body, after, 0)
    }

    /// A server that answers `body`, but ends its first connections, of which there are `ended`, as soon as it has them.
    pub async fn start_ending(body: &str, ended: usize) -> Self {
        Self::serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), body, After::Stay, ended)
    }

    fn serve(listener: TcpListener, body: &str, after: After, ended: usize) -> Self {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (connections, requests) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (answer, (count, accepted)) = (answer(body), watch::channel(0));
        let counts = (Arc::clone(&connections), Arc::clone(&requests));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if *count.borrow() < ended {
                    drop(stream);
                    count.send_modify(|count| *count += 1);
                    continue;
                }
                count.send_modify(|count| *count += 1);
                tokio::spawn(answer_on(stream, answer.clone(), after, counts.clone()));
            }
        });
        Self { url, accepted, connections, requests }
    }

    /// Waits for so many connections, and says how many there are then.
    pub async fn accepted(&self, at_least: usize) -> usize {
        let mut accepted = self.accepted.clone();
        let accepted = tokio::time::timeout(WITHIN, accepted.wait_for(|count| *count >= at_least)).await;
        *accepted.expect("so many connections in time").unwrap()
    }

    /// Connections so far that had a request.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Requests so far, answered or not.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

async fn answer_on(
    mut stream: TcpStream,
    answer: String,
    after: After,
    (connections, requests): (Arc<AtomicUsize>, Arc<AtomicUsize>),
) {
    let mut first = true;
    while read_head(&mut stream).await {
        requests.fetch_add(1, Ordering::SeqCst);
        connections.fetch_add(usize::from(first), Ordering::SeqCst);
        if first || after == After::Stay {
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        match after {
            After::Close => return,
            After::HalfClose => stream.shutdown().await.unwrap(),
            After::Silence | After::Stay => {}
        }
        first = false;
    }
}

/// Reads up to the end of a request's head; `false` at the end of the connection. Requests here have no body.
async fn read_head(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return false,
        }
    }
    true
}
