// wechatpay-axios-plugin against the sandbox; and notifications that its helpers make, against pay-notify.
'use strict';

const assert = require('node:assert/strict');
const { createServer } = require('node:http');
const { randomBytes, randomUUID, X509Certificate } = require('node:crypto');
const { test } = require('node:test');
const { Aes, Formatter, Rsa, Wechatpay } = require('wechatpay-axios-plugin');

const { functions, sandbox, apps, wechatpay: merchant, keys } = JSON.parse(process.env.MACHINE);
const appid = apps.find((app) => app.kind === 'mini-program').appId;
const openid = 'oDemoUserOfTheLocalMachine_0';
const { mchId: mchid, apiV3Key, publicKeyId } = merchant;

const client = (certs) => new Wechatpay({
  baseURL: `${sandbox}/`,
  mchid,
  serial: merchant.serialNo,
  privateKey: merchant.privateKey,
  certs,
  // WeChat Pay signs with the key that it is asked for.
  headers: publicKeyId in certs ? { 'Wechatpay-Serial': publicKeyId } : {},
});
const withPublicKey = () => client({ [publicKeyId]: merchant.publicKey });

const json = async (method, url, body, headers = {}) => {
  const reply = await fetch(url, {
    method, headers: { 'Content-Type': 'application/json', ...headers }, body: body && JSON.stringify(body),
  });
  assert.equal(reply.status, 200, `${method} ${url}: ${reply.status}`);
  return reply.json();
};
const control = (method, path, body) => json(method, `${sandbox}/sandbox${path}`, body);
const number = () => randomUUID().replaceAll('-', '');
const order = (more = {}) => ({
  appid,
  mchid,
  description: '商品',
  out_trade_no: number(),
  notify_url: `${functions}/pay-notify`,
  amount: { total: 100, currency: 'CNY' },
  payer: { openid },
  ...more,
});

// A server that WeChat Pay tells what has happened: its URL, and a function that waits for what comes next.
const inbox = async (context) => {
  const [told, waiting] = [[], []];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const names = request.rawHeaders.filter((_, at) => at % 2 === 0);
    const notification = { names, headers: request.headers, body: Buffer.concat(chunks).toString() };
    response.writeHead(204).end();
    if (waiting.length > 0) waiting.shift()(notification); else told.push(notification);
  });
  await new Promise((listening) => { server.listen(0, '127.0.0.1', listening); });
  context.after(() => server.close());
  const next = () => (told.length > 0 ? told.shift() : new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('no notification came within 10 s')), 10_000);
    waiting.push((notification) => { clearTimeout(late); resolve(notification); });
  }));
  return { url: `http://127.0.0.1:${server.address().port}/notify`, next };
};

// As the SDK's documentation verifies a notification: by the key that it names, the public one or a certificate.
const open = ({ headers, body }, known) => {
  const [nonce, timestamp] = [headers['wechatpay-nonce'], headers['wechatpay-timestamp']];
  const key = known[headers['wechatpay-serial']];
  assert.ok(Rsa.verify(Formatter.response(timestamp, nonce, body), headers['wechatpay-signature'], key));
  const { resource } = JSON.parse(body);
  return JSON.parse(Aes.AesGcm.decrypt(resource.ciphertext, apiV3Key, resource.nonce, resource.associated_data));
};

// As its command line tool does: the list cannot be verified before it is known, so it is decrypted first.
const certificates = async () => {
  const known = {};
  const pay = client({ any: merchant.publicKey });
  await pay.client.v3.get('/v3/certificates', {
    transformResponse: [(data) => {
      for (const { serial_no: serial, encrypt_certificate: sealed } of JSON.parse(data).data) {
        known[serial] = Aes.AesGcm.decrypt(sealed.ciphertext, apiV3Key, sealed.nonce, sealed.associated_data);
      }
      return data;
    }],
  });
  return known;
};

test('an order is made, paid, told, queried and refunded', async (context) => {
  const [pay, { url, next }] = [withPublicKey(), await inbox(context)];
  const known = { ...await certificates(), [publicKeyId]: merchant.publicKey };
  const end = new Date(Date.now() + 1800 * 1000).toISOString(); // In UTC, with milliseconds.
  const body = order({ notify_url: url, time_expire: end });
  const { data: { prepay_id: id } } = await pay.v3.pay.transactions.jsapi.post(body);
  const turned = Object.fromEntries(Object.entries(body).reverse());
  assert.equal((await pay.v3.pay.transactions.jsapi.post(turned)).data.prepay_id, id);
  const path = pay.v3.pay.transactions.outTradeNo[body.out_trade_no];
  const unpaid = await path.get({ params: { mchid } });
  assert.deepEqual(unpaid.data.amount, { total: 100, payer_currency: 'CNY' });

  const payment = { timeStamp: `${Formatter.timestamp()}`, nonceStr: Formatter.nonce(), package: `prepay_id=${id}` };
  const signed = Formatter.joinedByLineFeed(appid, payment.timeStamp, payment.nonceStr, payment.package);
  const paySign = Rsa.sign(signed, merchant.privateKey);
  const paid = await control('POST', '/requestPayment', { payment: { ...payment, signType: 'RSA', paySign } });
  assert.equal(paid.errMsg, 'requestPayment:ok');
  const told = await next();
  assert.ok(told.names.includes('Wechatpay-Signature'), `${told.names}`);
  assert.equal(open(told, known).trade_state, 'SUCCESS');
  const { data: byNumber } = await path.get({ params: { mchid } });
  const { data: byId } = await pay.v3.pay.transactions.id[byNumber.transaction_id].get({ params: { mchid } });
  assert.deepEqual(byId, byNumber);

  const refund = {
    out_trade_no: body.out_trade_no,
    out_refund_no: number(),
    notify_url: url,
    amount: { refund: 30, total: 100, currency: 'CNY' },
  };
  assert.equal((await pay.v3.refund.domestic.refunds.post(refund)).data.status, 'PROCESSING');
  assert.equal(open(await next(), known).refund_status, 'SUCCESS');
  assert.equal((await pay.v3.refund.domestic.refunds[refund.out_refund_no].get()).data.status, 'SUCCESS');
});

