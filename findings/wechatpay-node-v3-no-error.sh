#!/usr/bin/env bash
# Package:  npm wechatpay-node-v3 2.2.1 with superagent 8.0.6.
# What:     an order or refund that fails does not reject. A refusal resolves to { status, errRaw, error }, where `error` is the
#           answer's text, not an object. A request that got no answer at all (here: a refused connection) resolves to the same
#           three keys with `status` and `error` undefined; only errRaw.code says what happened.
# Surprise: `try`/`catch` around it catches nothing, and `if (result.error)` takes an unanswered refund for a good one.
# Do:       after every call compare `status` with 200 (204 for a closed order), and take all else for a failure; with no
#           status the outcome is unknown: ask for the order or the refund. Do not log errRaw of a refusal: it holds the whole
#           request, `authorization` too.
# Needs:    Node 20 with npm.
set -euo pipefail

for tool in node npm; do
    command -v "$tool" >/dev/null || { echo "$tool is needed" >&2; exit 2; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . wechatpay-node-v3@2.2.1 superagent@8.0.6 ||
    { echo "npm could not install the packages" >&2; exit 2; }

cat >finding.js <<'JAVASCRIPT'
const assert = require('assert');
const { generateKeyPairSync } = require('crypto');
const http = require('http');
const Pay = require('wechatpay-node-v3');
const { PayRequest } = require('wechatpay-node-v3/dist/lib/pay-request');

const pem = { privateKeyEncoding: { type: 'pkcs8', format: 'pem' }, publicKeyEncoding: { type: 'spki', format: 'pem' } };
const keys = generateKeyPairSync('rsa', { modulusLength: 2048, ...pem });

const server = http.createServer((request, response) => {
  response.writeHead(403, { 'Content-Type': 'application/json' });
  response.end('{"code":"NOT_ENOUGH","message":"balance"}');
});

async function refund(port) {
  const pay = new Pay({
    appid: 'wx0000000000000000', mchid: '1900000001', serial_no: '1A2B',
    publicKey: Buffer.from(keys.publicKey), privateKey: Buffer.from(keys.privateKey),
  });
  const own = new PayRequest();
  const here = `http://127.0.0.1:${port}`;
  pay.createHttp({ post: (url, body, headers) => own.post(url.replace('https://api.mch.weixin.qq.com', here), body, headers) });
  const amount = { total: 100, refund: 100, currency: 'CNY' };
  return pay.refunds({ out_trade_no: 'ORDER-1', out_refund_no: 'REFUND-1', amount });
}

server.listen(0, '127.0.0.1', async () => {
  const { port } = server.address();
  const refused = await refund(port);
  await new Promise((closed) => server.close(closed));
  const unanswered = await refund(port);
  console.log('refused:   ', { status: refused.status, error: refused.error });
  console.log('unanswered:', { status: unanswered.status, error: unanswered.error, code: unanswered.errRaw.code });
  assert.deepStrictEqual([refused.status, typeof refused.error], [403, 'string']);
  assert.deepStrictEqual([unanswered.status, unanswered.error, unanswered.errRaw.code], [undefined, undefined, 'ECONNREFUSED']);
  assert.ok(refused.errRaw.response.req.headers.authorization.startsWith('WECHATPAY2-SHA256-RSA2048 '));
});
JAVASCRIPT
node finding.js || { echo "CHANGED: see above" >&2; exit 1; }
echo "as described"
