//! `pay-notify` verifies and signs nothing, so the merchant's private key need not be in its configuration.

use local::functions::{Functions, Instance};
use serde_json::Value;
use shared::env::Env;
use tests::notifications::Notice;
use tests::orders::{cart, number};
use tests::world::World;

/// What makes the merchant's signatures.
const SIGNING: [&str; 2] = ["serialNo", "privateKey"];

/// The environment of the functions, with these fields of `WECHATPAY` left out.
fn env_without(world: &World, fields: &[&str]) -> Env {
    let mut env = world.machine.env().clone();
    let mut merchant: Value = serde_json::from_str(env.get("WECHATPAY").unwrap()).unwrap();
    fields.iter().for_each(|field| drop(merchant.as_object_mut().unwrap().remove(*field)));
    env.set("WECHATPAY", merchant.to_string());
    env
}

async fn start(functions: &Functions, name: &str, env: Env) -> Result<Instance, String> {
    let instance = functions.find(name).unwrap().start_in(env).await;
    instance.map_err(|err| shared::cause::chain(&err))
}

#[tokio::test]
async fn a_notification_is_verified_without_the_merchants_private_key() {
    let world = World::start_embedded().await;
    let caller = world.caller().await;
    for (key, fields) in [("both", &SIGNING[..]), ("serial", &["serialNo"]), ("key", &["privateKey"]), ("whole", &[])] {
        let number = number(&caller.order(&world, key, &cart(&[("demo-mug", 1)])).await);
        world.pay_silently(&number).await;
        let event = Notice::of(&world, &number).await.event();
        let pay_notify = start(&world.machine.functions, "pay-notify", env_without(&world, fields)).await.unwrap();
        let reply = pay_notify.invoke(event.to_string().into_bytes(), world.now()).await.unwrap();
        let reply: Value = serde_json::from_slice(&reply).unwrap();
        assert_eq!(reply["statusCode"], 204, "{reply}");
        assert_eq!(world.order_row(&number).await.story(), "NOTPAY create, SUCCESS notify");
    }
}

#[tokio::test]
async fn who_signs_does_not_start_without_the_merchants_private_key() {
    let world = World::start_embedded().await;
    for name in ["create-order", "query-order", "refund-order", "order-sweeper"] {
        for (fields, missing) in
            [(&SIGNING[..], "privateKey"), (&["privateKey"], "privateKey"), (&["serialNo"], "serialNo")]
        {
            let problem = start(&world.machine.functions, name, env_without(&world, fields)).await.unwrap_err();
            assert_eq!(
                problem,
                format!(
                    "WECHATPAY is malformed: {missing} is missing, and this function signs: only pay-notify does without"
                )
            );
        }
    }
}

#[tokio::test]
async fn on_a_developers_machine_pay_notify_alone_has_no_private_key() {
    let world = World::start_embedded().await;
    let path = std::env::temp_dir().join(format!("wechat-functions-{}", shared::random::base64url::<12>()));
    world.machine.write_env_vars(path.clone()).unwrap();
    let env: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    std::fs::remove_file(path).unwrap();
    for (function, has_key) in
        [("PayNotifyFunction", false), ("QueryOrderFunction", true), ("OrderSweeperFunction", true)]
    {
        let merchant: Value = serde_json::from_str(env[function]["WECHATPAY"].as_str().unwrap()).unwrap();
        let has = |field: &str| merchant.get(field).is_some();
        assert_eq!((SIGNING.map(has), has("apiV3Key")), ([has_key; 2], true), "{function}");
    }
}
