//! The states of a refund. Pure.

use crate::wechatpay::RefundStatus;

/// How a refund stands: WeChat Pay's status, as far as we know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefundState {
    /// WeChat Pay could not refund, and a person has to.
    Abnormal,
    /// Ended, and nothing was refunded.
    Closed,
    /// Accepted, and under way.
    Processing,
    /// Its amount is held, and it is open whether WeChat Pay has accepted it.
    Reserved,
    /// Refunded.
    Success,
}

impl RefundState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Abnormal, Self::Closed, Self::Processing, Self::Reserved, Self::Success];

    /// WeChat Pay's name of the state, or our own of what it does not know.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Abnormal => "ABNORMAL",
            Self::Closed => "CLOSED",
            Self::Processing => "PROCESSING",
            Self::Reserved => "RESERVED",
            Self::Success => "SUCCESS",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// The state that WeChat Pay says. `None` for one to come.
    pub const fn told(status: RefundStatus) -> Option<Self> {
        match status {
            RefundStatus::Abnormal => Some(Self::Abnormal),
            RefundStatus::Closed => Some(Self::Closed),
            RefundStatus::Processing => Some(Self::Processing),
            RefundStatus::Success => Some(Self::Success),
            RefundStatus::Unknown => None,
        }
    }

    /// Whether WeChat Pay never says anything else afterwards.
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Closed | Self::Success)
    }

    /// Whether its amount is not left for another refund.
    pub const fn holds(self) -> bool {
        !matches!(self, Self::Closed)
    }

    /// Where what WeChat Pay says leads from here: nowhere, if it is older than what we know.
    ///
    /// # Errors
    ///
    /// If it cannot be so: the refund had ended otherwise.
    pub fn after(self, told: Self) -> Result<Option<Self>, Contradiction> {
        match (self, told) {
            (Self::Closed, Self::Success) | (Self::Success, Self::Closed) => Err(Contradiction),
            (Self::Reserved, _)
            | (Self::Processing, Self::Abnormal | Self::Closed | Self::Success)
            | (Self::Abnormal, Self::Closed | Self::Success) => Ok((self != told).then_some(told)),
            // A refund that a person helps on is under way again; it is asked about as before.
            (Self::Processing | Self::Abnormal, Self::Processing | Self::Abnormal | Self::Reserved)
            | (Self::Closed | Self::Success, _) => Ok(None),
        }
    }
}

/// What WeChat Pay says of a refund that had ended otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contradiction;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_nine_moves_and_two_contradictions() {
        let pairs = RefundState::ALL.into_iter().flat_map(|from| RefundState::ALL.map(|told| (from, told)));
        let (mut moves, mut contradictions) = (Vec::new(), Vec::new());
        for (from, told) in pairs {
            let text = format!("{} -> {}", from.as_str(), told.as_str());
            match from.after(told) {
                Ok(Some(to)) => {
                    assert_eq!(to, told);
                    moves.push(text);
                }
                Ok(None) => {}
                Err(Contradiction) => contradictions.push(text),
            }
        }
        let expected = [
            "ABNORMAL -> CLOSED",
            "ABNORMAL -> SUCCESS",
            "PROCESSING -> ABNORMAL",
            "PROCESSING -> CLOSED",
            "PROCESSING -> SUCCESS",
            "RESERVED -> ABNORMAL",
            "RESERVED -> CLOSED",
            "RESERVED -> PROCESSING",
            "RESERVED -> SUCCESS",
        ];
        assert_eq!(moves, expected);
        assert_eq!(contradictions, ["CLOSED -> SUCCESS", "SUCCESS -> CLOSED"]);
    }
}
