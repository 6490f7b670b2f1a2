#!/usr/bin/env bash
# Packages: PyPI wechatpayv3 2.0.4 with requests 2.34.2; npm wechatpay-node-v3 2.2.1 with superagent 8.0.6;
#           npm wechatpay-axios-plugin 0.9.6 with axios 1.21.1 for comparison.
# What:     wechatpayv3 and wechatpay-node-v3 sign the path as the caller wrote it, and the HTTP library below them sends
#           another: `|`, which WeChat Pay allows in an out_trade_no, leaves as `%7C`. wechatpayv3 also signs an empty content
#           for `data={}` and sends `{}`. The server finds a wrong signature (SIGN_ERROR). wechatpay-axios-plugin signs
#           what it sends.
# Surprise: all keys are right and other orders work. The error says "signature", not "character".
# Do:       make order and refund numbers of `0-9A-Za-z_-` only. Give these SDKs paths that are percent-encoded already, and
#           no empty object. A client of one's own signs the URL after the HTTP library has parsed it.
# Needs:    Python 3.11 with venv, Node 20 with npm.
set -euo pipefail

for tool in python3 node npm; do
    command -v "$tool" >/dev/null || { echo "$tool is needed" >&2; exit 2; }
done
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv python && python/bin/pip install --quiet --disable-pip-version-check \
    wechatpayv3==2.0.4 requests==2.34.2 urllib3==2.8.0 cryptography==50.0.2 ||
    { echo "pip could not install the packages" >&2; exit 2; }
npm install --silent --no-audit --no-fund --prefix . \
    wechatpay-node-v3@2.2.1 superagent@8.0.6 wechatpay-axios-plugin@0.9.6 axios@1.21.1 ||
    { echo "npm could not install the packages" >&2; exit 2; }

# Answers 200 if what came is what was signed, and 401 otherwise.
cat >server.py <<'PYTHON'
import base64, http.server, os, re
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

merchant, platform = (rsa.generate_private_key(65537, 2048) for _ in range(2))

class StandIn(http.server.BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        parts = dict(re.findall(r'(\w+)="([^"]*)"', self.headers["authorization"]))
        signed = "\n".join([self.command, self.path, parts["timestamp"], parts["nonce_str"], body, ""])
        try:
            merchant.public_key().verify(base64.b64decode(parts["signature"]), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
            status, code = 200, "OK"
        except InvalidSignature:
            status, code = 401, "SIGN_ERROR"
        answer = '{"code":"%s"}' % code
        signature = platform.sign(f"{parts['timestamp']}\nnonce\n{answer}\n".encode(), padding.PKCS1v15(), hashes.SHA256())
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json", "Content-Length": len(answer),
            "Wechatpay-Timestamp": parts["timestamp"], "Wechatpay-Nonce": "nonce", "Wechatpay-Serial": "PUB_KEY_ID_1",
            "Wechatpay-Signature": base64.b64encode(signature).decode(), "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
        }.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(answer.encode())
        print(f"  {code:10} {self.command} {self.path} {body}", flush=True)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass

private = merchant.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
public = platform.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
open("merchant.pem", "wb").write(private)
open("platform.pem", "wb").write(public)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
open("port.new", "w").write(str(server.server_port))
os.rename("port.new", "port")
server.serve_forever()
PYTHON

cat >wechatpayv3_calls.py <<'PYTHON'
from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3.type import RequestType

pay = WeChatPay(
    wechatpay_type=WeChatPayType.MINIPROG, mchid="1900000001", appid="wx0000000000000000", cert_serial_no="1A2B",
    private_key=open("merchant.pem").read(), apiv3_key="k" * 32, notify_url="https://shop.example/notify",
    public_key=open("platform.pem").read(), public_key_id="PUB_KEY_ID_1",
)
pay._core._gate_way = "http://127.0.0.1:" + open("port").read()
print("plain", pay.query(out_trade_no="ORDER-1")[0])
print("bar", pay.query(out_trade_no="ORDER|1")[0])
print("object", pay._core.request("/v3/example", RequestType.POST, data={})[0])
PYTHON

cat >node_calls.js <<'JAVASCRIPT'
const { readFileSync } = require('fs');
const Pay = require('wechatpay-node-v3');
const { PayRequest } = require('wechatpay-node-v3/dist/lib/pay-request');
const { Wechatpay } = require('wechatpay-axios-plugin');

const here = `http://127.0.0.1:${readFileSync('port')}`;
const [privateKey, publicKey] = ['merchant.pem', 'platform.pem'].map((file) => readFileSync(file));

(async () => {
  const pay = new Pay({ appid: 'wx0000000000000000', mchid: '1900000001', serial_no: '1A2B', publicKey, privateKey });
  const own = new PayRequest();
  pay.createHttp({ get: (url, headers) => own.get(url.replace('https://api.mch.weixin.qq.com', here), headers) });
  console.log('plain', (await pay.query({ out_trade_no: 'ORDER-1' })).status);
  console.log('bar', (await pay.query({ out_trade_no: 'ORDER|1' })).status);

  const plugin = new Wechatpay({ mchid: '1900000001', serial: '1A2B', privateKey, certs: { PUB_KEY_ID_1: publicKey }, baseURL: here });
  const query = (number) => plugin.v3.pay.transactions.outTradeNo.$out_trade_no$.get({ out_trade_no: number, params: { mchid: '1900000001' } });
  console.log('plugin-plain', (await query('ORDER-1')).status);
  console.log('plugin-bar', (await query('ORDER|1')).status);
})();
JAVASCRIPT

python/bin/python server.py >requests.log 2>&1 &
server=$!
for _ in $(seq 100); do [ -e port ] || sleep 0.1; done
python/bin/python wechatpayv3_calls.py >python.log
node node_calls.js >node.log
echo "signed as it was sent, or not:"
cat requests.log
diff - python.log <<<$'plain 200\nbar 401\nobject 401' && diff - node.log <<<$'plain 200\nbar 401\nplugin-plain 200\nplugin-bar 200' ||
    { echo "CHANGED: see above" >&2; exit 1; }
echo "as described"
