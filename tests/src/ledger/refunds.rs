//! Whether refunds add up: with their orders, and with what WeChat Pay has.

use serde_json::Value;

use super::{Facts, Ledger, hold, is_swept};

/// Where a refund may go, by the states before it. Nothing else is a move.
const MOVES: [(&str, &[&str]); 5] = [
    ("RESERVED", &[]),
    ("PROCESSING", &["RESERVED"]),
    ("ABNORMAL", &["RESERVED", "PROCESSING"]),
    ("CLOSED", &["RESERVED", "PROCESSING", "ABNORMAL"]),
    ("SUCCESS", &["RESERVED", "PROCESSING", "ABNORMAL"]),
];

pub(super) fn audit(ledger: &Ledger, facts: &Facts<'_>) -> Result<(), String> {
    for order in ledger.orders() {
        let number = order["outTradeNo"].as_str().unwrap();
        let there = facts.wechat_pay.iter().find(|there| there["outTradeNo"] == number);
        let there = there.map_or(&[] as &[Value], |there| there["refunds"].as_array().unwrap());
        audit_sums(ledger, order, there)?;
        for refund in ledger.refunds(number) {
            audit_history(order, refund)?;
            let known = there.iter().find(|there| there["outRefundNo"] == refund["outRefundNo"]);
            hold(is_told(refund, known), || format!("the refund here and there: {refund} {known:?}"))?;
        }
        for there in there.iter().filter(|there| there["byStaff"] == false) {
            let is_known = ledger.refunds(number).any(|refund| refund["outRefundNo"] == there["outRefundNo"]);
            hold(is_known, || format!("asked for here, and not known: {there}"))?;
        }
    }
    Ok(())
}

/// What is held and what is refunded of an order are the sums of its refunds, and no more than was paid; but what staff
/// refunds on the merchant platform asks nobody here for what is left.
fn audit_sums(ledger: &Ledger, order: &Value, there: &[Value]) -> Result<(), String> {
    let sum = |holds: fn(&str) -> bool| -> u64 {
        let refunds = ledger.refunds(order["outTradeNo"].as_str().unwrap());
        let refunds = refunds.filter(|refund| holds(refund["refundStatus"].as_str().unwrap()));
        refunds.map(|refund| refund["refundFen"].as_u64().unwrap()).sum()
    };
    let amount = |name: &str| order[name].as_u64().or_else(|| order[name].is_null().then_some(0));
    let (held, refunded) = (sum(|status| status != "CLOSED"), sum(|status| status == "SUCCESS"));
    let is_sum = amount("heldFen") == Some(held) && amount("refundedFen") == Some(refunded);
    let is_by_staff = there.iter().any(|refund| refund["byStaff"] == true);
    let most = if is_by_staff { refunded } else { held };
    hold(is_sum && most <= order["totalFen"].as_u64().unwrap(), || format!("held {held}, refunded {refunded}: {order}"))
}

fn audit_history(order: &Value, refund: &Value) -> Result<(), String> {
    let states: Vec<_> = Ledger::refund_history(refund).into_iter().map(|(state, _)| state).collect();
    let is_move = |pair: &[&str]| MOVES.iter().any(|(to, from)| *to == pair[1] && from.contains(&pair[0]));
    let is_legal = states.windows(2).all(is_move) && refund["refundStatus"] == *states.last().unwrap();
    // One of the merchant platform begins with what was told of it; one of ours has been asked for.
    let is_ours = refund["requestId"].is_string();
    hold(is_legal && (states[0] == "RESERVED") == is_ours, || format!("history: {refund}"))?;
    let is_settled = ["CLOSED", "SUCCESS"].contains(states.last().unwrap());
    hold(is_settled != is_swept(refund), || format!("swept: {refund}"))?;
    let is_accepted = refund["refundStatus"] != "RESERVED";
    hold(!is_accepted || order["tradeState"] == "REFUND", || format!("a refund of what is not paid: {order} {refund}"))
}

/// Whether WeChat Pay can have told what is known here of a refund.
fn is_told(refund: &Value, there: Option<&Value>) -> bool {
    let here = refund["refundStatus"].as_str().unwrap();
    let Some(there) = there else { return here == "RESERVED" };
    let status = there["status"].as_str().unwrap();
    let may_be = match here {
        "RESERVED" | "PROCESSING" => true,
        "ABNORMAL" => status != "PROCESSING",
        ended => ended == status,
    };
    may_be && there["refund"] == refund["refundFen"]
}
