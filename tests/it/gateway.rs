//! HTTP at the edges: methods, types, sizes; and the Lambda Invoke API.

use local::sample;
use serde_json::{Value, json};
use tests::logs;
use tests::root;
use tests::world::{World, reply};

const JSON: (&str, &str) = ("content-type", "application/json");
const INVOKE: &str = "/2015-03-31/functions";

#[tokio::test]
async fn another_method_has_no_route_as_on_aws() {
    let world = World::start().await;
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let reply = world.send(method, "/login", &[JSON], r#"{"code":"demo-code"}"#).await;
        assert_eq!((reply.status, &reply.json), (404, &json!({ "message": "Not Found" })), "{method}");
        assert_eq!(reply.header("allow"), "", "{method}");
    }
    assert_eq!(world.send("HEAD", "/login", &[], "").await.status, 404);
}

/// A function URL has no routes, and hands on every method.
#[tokio::test]
async fn a_function_that_gets_another_method_takes_only_post() {
    let world = World::start_embedded().await;
    let instance = world.instance("login").await;
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let mut event = sample::read(&root(), "login", "function-url").unwrap();
        event["requestContext"]["http"]["method"] = method.into();
        let result = instance.invoke(event.to_string().into_bytes(), world.now()).await.unwrap();
        let reply = reply(&result);
        assert_eq!(
            (reply.status, reply.code(), reply.header("allow")),
            (405, "method_not_allowed", "POST"),
            "{method}"
        );
    }
}

#[tokio::test]
async fn only_json_is_taken() {
    let world = World::start().await;
    let body = r#"{"code":"demo-code"}"#;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
        let reply = world.send("POST", "/login", &[("content-type", content_type)], body).await;
        assert_eq!((reply.status, reply.code()), (415, "unsupported_media_type"), "{content_type}");
    }
    for content_type in ["application/json", "Application/JSON; charset=utf-8", "application/json;x"] {
        let reply = world.send("POST", "/login", &[("content-type", content_type)], body).await;
        assert_eq!(reply.status, 200, "{content_type}");
    }
}

#[tokio::test]
async fn a_body_may_have_64_kib_and_no_more() {
    let world = World::start().await;
    let body = |len: usize| format!(r#"{{"code":"demo-code"{}}}"#, " ".repeat(len - 20));
    let largest = body(64 * 1024);
    assert_eq!(largest.len(), 64 * 1024);
    assert_eq!(world.send("POST", "/login", &[JSON], largest).await.status, 200);
    for len in [64 * 1024 + 1, 5 * 1024 * 1024] {
        let reply = world.send("POST", "/login", &[JSON], body(len)).await;
        assert_eq!((reply.status, reply.code()), (413, "body_too_large"));
    }
    let reply = world.send("POST", "/login", &[JSON], body(10 * 1024 * 1024 + 1)).await;
    assert_eq!((reply.status, &reply.json), (413, &json!({ "message": "Request Entity Too Large" })));
}

#[tokio::test]
async fn bytes_that_are_not_text_are_no_json() {
    let world = World::start().await;
    let reply = world.send("POST", "/login", &[JSON], b"{\"code\":\"\xff\"}".as_slice()).await;
    assert_eq!((reply.status, reply.code()), (400, "invalid_request"));
}

#[tokio::test]
async fn a_route_that_does_not_exist_is_the_gateways_answer() {
    let world = World::start().await;
    for path in ["/nobody", "/", "/login/", "/login/x"] {
        let reply = world.send("POST", path, &[JSON], "{}").await;
        assert_eq!((reply.status, &reply.json), (404, &json!({ "message": "Not Found" })), "{path}");
    }
}

#[tokio::test]
async fn the_invoke_api_takes_the_gateways_event() {
    let world = World::start().await;
    let event = sample::read(&root(), "login", "valid").unwrap().to_string();
    for name in ["login", "login:$LATEST", "arn:aws:lambda:us-east-1:123456789012:function:login"] {
        let reply = world.send("POST", &format!("{INVOKE}/{name}/invocations"), &[], event.clone()).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("x-amz-function-error"), "");
        assert_eq!(reply.json["statusCode"], 200, "{:?}", reply.json);
        let body: Value = serde_json::from_str(reply.json["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["token"].as_str().unwrap().len(), 43);
        let lines = logs::of_request(reply.header("x-amzn-requestid"));
        assert!(lines.iter().any(|line| line["message"] == "request"), "the id is that of the log");
    }
}

#[tokio::test]
async fn the_invoke_api_reports_what_is_wrong_as_lambda_does() {
    let world = World::start().await;
    let invoke = async |name: &str, headers: &[(&str, &str)], body: &str| {
        world.send("POST", &format!("{INVOKE}/{name}/invocations"), headers, body).await
    };
    let unknown = invoke("nobody", &[], "{}").await;
    assert_eq!((unknown.status, unknown.header("x-amzn-errortype")), (404, "ResourceNotFoundException"));
    let not_json = invoke("login", &[], "{").await;
    assert_eq!((not_json.status, not_json.header("x-amzn-errortype")), (400, "InvalidRequestContentException"));
    let too_large = invoke("login", &[], &format!("\"{}\"", "x".repeat(6 * 1024 * 1024))).await;
    assert_eq!((too_large.status, too_large.header("x-amzn-errortype")), (413, "RequestTooLargeException"));
    let dry = invoke("login", &[("x-amz-invocation-type", "DryRun")], "{}").await;
    assert_eq!(dry.status, 204);
    let queued = invoke("login", &[("x-amz-invocation-type", "Event")], "{}").await;
    assert_eq!(queued.status, 202);

    let failed = invoke("login", &[], r#"{"not":"an event"}"#).await;
    assert_eq!((failed.status, failed.header("x-amz-function-error")), (200, "Unhandled"));
    assert!(failed.json["errorMessage"].as_str().unwrap().contains("API Gateway"), "{:?}", failed.json);
    assert!(failed.json["errorType"].is_string());
}

#[tokio::test]
async fn an_event_whose_body_is_no_base64_ends_one_invocation_and_no_more() {
    let world = World::start().await;
    let mut event = sample::read(&root(), "login", "valid-base64").unwrap();
    event["body"] = "*".into();
    let path = format!("{INVOKE}/login/invocations");
    let failed = world.send("POST", &path, &[], event.to_string()).await;
    assert_eq!((failed.status, failed.header("x-amz-function-error")), (200, "Unhandled"));
    assert_eq!(world.login("demo-code").await.status, 200);
}

/// A function URL has no routes: the function gets whatever path its client asks for.
#[tokio::test]
async fn a_function_url_answers_whatever_its_path_is() {
    let world = World::start_embedded().await;
    let instance = world.instance("login").await;
    for path in ["/", "/login", "/login/", "//", "/a/../b%20c", "/%E7%99%BB%E5%BD%95", "/$default", "/$default/login"] {
        for query in ["", "x=1", "x=%zz&&="] {
            let mut event = sample::read(&root(), "login", "function-url").unwrap();
            event["rawPath"] = path.into();
            event["rawQueryString"] = query.into();
            event["requestContext"]["http"]["path"] = path.into();
            let result = instance.invoke(event.to_string().into_bytes(), world.now()).await.unwrap();
            assert_eq!(reply(&result).status, 200, "{path} {query}");
        }
    }
}
