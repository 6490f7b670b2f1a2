#!/usr/bin/env bash
# Package:  crate lambda_http 1.3.2.
# What:     a response with two headers of one name (here `Link`) loses the second on its way to an HTTP API or a function URL
#           (payload format 2.0): only the first is in `headers`, and `multiValueHeaders` is empty. Only `Set-Cookie` is kept
#           whole, in `cookies`. For a REST API (payload format 1.0) both arrive, in `multiValueHeaders`.
# Surprise: http::HeaderMap keeps both, a test of the handler sees both, and RFC 9110 lets such values be joined with a comma.
#           No log line tells that one was dropped.
# Do:       a handler joins the values of a repeated header with ", " itself. A test of headers looks at the JSON that leaves
#           the runtime, not at the http::Response.
# Needs:    Rust with a C linker, Python 3.11.
set -euo pipefail

for tool in cargo python3; do
    command -v "$tool" >/dev/null || { echo "$tool is needed" >&2; exit 2; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "function"
version = "0.0.0"
edition = "2021"

[dependencies]
lambda_http = { version = "=1.3.2", default-features = false, features = ["apigw_http", "apigw_rest"] }
tokio = { version = "1", default-features = false, features = ["macros", "rt"] }

[workspace]
TOML
cat >src/main.rs <<'RUST'
use lambda_http::{run, service_fn, Error, Request, Response};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(|_: Request| async {
        let response = Response::builder()
            .header("link", "</a>; rel=preload")
            .header("link", "</b>; rel=preload")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2");
        Ok::<_, Error>(response.body("ok".to_owned())?)
    }))
    .await
}
RUST
cargo build --quiet 2>build.log || { cat build.log >&2; echo "cargo could not build the function" >&2; exit 2; }

# Lambda's runtime API for two invocations.
cat >runtime.py <<'PYTHON'
import http.server
import json
import os
import subprocess
import sys

ONE = {
    "version": "1.0", "resource": "/", "path": "/", "httpMethod": "GET", "headers": {}, "multiValueHeaders": {},
    "queryStringParameters": None, "multiValueQueryStringParameters": None, "pathParameters": None, "stageVariables": None,
    "requestContext": {"resourcePath": "/", "httpMethod": "GET", "stage": "dev", "identity": {}}, "body": None, "isBase64Encoded": False,
}
TWO = {
    "version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "", "headers": {},
    "requestContext": {"http": {"method": "GET", "path": "/"}, "stage": "$default", "timeEpoch": 0}, "isBase64Encoded": False,
}
events, answers = [ONE, TWO], []


class RuntimeApi(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        event = json.dumps(events[len(answers)]).encode()
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "request")
        self.send_header("Lambda-Runtime-Deadline-Ms", "9999999999999")
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:function")
        self.send_header("Content-Length", str(len(event)))
        self.end_headers()
        self.wfile.write(event)

    def do_POST(self):
        answers.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.close_connection = True

    def log_message(self, *_):
        pass


with http.server.HTTPServer(("127.0.0.1", 0), RuntimeApi) as server:
    lambda_variables = {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}", "AWS_LAMBDA_FUNCTION_NAME": "function",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128", "AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_LOG_GROUP_NAME": "group",
        "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
    }
    function = subprocess.Popen([sys.argv[1]], env={**os.environ, **lambda_variables})
    try:
        while len(answers) < len(events) and function.poll() is None:
            server.handle_request()
    finally:
        function.kill()
for version, answer in zip(("1.0", "2.0"), answers):
    print(f"payload {version}:", {key: answer.get(key) for key in ("headers", "multiValueHeaders", "cookies")})
both = ["</a>; rel=preload", "</b>; rel=preload"]
one, two = answers
holds = (
    one["multiValueHeaders"].get("link") == both
    and two["headers"] == {"link": both[0]}
    and not two.get("multiValueHeaders")
    and two["cookies"] == ["a=1", "b=2"]
)
sys.exit(not holds)
PYTHON
python3 runtime.py "${CARGO_TARGET_DIR:-target}/debug/function" || { echo "CHANGED: see above" >&2; exit 1; }
echo "as described"
