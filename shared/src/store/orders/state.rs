//! The states of an order, and what moves it from one to another. Pure.

/// How an order stands: WeChat Pay's trade state, as far as we know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderState {
    /// Closed unpaid. It has been seen that such an order was paid all the same.
    Closed,
    /// Not paid as far as we know, which is never a failure.
    NotPay,
    /// Paid, and a refund exists, be it of a part.
    Refund,
    /// Paid.
    Success,
}

/// What WeChat Pay says has become of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderEvent {
    /// It was closed unpaid.
    Closed,
    /// It was paid in full.
    Paid,
    /// It was paid in full, and a refund exists.
    Refunded,
}

/// A move from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Move {
    /// The state before.
    pub from: OrderState,
    /// The state after.
    pub to: OrderState,
}

impl OrderState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Closed, Self::NotPay, Self::Refund, Self::Success];

    /// WeChat Pay's name of the state.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::NotPay => "NOTPAY",
            Self::Refund => "REFUND",
            Self::Success => "SUCCESS",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Where an event leads from here. `None` where it leads nowhere: what is paid stays paid, and what has a refund
    /// keeps it, however late or often WeChat Pay tells what was before.
    pub fn after(self, event: OrderEvent) -> Option<Move> {
        let to = match (self, event) {
            (Self::NotPay, OrderEvent::Closed) => Self::Closed,
            (Self::NotPay | Self::Closed, OrderEvent::Paid) => Self::Success,
            (Self::NotPay | Self::Closed | Self::Success, OrderEvent::Refunded) => Self::Refund,
            (Self::Closed | Self::Success | Self::Refund, OrderEvent::Closed)
            | (Self::Success | Self::Refund, OrderEvent::Paid)
            | (Self::Refund, OrderEvent::Refunded) => return None,
        };
        Some(Move { from: self, to })
    }
}

impl Move {
    /// Whether the order is one of its user's open orders no more.
    pub fn ends_open_order(self) -> bool {
        self.from == OrderState::NotPay
    }

    /// Whether what was taken from the stock goes back.
    pub fn returns_stock(self) -> bool {
        self.to == OrderState::Closed
    }

    /// Whether money came for an order whose goods were given back. Stock is not taken again: a person has to refund.
    pub fn is_paid_after_closed(self) -> bool {
        self.from == OrderState::Closed
    }

    /// Whether this is when we learn of the payment.
    pub fn is_payment(self) -> bool {
        matches!(self.from, OrderState::NotPay | OrderState::Closed) && self.to != OrderState::Closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_six_moves_and_no_others() {
        let events = [OrderEvent::Closed, OrderEvent::Paid, OrderEvent::Refunded];
        let moves = OrderState::ALL.into_iter().flat_map(|state| events.map(|event| state.after(event)));
        let mut moves: Vec<_> =
            moves.flatten().map(|mv| format!("{} -> {}", mv.from.as_str(), mv.to.as_str())).collect();
        moves.sort();
        let expected = [
            "CLOSED -> REFUND",
            "CLOSED -> SUCCESS",
            "NOTPAY -> CLOSED",
            "NOTPAY -> REFUND",
            "NOTPAY -> SUCCESS",
            "SUCCESS -> REFUND",
        ];
        assert_eq!(moves, expected);
    }
}
