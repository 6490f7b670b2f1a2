//! What the merchant is sent: of version 3, or in the way of the version before.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use shared::random;

use super::notification::{Notification, event_id};
use crate::pay_keys::MCH_ID;

/// Bytes of what is encrypted in a notice of version 2.
const REQ_INFO_LEN: usize = 512;

/// One notification.
#[derive(Clone, Debug)]
pub(crate) enum Letter {
    /// XML, encrypted with a key that nobody here has, and signed by nobody. Source: 退款结果通知 (V2).
    Version2 { id: String, xml: String },
    /// JSON, which is encrypted and signed anew for each try.
    Version3(Notification),
}

impl Letter {
    /// That a refund of this app's has ended.
    pub(super) fn version2(app_id: &str) -> Self {
        let (nonce, req_info) = (random::alphanumeric(16), STANDARD.encode(random::bytes::<REQ_INFO_LEN>()));
        let text = |name: &str, text: &str| format!("<{name}><![CDATA[{text}]]></{name}>");
        let (app_id, mch_id) = (text("appid", app_id), text("mch_id", MCH_ID));
        let (nonce, req_info) = (text("nonce_str", &nonce), text("req_info", &req_info));
        let xml = format!("<xml><return_code>SUCCESS</return_code>{app_id}{mch_id}{nonce}{req_info}</xml>");
        Self::Version2 { id: event_id(), xml }
    }

    pub(super) fn id(&self) -> &str {
        match self {
            Self::Version2 { id, .. } => id,
            Self::Version3(notification) => &notification.id,
        }
    }

    /// One of version 2 says it only to who can decrypt it.
    pub(super) fn event_type(&self) -> Option<&str> {
        match self {
            Self::Version2 { .. } => None,
            Self::Version3(notification) => Some(&notification.event_type),
        }
    }

    pub(super) fn is_signed(&self) -> bool {
        matches!(self, Self::Version3(_))
    }
}
