//! The names of headers as WeChat writes them: some SDKs look them up in that case.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use axum::http::{Extensions, Request};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::OnceCell;

/// Those of answers and of notifications. `Request-ID` follows no rule that hyper has.
const NAMES: [&str; 14] = [
    "Accept",
    "Allow",
    "Connection",
    "Content-Length",
    "Content-Type",
    "Date",
    "Host",
    "Request-ID",
    "User-Agent",
    "Wechatpay-Nonce",
    "Wechatpay-Serial",
    "Wechatpay-Signature",
    "Wechatpay-Signature-Type",
    "Wechatpay-Timestamp",
];

/// What hyper has to find in the extensions of a request or a response to write the names so.
pub(super) async fn of_wechat() -> Extensions {
    static READ: OnceCell<Extensions> = OnceCell::const_new();
    READ.get_or_init(read).await.clone()
}

/// Around everything that the sandbox answers.
pub(super) async fn write_as_wechat(mut response: Response) -> Response {
    response.extensions_mut().extend(of_wechat().await);
    response
}

/// Only what hyper itself has read makes it write names in another case than its own. So it reads them.
async fn read() -> Extensions {
    let lines = NAMES.map(|name| match name {
        "Connection" => format!("{name}: close\r\n"),
        "Content-Length" => format!("{name}: 0\r\n"),
        _ => format!("{name}: x\r\n"),
    });
    let (mut client, server) = tokio::io::duplex(4096);
    let read = Mutex::new(Extensions::new());
    let service = service_fn(|request: Request<Incoming>| {
        *read.lock().unwrap_or_else(PoisonError::into_inner) = request.extensions().clone();
        std::future::ready(Ok::<_, Infallible>(Response::new(Body::empty())))
    });
    let connection = http1::Builder::new().preserve_header_case(true).serve_connection(TokioIo::new(server), service);
    let request = format!("GET / HTTP/1.1\r\n{}\r\n", lines.concat());
    // Neither can fail here, and if it did, the names would be in lower case.
    let _ = client.write_all(request.as_bytes()).await;
    let _ = connection.await;
    read.into_inner().unwrap_or_else(PoisonError::into_inner)
}
