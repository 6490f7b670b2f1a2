//! How the sandbox's WeChat Pay delivers: whoever hangs up, and whatever is answered.

use serde_json::{Value, json};
use tests::logs;
use tests::sandbox_shop::Shop;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn what_was_held_is_delivered_when_the_caller_has_hung_up() {
    let shop = Shop::open([]).await;
    let stuck = TcpListener::bind("127.0.0.1:0").await.unwrap();
    shop.order("order-000001").await;
    shop.order_told_at("order-000002", &format!("http://{}/", stuck.local_addr().unwrap())).await;
    shop.set(json!({ "hold": true })).await;
    shop.pay("order-000001").await;
    shop.pay("order-000002").await;

    let address = shop.world.machine.wechat_url().strip_prefix("http://").unwrap();
    let mut caller = TcpStream::connect(address).await.unwrap();
    let head = format!("PUT /sandbox/notifications HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n");
    caller.write_all(format!("{head}content-length: 2\r\n\r\n{{}}").as_bytes()).await.unwrap();
    let (delivery, _) = stuck.accept().await.unwrap();
    drop(caller);
    // So that the sandbox sees it before the first delivery ends.
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    drop((delivery, stuck));
    assert_eq!(shop.numbers(&shop.inbox.wait_for(1).await), ["order-000001"]);
}

#[tokio::test]
async fn copies_of_what_was_held_are_answered_before_the_control_is() {
    let shop = Shop::open([]).await;
    shop.order("order-000001").await;
    shop.set(json!({ "hold": true })).await;
    shop.pay("order-000001").await;
    shop.set(json!({ "duplicates": 5 })).await;
    let all = shop.world.sandbox("GET", "/notifications", Value::Null).await;
    assert_eq!(all["notifications"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn a_merchant_that_takes_a_wrong_signature_is_told_so() {
    let shop = Shop::open([401, 204, 204]).await;
    shop.set(json!({ "signtestEvery": 1 })).await;
    for (number, deliveries) in [("order-whose-probe-fails", 2), ("order-whose-probe-succeeds", 4)] {
        shop.order(number).await;
        shop.pay(number).await;
        shop.deliveries(deliveries).await;
    }
    assert_eq!(logs::with("order-whose-probe-fails").iter().filter(|line| line["level"] == "ERROR").count(), 0);
    assert_eq!(logs::with("order-whose-probe-succeeds").iter().filter(|line| line["level"] == "ERROR").count(), 1);
}
