//! Who calls: the session behind the `Authorization` header. The one place that answers 401.

use lambda_http::http::HeaderMap;
use lambda_http::http::header::AUTHORIZATION;

use crate::error::{ApiError, ErrorCode};
use crate::http::Call;
use crate::store::{Session, SessionToken, Sessions};

/// The session of the caller.
///
/// # Errors
///
/// `session_invalid` if there is none that lives, whatever the reason; [`ApiError`] if the table gives no answer.
pub async fn authenticate(sessions: &Sessions, call: &Call) -> Result<Session, ApiError> {
    let invalid = || ApiError::new(ErrorCode::SessionInvalid);
    let token = bearer(call.headers()).ok_or_else(invalid)?;
    sessions.find(&token.hash(), call.deadline()).await?.ok_or_else(invalid)
}

/// The token in `Authorization: Bearer <token>`. Two such headers are as good as none.
fn bearer(headers: &HeaderMap) -> Option<SessionToken> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| SessionToken::parse(token.trim()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_well_formed_bearer_token_is_taken() {
        let token = SessionToken::random();
        let token = token.expose();
        let found = |values: &[&str]| {
            let values = values.iter().map(|value| (AUTHORIZATION, value.parse().unwrap()));
            bearer(&HeaderMap::from_iter(values)).is_some()
        };
        assert!(found(&[&format!("Bearer {token}")]));
        assert!(found(&[&format!("bearer  {token}")]));
        assert!(!found(&[]));
        assert!(!found(&[token]));
        assert!(!found(&[&format!("Basic {token}")]));
        assert!(!found(&["Bearer"]));
        assert!(!found(&["Bearer short"]));
        assert!(!found(&["Bearer \u{e9}"]));
    }

    #[test]
    fn two_authorization_headers_are_as_good_as_none() {
        let value = format!("Bearer {}", SessionToken::random().expose());
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, value.parse().unwrap());
        headers.append(AUTHORIZATION, value.parse().unwrap());
        assert!(bearer(&headers).is_none());
    }
}
