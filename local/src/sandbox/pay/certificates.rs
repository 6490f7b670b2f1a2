//! `/v3/certificates`: the platform certificates of a merchant who has such. Source: 下载平台证书.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::clock::Timestamp;

use super::notification::encrypted;
use super::reply::Reply;
use super::signature::Signatory;
use super::tamper::Tamper;
use super::{Pay, beijing_time};
use crate::pay_keys::PayKeys;
use crate::rsa_key::LazyKey;
use crate::sandbox::answer::Answer;
use crate::sandbox::state::Shared;

/// How long a certificate is good: five years.
const LIFE: Duration = Duration::from_secs(5 * 365 * 86_400);

/// What the encrypted ones have as associated data.
const ASSOCIATED_DATA: &str = "certificate";

/// One that signs, has signed or will sign.
#[derive(Debug)]
pub(super) struct Certificate {
    key: Arc<LazyKey>,
    pub(super) effective_at: Timestamp,
    pub(super) expires_at: Timestamp,
    /// Whether a merchant who asks gets it.
    pub(super) is_listed: bool,
}

impl Certificate {
    fn new(key: Arc<LazyKey>, now: Timestamp) -> Self {
        Self { key, effective_at: now, expires_at: now + LIFE, is_listed: true }
    }

    pub(super) fn serial_no(&self) -> String {
        self.key.serial_no()
    }
}

/// Why a step of a rotation makes no sense.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum NoStep {
    #[error("there is one that does not sign yet")]
    Announced,
    #[error("there is none that does not sign")]
    NoOther,
}

/// All of them, in the order in which they were made.
#[derive(Debug)]
pub(crate) struct Certificates {
    all: Vec<Certificate>,
    /// Which of them signs.
    signing: usize,
}

impl Certificates {
    pub(super) fn new(keys: &PayKeys, now: Timestamp) -> Self {
        Self { all: vec![Certificate::new(Arc::clone(&keys.platform), now)], signing: 0 }
    }

    /// Each with whether it signs.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Certificate, bool)> {
        self.all.iter().enumerate().map(|(at, certificate)| (certificate, at == self.signing))
    }

    /// How many there are beside the first.
    pub(crate) fn count_of_later(&self) -> usize {
        self.all.len().saturating_sub(1)
    }

    #[expect(clippy::expect_used, reason = "there is one from the start, and none is taken away")]
    pub(super) fn signatory(&self) -> Signatory {
        Signatory::certified(&self.all.get(self.signing).expect("one signs").key)
    }

    /// A listed one that is newer than the one that signs.
    fn announced(&self) -> Option<usize> {
        let newest = self.all.len().saturating_sub(1);
        self.all.get(newest).filter(|certificate| newest != self.signing && certificate.is_listed).map(|_| newest)
    }

    /// Lists another one.
    pub(crate) fn announce(&mut self, key: Arc<LazyKey>, now: Timestamp) -> Result<(), NoStep> {
        if self.announced().is_some() {
            return Err(NoStep::Announced);
        }
        self.all.push(Certificate::new(key, now));
        Ok(())
    }

    /// Signs with the one that was announced.
    pub(crate) fn sign(&mut self) -> Result<(), NoStep> {
        self.signing = self.announced().ok_or(NoStep::NoOther)?;
        Ok(())
    }

    /// Takes all that do not sign off the list.
    pub(crate) fn drop_others(&mut self) -> Result<(), NoStep> {
        let signing = self.signing;
        let others = self.all.iter_mut().enumerate().filter(|(at, other)| *at != signing && other.is_listed);
        let dropped = others.map(|(_, other)| other.is_listed = false).count();
        if dropped == 0 { Err(NoStep::NoOther) } else { Ok(()) }
    }
}

#[derive(Deserialize)]
pub(super) struct Wish {
    algorithm_type: Option<String>,
}

pub(super) async fn list(State(shared): State<Shared>, Query(wish): Query<Wish>) -> Answer {
    let pay = &shared.lock().pay;
    Answer::Pay(match wish.algorithm_type.as_deref() {
        Some(kind) if kind != "RSA" => {
            let detail = json!({ "field": "algorithm_type", "issue": "not RSA", "location": "query" });
            Reply::refusal(400, "PARAM_ERROR", "参数错误").with_detail(&detail)
        }
        _ if !pay.signing.has_certificates() => {
            let message = "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥。";
            Reply::refusal(404, "RESOURCE_NOT_EXISTS", message)
        }
        _ => Reply::ok(&pay.listed_certificates(None)),
    })
}

impl Pay {
    /// What a merchant gets: each certificate encrypted anew.
    pub(super) fn listed_certificates(&self, tamper: Option<Tamper>) -> Value {
        let entry = |certificate: &Certificate| {
            let pem = certificate.key.certificate(certificate.effective_at, certificate.expires_at);
            let mut resource = encrypted(&pem, ASSOCIATED_DATA, &self.keys.api_v3, tamper);
            if let Some(resource) = resource.as_object_mut() {
                resource.remove("original_type"); // Of notifications only.
            }
            json!({
                "serial_no": certificate.serial_no(),
                "effective_time": beijing_time(certificate.effective_at),
                "expire_time": beijing_time(certificate.expires_at),
                "encrypt_certificate": resource,
            })
        };
        let listed = self.certificates.iter().map(|(certificate, _)| certificate);
        json!({ "data": listed.filter(|certificate| certificate.is_listed).map(entry).collect::<Vec<_>>() })
    }
}