test('an order is closed, and a number that has no order is told so', async () => {
  const [pay, body] = [withPublicKey(), order()];
  await pay.v3.pay.transactions.jsapi.post(body);
  const path = pay.v3.pay.transactions.outTradeNo;
  const closed = await path[body.out_trade_no].close.post({ mchid });
  assert.equal(closed.status, 204);
  assert.match(closed.headers['content-type'], /^application\/json/);
  assert.equal((await path[body.out_trade_no].get({ params: { mchid } })).data.trade_state, 'CLOSED');
  const unknown = path[number()].get({ params: { mchid } });
  await assert.rejects(unknown, ({ response }) => response.data.code === 'ORDER_NOT_EXIST');
  const missing = pay.v3.merchantService.complaintsV2.get();
  await assert.rejects(missing, ({ response }) => /GET \/v3\/merchant-service\/complaints-v2/.test(response.data.message));
});

test('certificates are fetched, decrypted and rotated', async (context) => {
  await control('PUT', '/keys', { mode: 'certificates' });
  context.after(() => control('PUT', '/keys', { mode: 'both' }));
  const [first] = Object.keys(await certificates());
  for (const step of ['announce', 'sign', 'drop']) {
    await control('POST', '/certificates/rotate', { step });
    const { data } = await client(await certificates()).v3.pay.transactions.jsapi.post(order());
    assert.match(data.prepay_id, /^wx/, step);
  }
  const last = await certificates();
  assert.deepEqual([Object.keys(last).length, first in last], [1, false]);
  const [[serial, pem]] = Object.entries(last);
  assert.equal(new X509Certificate(pem).serialNumber, serial);
});

test('pay-notify takes what the helpers have encrypted and signed, and nothing else', async () => {
  const { user } = await control('POST', '/users', {});
  const { code } = await control('POST', '/wx.login', { user });
  const { token } = await json('POST', `${functions}/login`, { code });
  const session = { Authorization: `Bearer ${token}` };
  const items = [{ sku: 'demo-sticker', quantity: 1 }];
  const made = await json('POST', `${functions}/create-order`, { items }, { ...session, 'Idempotency-Key': number() });
  const signed = [appid, made.payment.timeStamp, made.payment.nonceStr, made.payment.package];
  assert.equal(made.payment.paySign, Rsa.sign(Formatter.joinedByLineFeed(...signed), merchant.privateKey));
  const status = async () => (
    await json('POST', `${functions}/query-order`, { outTradeNo: made.outTradeNo }, session)).status;

  const transaction = {
    appid,
    mchid,
    out_trade_no: made.outTradeNo,
    transaction_id: `42000${Date.now()}0000000001`,
    trade_state: 'SUCCESS',
    success_time: new Date().toISOString(),
    payer: { openid },
    amount: { total: made.totalFen, payer_total: made.totalFen, currency: 'CNY' },
  };
  const nonce = randomBytes(6).toString('hex');
  const body = JSON.stringify({
    id: randomUUID(),
    create_time: new Date().toISOString(),
    resource_type: 'encrypt-resource',
    event_type: 'TRANSACTION.SUCCESS',
    resource: {
      original_type: 'transaction',
      algorithm: 'AEAD_AES_256_GCM',
      ciphertext: Aes.AesGcm.encrypt(JSON.stringify(transaction), apiV3Key, nonce, 'transaction'),
      associated_data: 'transaction',
      nonce,
    },
  });
  const tell = async (more = {}) => {
    const [timestamp, stamp] = [Formatter.timestamp(), Formatter.nonce()];
    const headers = {
      'Wechatpay-Nonce': stamp,
      'Wechatpay-Serial': publicKeyId,
      'Wechatpay-Signature': Rsa.sign(Formatter.response(timestamp, stamp, body), keys.wechatPayKey),
      'Wechatpay-Timestamp': `${timestamp}`,
      ...more,
    };
    return (await fetch(`${functions}/pay-notify`, { method: 'POST', headers, body })).status;
  };
  assert.equal(await tell({ 'Wechatpay-Nonce': 'another' }), 401);
  assert.equal(await status(), 'NOTPAY');
  assert.equal(await tell(), 204);
  assert.equal(await status(), 'SUCCESS');
});
