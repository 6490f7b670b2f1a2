//! Which of WeChat Pay's keys signs what.

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value, json};

use super::signature::Signatory;
use super::{Pay, beijing_time};
use crate::pay_keys::KeyMode;

/// What a hundred percent are: as fine as a switch in steps needs it.
const ALL: u64 = 100_000;

/// The keys that the merchant has, and how far a switch from one to the other has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct KeySettings {
    mode: KeyMode,
    /// How many notifications of a hundred the public key signs, where the merchant has both.
    #[serde(default = "zero")]
    public_key_percent: Number,
}

fn zero() -> Number {
    Number::from(0)
}

impl KeySettings {
    /// Whether the percentage is one.
    pub(crate) fn is_possible(&self) -> bool {
        self.public_key_percent.as_f64().is_some_and(|percent| (0.0..=100.0).contains(&percent))
    }

    /// The share of the public key, in parts of `ALL`.
    #[expect(clippy::as_conversions, reason = "a small positive number")]
    fn share(&self) -> u64 {
        (self.public_key_percent.as_f64().unwrap_or_default() * 1000.0).round() as u64
    }
}

/// One of the two kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Signer {
    /// The certificate that signs now.
    Certificate,
    PublicKey,
}

/// Who signs, and what has been signed.
#[derive(Debug)]
pub(crate) struct Signing {
    settings: KeySettings,
    /// Notifications since they were set.
    notifications: u64,
}

impl Signing {
    pub(super) fn new(mode: KeyMode) -> Self {
        Self { settings: KeySettings { mode, public_key_percent: zero() }, notifications: 0 }
    }

    /// Begins to count anew.
    pub(crate) fn set(&mut self, settings: KeySettings) {
        *self = Self { settings, notifications: 0 };
    }

    pub(super) fn has_certificates(&self) -> bool {
        self.settings.mode != KeyMode::PublicKey
    }

    /// Who signs the next notification. Of those of a share the first is one, and the others are spread evenly.
    fn next(&self) -> Signer {
        let by_public_key = |count: u64| count.saturating_mul(self.settings.share()).div_ceil(ALL);
        match self.settings.mode {
            KeyMode::PublicKey => Signer::PublicKey,
            KeyMode::Certificates => Signer::Certificate,
            KeyMode::Both if by_public_key(self.notifications + 1) > by_public_key(self.notifications) => {
                Signer::PublicKey
            }
            KeyMode::Both => Signer::Certificate,
        }
    }
}

impl Pay {
    pub(crate) fn signatory(&self, signer: Signer) -> Signatory {
        match signer {
            Signer::Certificate => self.certificates.signatory(),
            Signer::PublicKey => Signatory::public_key(&self.keys),
        }
    }

    /// The caller says which key it has; without that it gets what a certificate verifies, where the merchant has any.
    pub(super) fn signatory_of_answer(&self, asked_for: Option<&str>) -> Signatory {
        let is_public_key = asked_for.is_some_and(|serial| serial == self.keys.wechat_pay.public_key_id());
        match self.signing.settings.mode {
            KeyMode::PublicKey => self.signatory(Signer::PublicKey),
            KeyMode::Both if is_public_key => self.signatory(Signer::PublicKey),
            _ => self.signatory(Signer::Certificate),
        }
    }

    /// Who would sign a notification now.
    pub(crate) fn signatory_of_notifications(&self) -> Signatory {
        self.signatory(self.signing.next())
    }

    /// The same, of one that is sent.
    pub(super) fn sign_notification(&mut self) -> Signatory {
        let signatory = self.signatory_of_notifications();
        self.signing.notifications += 1;
        signatory
    }

    /// What a person sees of the keys.
    pub(crate) fn keys_view(&self) -> Value {
        let certificates: Vec<_> = self
            .certificates
            .iter()
            .map(|(certificate, signs)| {
                json!({
                    "serialNo": certificate.serial_no(),
                    "signs": signs,
                    "listed": certificate.is_listed,
                    "effectiveTime": beijing_time(certificate.effective_at),
                    "expireTime": beijing_time(certificate.expires_at),
                })
            })
            .collect();
        let settings = &self.signing.settings;
        json!({
            "mode": settings.mode,
            "publicKeyPercent": settings.public_key_percent,
            "publicKeyId": self.keys.wechat_pay.public_key_id(),
            "certificates": certificates,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_notifications_is_spread_evenly_and_its_first_is_the_first() {
        for (percent, of_a_thousand) in [(0.0, 0), (0.1, 1), (1.0, 10), (50.0, 500), (100.0, 1000)] {
            let public_key_percent = Number::from_f64(percent).unwrap();
            let mut signing = Signing::new(KeyMode::Both);
            signing.set(KeySettings { mode: KeyMode::Both, public_key_percent });
            let mut signers = Vec::new();
            for _ in 0..1000 {
                signers.push(signing.next());
                signing.notifications += 1;
            }
            let count = signers.iter().filter(|signer| **signer == Signer::PublicKey).count();
            assert_eq!((count, signers[0] == Signer::PublicKey), (of_a_thousand, percent > 0.0), "{percent}");
        }
    }
}
