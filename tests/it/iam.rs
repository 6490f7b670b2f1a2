//! What the functions may ask of AWS: the roles of `template.yaml` count here as there. That they are enough is what all
//! other tests show: none passes in which a function was denied something.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Json, Router};
use local::demo_order::DEMO_PAID_ORDER;
use local::functions::Functions;
use local::iam::{logical_id, variables};
use serde_json::{Value, json};
use shared::env::Env;
use tests::iam::POLICIES;
use tests::notifications::Notice;
use tests::world::World;
use tests::{logs, root};

/// The variables of secrets, without `_SECRET_ARN`, and the secrets in the template.
const SECRETS: [(&str, &str); 3] =
    [("SEAL_KEY", "SealKeySecret"), ("WECHATPAY", PAY_SECRET), ("WECHAT_APPS", "WechatAppsSecret")];
const PAY_SECRET: &str = "WechatPaySecret";
/// The merchant without what signs, which `pay-notify` reads where the template is told so.
const VERIFY_SECRET: &str = "WechatPayVerifySecret";

/// The secret that a variable of a function names, where `pay-notify` reads that one of the merchant.
fn secret_of(name: &str, function: &str, of_pay_notify: &'static str) -> Option<&'static str> {
    let (_, secret) = SECRETS.iter().find(|(variable, _)| format!("{variable}_SECRET_ARN") == name)?;
    Some(if (function, *secret) == ("pay-notify", PAY_SECRET) { of_pay_notify } else { secret })
}

fn template() -> String {
    std::fs::read_to_string(root().join("template.yaml")).unwrap()
}

/// What was denied since the last time: by whom, what, and on which partitions.
fn denied(world: &World) -> BTreeSet<(String, String, String)> {
    let partitions = |kinds: BTreeSet<String>| kinds.into_iter().collect::<Vec<_>>().join(" ");
    world.take_denied().into_iter().map(|it| (it.role, it.action, partitions(it.partitions))).collect()
}

fn one(role: &str, action: &str, partitions: &str) -> BTreeSet<(String, String, String)> {
    BTreeSet::from([(role.to_owned(), action.to_owned(), partitions.to_owned())])
}

#[tokio::test]
async fn a_function_that_may_do_nothing_is_misconfigured() {
    let world = World::start_with_roles("Resources: {}").await;
    let token = "A".repeat(43);
    for (function, partition) in [
        ("card-ext", "SESSION#*"),
        ("create-order", "SESSION#*"),
        ("logout", "SESSION#*"),
        ("phone-decrypt", "SESSION#*"),
        ("query-order", "SESSION#*"),
        ("user-info", "SESSION#*"),
    ] {
        let reply = world.call(function, Some(&token), json!({})).await;
        assert_eq!((reply.status, reply.code()), (500, "misconfigured"), "{function}");
        assert_eq!(denied(&world), one(&logical_id(function, "Role"), "dynamodb:GetItem", partition));
        let lines = logs::of_request(reply.json["requestId"].as_str().unwrap());
        let line = lines.iter().find(|line| line["message"] == "request").unwrap();
        assert_eq!((&line["level"], &line["code"]), (&json!("ERROR"), &json!("misconfigured")), "{line}");
        assert_eq!(line["cause"], "DynamoDB refused: AccessDeniedException");
    }
    let person = world.person(Value::Null).await;
    let reply = world.login(&world.code(&person).await).await;
    assert_eq!((reply.status, reply.code()), (500, "misconfigured"));
    assert_eq!(denied(&world), one("LoginRole", "dynamodb:BatchGetItem", "OPENID#*"));
    // So that WeChat Pay tells it again.
    let reply = Notice::of(&world, DEMO_PAID_ORDER).await.send(&world).await;
    assert_eq!((reply.status, reply.code()), (500, "FAIL"));
    assert_eq!(denied(&world), one("PayNotifyRole", "dynamodb:GetItem", "ORDER#*"));
}

#[tokio::test]
async fn a_direct_function_that_may_do_nothing_is_misconfigured() {
    let world = World::start_with_roles("Resources: {}").await;
    let input = json!({ "outTradeNo": DEMO_PAID_ORDER, "refundFen": 1, "requestId": "1" });
    let reply = world.invoke("refund-order", &input).await;
    assert_eq!(reply.json["errorType"], "misconfigured", "{}", reply.json);
    assert_eq!(denied(&world), one("RefundOrderRole", "dynamodb:GetItem", "ORDER#*"));

    let reply = world.invoke("order-sweeper", &json!({})).await;
    assert_eq!(reply.json["errorType"], "misconfigured", "{}", reply.json);
    let mut expected = one("OrderSweeperRole", "dynamodb:GetItem", "PAYKEY#*");
    expected.extend(one("OrderSweeperRole", "dynamodb:Query", ""));
    assert_eq!(denied(&world), expected);

    let reply = world.invoke("token-refresher", &json!({})).await;
    let failures = reply.json["failures"].as_array().unwrap();
    assert!(!failures.is_empty() && failures.iter().all(|it| it["code"] == "misconfigured"), "{}", reply.json);
    assert_eq!(denied(&world), one("TokenRefresherRole", "dynamodb:GetItem", "TOKEN#*"));
}

#[tokio::test]
async fn a_transaction_is_refused_as_a_whole_and_no_key_is_said() {
    let template = "
Resources:
  LoginRole:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyName: own
          PolicyDocument:
            Version: '2012-10-17'
            Statement:
              - { Effect: Allow, Action: [dynamodb:BatchGetItem, dynamodb:GetItem], Resource: [!GetAtt Table.Arn, !Ref TableArn] }
              - Effect: Allow
                Action: dynamodb:PutItem
                Resource: [!GetAtt Table.Arn, !Ref TableArn]
                Condition:
                  'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['OPENID#*', 'SESSION#*', 'USER#*'] }
              - Effect: Allow # IAM joins no statements.
                Action: dynamodb:PutItem
                Resource: [!GetAtt Table.Arn, !Ref TableArn]
                Condition: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['CODE#*'] } }
