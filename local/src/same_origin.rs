//! What stands at every door of the local machine, and lets no foreign web page in.
//!
//! A browser lets any page send requests to this machine, and says which page it was: in `Origin`, in `Sec-Fetch-Site`,
//! and, where a name was made to lead here (DNS rebinding), in `Host`. Programs send nothing of the kind.
//!
//! Sources: Fetch Standard, "`Origin` header"; Fetch Metadata Request Headers, "The `Sec-Fetch-Site` HTTP Request Header".

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN, REFERER};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use axum::middleware::{self, Next};
use serde_json::{Value, json};

const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// What a mini program sends as its referrer, also in WeChat's developer tools, which are a browser and send
/// `Sec-Fetch-Site: cross-site` or `same-site` with it and no `Origin`. No web page can send another site's referrer.
///
/// Source: WeChat's mini program guide, "Network", about `referer`.
const MINI_PROGRAMS: &str = "https://servicewechat.com/";

/// The name of this machine in its containers.
const IN_CONTAINERS: &str = "host.docker.internal";

/// Which server it is: it refuses in the words of what it stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Door {
    DynamoDb,
    Gateway,
    Sandbox,
}

/// A door, and where it is.
#[derive(Clone, Copy, Debug)]
struct Own {
    door: Door,
    address: SocketAddr,
}

/// Puts the check before all of the routes.
pub(crate) fn protect(routes: Router, door: Door, address: SocketAddr) -> Router {
    routes.layer(middleware::from_fn_with_state(Own { door, address }, pass))
}

async fn pass(State(own): State<Own>, request: Request, next: Next) -> Response<Body> {
    let (parts, body) = request.into_parts();
    match own.foreign(&parts) {
        Some(header) => own.refusal(&header),
        None => next.run(Request::from_parts(parts, body)).await,
    }
}

impl Own {
    /// The header that tells of a foreign page.
    fn foreign(self, request: &Parts) -> Option<HeaderName> {
        let (headers, asked) = (&request.headers, request.uri.authority().map(Authority::as_str));
        // No browser leaves the host out.
        let mut hosts = texts(headers, HOST.as_str()).chain(asked);
        let is_own_page = |origin: &str| {
            let host = origin.strip_prefix("http://").unwrap_or_default();
            self.is_named(host, Self::has_own_name) || texts(headers, HOST.as_str()).any(|own| own == host)
        };
        if !hosts.all(|host| self.is_named(host, Self::is_called)) {
            return Some(HOST);
        }
        if !texts(headers, ORIGIN.as_str()).all(is_own_page) {
            return Some(ORIGIN);
        }
        let is_own_site = texts(headers, SEC_FETCH_SITE).all(|site| matches!(site, "same-origin" | "none"));
        (!is_own_site && !is_of_mini_program(headers)).then(|| HeaderName::from_static(SEC_FETCH_SITE))
    }

    /// Whether an authority has the port of this door, and a host that is taken.
    fn is_named(self, authority: &str, takes: fn(Self, &str) -> bool) -> bool {
        let Ok(parsed) = Authority::try_from(authority) else { return false };
        let (host, port) = (parsed.host(), parsed.port_u16());
        // Without a colon it is HTTP's own port.
        let port = if authority == host { Some(80) } else { port };
        !authority.contains('@') && port == Some(self.address.port()) && takes(self, host)
    }

    fn has_own_name(self, host: &str) -> bool {
        match ip(host) {
            Some(ip) => ip.is_loopback() || ip == self.address.ip().to_canonical(),
            None => {
                let name = host.strip_suffix('.').unwrap_or(host);
                ["localhost", IN_CONTAINERS].iter().any(|own| name.eq_ignore_ascii_case(own))
            }
        }
    }

    /// A door that listens everywhere is called by any address of this machine. An address leads where it leads; a name can
    /// be made to lead here.
    fn is_called(self, host: &str) -> bool {
        self.has_own_name(host) || (self.address.ip().is_unspecified() && ip(host).is_some())
    }

    fn refusal(self, header: &HeaderName) -> Response<Body> {
        let mut own = self.address;
        if own.ip().is_unspecified() {
            own.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        let message = match header.as_str() {
            "host" => format!(
                "the request's Host is none of this machine's: call http://{own}, or let the proxy between send \
                 Host: {own}"
            ),
            name => format!(
                "a web page of another origin sent this, its {} says; if it is yours, let it call a proxy of its own \
                 origin that takes Origin and Sec-Fetch-Site away and sends Host: {own}",
                if name == "origin" { "Origin" } else { "Sec-Fetch-Site" }
            ),
        };
        tracing::warn!("a request was refused: {message}");
        let (kind, body) = self.door.shaped(&message);
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = StatusCode::FORBIDDEN;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }
}

impl Door {
    /// The gateway's own answers have no `code`.
    fn shaped(self, message: &str) -> (&'static str, Value) {
        match self {
            Self::DynamoDb => (
                "application/x-amz-json-1.0",
                json!({ "__type": "com.amazon.coral.service#AccessDeniedException", "Message": message }),
            ),
            Self::Gateway => ("application/json", json!({ "message": message })),
            Self::Sandbox => ("text/plain", json!({ "errcode": -1, "errmsg": message })),
        }
    }
}

/// The values of a header. One that is no text is as good as none of ours.
fn texts<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).into_iter().map(|value| value.to_str().unwrap_or_default())
}

fn ip(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok().map(|ip: IpAddr| ip.to_canonical())
}

fn is_of_mini_program(headers: &HeaderMap) -> bool {
    let mut referrers = texts(headers, REFERER.as_str()).peekable();
    referrers.peek().is_some() && referrers.all(|referrer| referrer.starts_with(MINI_PROGRAMS))
}
