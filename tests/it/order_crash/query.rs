//! `query-order` dies.

use tests::ledger::Ledger;
use tests::shop::QUERY;

use super::{Death, QUANTITY, STOCK, Scene, TAKEN_FOR_DEAD};

/// Between every two steps of `query-order` for an order that has news.
const QUERY_DEATHS: [Death; 6] = [
    Death::Before("UpdateItem", 0),
    Death::After("UpdateItem", 0),
    Death::BeforeWechatPayHasHeard(QUERY),
    Death::BeforeWechatPayHasAnswered(QUERY),
    Death::Before("TransactWriteItems", 0),
    Death::After("TransactWriteItems", 0),
];

/// What has become of an order at WeChat Pay: by which control, what it is called then, and what is left in stock.
const NEWS: [(&str, &str, u64); 2] = [("/pay", "SUCCESS", STOCK - QUANTITY), ("/close", "CLOSED", STOCK)];

#[tokio::test]
async fn whoever_dies_while_an_order_is_healed_the_next_question_heals_it() {
    for (death, (control, state, stock)) in QUERY_DEATHS.iter().flat_map(|death| NEWS.map(|news| (*death, news))) {
        let when = format!("{death:?} {state}");
        let scene = Scene::start().await;
        let number = scene.ordered().await;
        scene.at_wechat_pay(control, &number).await;
        scene.kill("query-order", scene.buyer.query_event(&number), death).await;
        let is_moved = matches!(death, Death::After("TransactWriteItems", _));
        let is_asked = !matches!(death, Death::Before("UpdateItem", _));
        if is_asked {
            // Too early to ask again: the answer is the table's.
            let status = if is_moved { state } else { "NOTPAY" };
            assert_eq!(scene.query(&number).await.json["status"], status, "{when}");
        }
        scene.world.advance(TAKEN_FOR_DEAD);
        let calls = scene.world.count_of(QUERY).await;
        assert_eq!(scene.query(&number).await.json["status"], state, "{when}");
        assert_eq!(scene.world.count_of(QUERY).await - calls, usize::from(!is_moved), "{when}");
        scene.assert_adds_up(stock, 0, &when).await;
        let ledger = scene.ledger().await;
        let history = Ledger::history(ledger.order(&number).unwrap());
        assert_eq!(history, [("NOTPAY", "create"), (state, "query")], "{when}");
    }
}