";
    let world = World::start_with_roles(template).await;
    let before = world.rows().await.len();
    let person = world.person(Value::Null).await;
    let code = world.code(&person).await;
    let reply = world.login(&code).await;
    assert_eq!((reply.status, reply.code()), (500, "misconfigured"));
    assert_eq!(denied(&world), one("LoginRole", "dynamodb:PutItem", "CODE#* OPENID#* SESSION#* USER#*"));
    assert_eq!(world.rows().await.len(), before);
    // What a developer reads names the role, and the kinds of rows.
    let lines = logs::with("CODE#*, OPENID#*, SESSION#*, USER#*");
    let line = lines.iter().find(|line| line["role"] == "LoginRole").unwrap();
    assert_eq!((&line["action"], &line["resource"]), (&json!("dynamodb:PutItem"), &json!("${Table.Arn}, ${TableArn}")));
    assert!(lines.iter().all(|line| !line.to_string().contains("OPENID#wx")), "{lines:?}");
}

#[tokio::test]
async fn who_may_not_invoke_the_refresher_is_misconfigured() {
    let without = template().replace("Action: [lambda:InvokeFunction]", "Action: [lambda:GetFunction]");
    let world = World::start_with_roles(&without).await;
    let caller = world.caller().await;
    let code = caller.phone_button(&world, json!({})).await["code"].take();
    let reply = caller.call(&world, "phone-decrypt", json!({ "code": code })).await;
    assert_eq!((reply.status, reply.code()), (500, "misconfigured"));
    assert_eq!(denied(&world), one("PhoneDecryptRole", "lambda:InvokeFunction", ""));
}

#[tokio::test]
async fn only_who_uses_tokens_may_invoke_the_refresher_and_nobody_another() {
    let own: BTreeSet<_> = Functions::names().map(|function| logical_id(function, "Role")).collect();
    let grants = POLICIES.grants();
    let invokes = grants.iter().filter(|grant| grant.action.starts_with("lambda:") && own.contains(&grant.role));
    let invokes: Vec<_> = invokes.map(ToString::to_string).collect();
    let on = "lambda:InvokeFunction on ${TokenRefresherFunction.Arn}";
    assert_eq!(invokes, [format!("CardExtRole: {on}"), format!("PhoneDecryptRole: {on}")]);
}

/// Who has asked for which secret.
type Asked = Arc<Mutex<BTreeSet<(String, String)>>>;

/// A Secrets Manager with the secrets of a world, by their names in the template.
async fn secrets_manager(world: &World) -> (String, Asked) {
    let mut texts: BTreeMap<_, _> =
        SECRETS.iter().map(|(name, secret)| (*secret, world.machine.env().get(name).unwrap().to_owned())).collect();
    let mut merchant: Value = serde_json::from_str(&texts[PAY_SECRET]).unwrap();
    merchant.as_object_mut().unwrap().retain(|field, _| !["serialNo", "privateKey"].contains(&field.as_str()));
    texts.insert(VERIFY_SECRET, merchant.to_string());
    let asked = Asked::default();
    let answer = async |State((texts, asked)): State<(BTreeMap<&'static str, String>, Asked)>,
                        headers: HeaderMap,
                        body: Bytes| {
        let secret = serde_json::from_slice::<Value>(&body).unwrap()["SecretId"].as_str().unwrap().to_owned();
        let credential = headers["authorization"].to_str().unwrap().split_once("Credential=").unwrap().1;
        let role = credential.split('/').next().unwrap().to_owned();
        let text = texts[secret.as_str()].clone();
        asked.lock().unwrap().insert((role, secret));
        Json(json!({ "SecretString": text }))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state((texts, Arc::clone(&asked)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

#[tokio::test]
async fn each_function_starts_with_the_variables_of_the_template_and_may_read_the_secrets_that_it_asks_for() {
    let world = World::start_embedded().await;
    let (url, asked) = secrets_manager(&world).await;
    let (template, mut named) = (template(), BTreeSet::new());
    let functions = world.machine.functions.iter();
    for (function, of_pay_notify) in functions.flat_map(|it| [(it, PAY_SECRET), (it, VERIFY_SECRET)]) {
        let role = logical_id(function.name, "Role");
        let mut env = Env::from_iter([
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", &role),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &url),
        ]);
        for name in variables(&template, function.name).unwrap() {
            let secret = secret_of(&name, function.name, of_pay_notify);
            let value = secret.or_else(|| world.machine.env().get(&name));
            named.extend(secret.map(|secret| (role.clone(), secret.to_owned())));
            env.set(name, value.unwrap_or_default());
        }
        if let Err(err) = function.start_in(env).await {
            panic!("{} does not start: {err}", function.name);
        }
    }
    let asked = asked.lock().unwrap().clone();
    assert_eq!(named, asked, "variables of the template");
    let grants = POLICIES.grants();
    let of_secrets = grants.iter().filter(|grant| grant.action.starts_with("secretsmanager:"));
    let granted: BTreeSet<_> = of_secrets
        .map(|grant| {
            assert_eq!(grant.action, "secretsmanager:GetSecretValue");
            let secret = grant.resource.trim_start_matches("${").trim_end_matches('}');
            (grant.role.clone(), secret.trim_end_matches("Arn").to_owned())
        })
        .collect();
    assert_eq!(granted, asked, "roles of the template");
}
