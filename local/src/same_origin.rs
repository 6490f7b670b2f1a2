//! What stands at every door of the local machine, and lets no foreign web page in.
//!
//! A browser lets any page send requests to this machine, and says which page it was: in `Origin`, in `Sec-Fetch-Site`,
//! and, where a name was made to lead here (DNS rebinding), in `Host`. Programs send nothing of the kind.
//!
//! Sources: Fetch Standard, "`Origin` header"; Fetch Metadata Request Headers, "The `Sec-Fetch-Site` HTTP Request Header".

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

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

/// What the names of all Fetch Metadata headers begin with.
const SEC_FETCH: &str = "sec-fetch-";

/// What the referrer of a mini program begins with, before its appid and a slash; also in WeChat's developer tools, which
/// are a browser and send `Sec-Fetch-Site: cross-site` or `same-site` with it and no `Origin`. No web page can send
/// another site's referrer, but every mini program that is open in those tools can send its own.
///
/// Source: WeChat's mini program guide, "Network", about `referer`.
const MINI_PROGRAMS: &str = "https://servicewechat.com/";

const NOT_FOR_MINI_PROGRAMS: &str = "a mini program sent this, its Referer says: one whose appid is in WECHAT_APPS may \
                                     call functions by their routes, and nothing else here";

/// The name of this machine in its containers. On most machines it is a name like any other, so it can be made to lead a
/// browser here: it is good for what no browser sends.
const IN_CONTAINERS: &str = "host.docker.internal";

/// Which server it is: it refuses in the words of what it stands for.
#[derive(Debug)]
pub(crate) enum Door {
    DynamoDb,
    /// With the appids of the mini programs that it serves.
    Gateway(Vec<String>),
    Sandbox,
}

/// What tells of a foreign page.
#[derive(Clone, Copy, Debug)]
enum Sign {
    Host,
    Origin,
    Site,
    /// The same, of a mini program.
    MiniProgram,
    /// Any of a browser's headers, where the host's name is for programs in containers.
    Browser,
}

/// A door, and where it is.
#[derive(Debug)]
struct Own {
    door: Door,
    address: SocketAddr,
}

/// Puts the check before all of the routes.
pub(crate) fn protect(routes: Router, door: Door, address: SocketAddr) -> Router {
    routes.layer(middleware::from_fn_with_state(Arc::new(Own { door, address }), pass))
}

async fn pass(State(own): State<Arc<Own>>, request: Request, next: Next) -> Response<Body> {
    let (parts, body) = request.into_parts();
    match own.foreign(&parts) {
        Some(sign) => own.refusal(sign),
        None => next.run(Request::from_parts(parts, body)).await,
    }
}

impl Own {
    /// What tells of a foreign page.
    fn foreign(&self, request: &Parts) -> Option<Sign> {
        let headers = &request.headers;
        // No browser leaves the host out.
        let hosts: Vec<_> =
            texts(headers, HOST.as_str()).chain(request.uri.authority().map(Authority::as_str)).collect();
        let is_own_page = |origin: &str| {
            let host = origin.strip_prefix("http://").unwrap_or_default();
            self.is_named(host, Self::has_own_name) || texts(headers, HOST.as_str()).any(|own| own == host)
        };
        if !hosts.iter().all(|host| self.is_named(host, Self::is_called)) {
            return Some(Sign::Host);
        }
        if hosts.iter().any(|host| self.is_named(host, Self::is_in_containers)) && is_of_browser(headers) {
            return Some(Sign::Browser);
        }
        if !texts(headers, ORIGIN.as_str()).all(is_own_page) {
            return Some(Sign::Origin);
        }
        let is_own_site = texts(headers, SEC_FETCH_SITE).all(|site| matches!(site, "same-origin" | "none"));
        match is_own_site || self.is_of_own_mini_program(request) {
            true => None,
            false if is_of_mini_program(headers) => Some(Sign::MiniProgram),
            false => Some(Sign::Site),
        }
    }

    /// Whether a mini program of this backend calls a function by its route. To invoke any function, and to command the
    /// sandbox or the table, is for programs.
    fn is_of_own_mini_program(&self, request: &Parts) -> bool {
        let Door::Gateway(own) = &self.door else { return false };
        let is_function = request.uri.path().strip_prefix('/').is_some_and(|name| !name.contains('/'));
        let is_own = |referrer: &str| {
            let app_id = referrer.strip_prefix(MINI_PROGRAMS).and_then(|rest| rest.split_once('/'));
            app_id.is_some_and(|(app_id, _)| own.iter().any(|own| own == app_id))
        };
        let mut referrers = texts(&request.headers, REFERER.as_str()).peekable();
        is_function && referrers.peek().is_some() && referrers.all(is_own)
    }

    /// Whether an authority has the port of this door, and a host that is taken.
    fn is_named(&self, authority: &str, takes: fn(&Self, &str) -> bool) -> bool {
        let Ok(parsed) = Authority::try_from(authority) else { return false };
        let (host, port) = (parsed.host(), parsed.port_u16());
        // Without a colon it is HTTP's own port.
        let port = if authority == host { Some(80) } else { port };
        !authority.contains('@') && port == Some(self.address.port()) && takes(self, host)
    }

    fn has_own_name(&self, host: &str) -> bool {
        match ip(host) {
            Some(ip) => ip.is_loopback() || ip == self.address.ip().to_canonical(),
            None => is_name(host, "localhost"),
        }
    }

    fn is_in_containers(&self, host: &str) -> bool {
        is_name(host, IN_CONTAINERS)
    }

    /// A door that listens everywhere is called by any address of this machine. An address leads where it leads; a name can
    /// be made to lead here.
    fn is_called(&self, host: &str) -> bool {
        self.has_own_name(host)
            || self.is_in_containers(host)
            || (self.address.ip().is_unspecified() && ip(host).is_some())
    }

    fn refusal(&self, sign: Sign) -> Response<Body> {
        let mut own = self.address;
        if own.ip().is_unspecified() {
            own.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        let of_page = |header: &str| {
            format!(
                "a web page of another origin sent this, its {header} says; if it is yours, let it call a proxy of its \
                 own origin that takes Origin and Sec-Fetch-Site away and sends Host: {own}"
            )
        };
        let message = match sign {
            Sign::Host => format!(
                "the request's Host is none of this machine's: call http://{own}, or let the proxy between send \
                 Host: {own}"
            ),
            Sign::Origin => of_page("Origin"),
            Sign::Site => of_page("Sec-Fetch-Site"),
            Sign::MiniProgram => NOT_FOR_MINI_PROGRAMS.to_owned(),
            Sign::Browser => format!(
                "a browser sent this, and {IN_CONTAINERS} is a name for programs in containers: call http://{own}"
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
    fn shaped(&self, message: &str) -> (&'static str, Value) {
        match self {
            Self::DynamoDb => (
                "application/x-amz-json-1.0",
                json!({ "__type": "com.amazon.coral.service#AccessDeniedException", "Message": message }),
            ),
            Self::Gateway(_) => ("application/json", json!({ "message": message })),
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

fn is_name(host: &str, name: &str) -> bool {
    host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case(name)
}

fn is_of_mini_program(headers: &HeaderMap) -> bool {
    texts(headers, REFERER.as_str()).any(|referrer| referrer.starts_with(MINI_PROGRAMS))
}

fn is_of_browser(headers: &HeaderMap) -> bool {
    let is_browsers = |name: &HeaderName| [ORIGIN, REFERER].contains(name) || name.as_str().starts_with(SEC_FETCH);
    headers.keys().any(is_browsers)
}
