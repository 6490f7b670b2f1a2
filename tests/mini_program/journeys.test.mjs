// The READMEs' code for the mini program, as it is there, against the functions of a local machine.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { control, exchange, start } from './machine.mjs';
import { Phone } from './phone.mjs';

const MUG = [{ sku: 'demo-mug', quantity: 1 }];
const STICKERS = [{ sku: 'demo-sticker', quantity: 3 }];
const LOST = { errMsg: 'request:fail timeout' };

let machine;
before(async () => { machine = await start(); });
after(async () => { await machine?.stop(); });

/** How often the order was paid, as WeChat Pay has it. */
const timesPaid = async ({ outTradeNo }) => (await control(machine, `orders/${outTradeNo}`)).timesPaid;

/** The numbers of all orders, as WeChat Pay has them. */
const numbers = async () => (await control(machine, 'orders')).orders.map(({ outTradeNo }) => outTradeNo);

/** A request that has to succeed. */
const succeed = async (path, body, headers) => {
  const { statusCode, data } = await exchange(`${machine.functions}/${path}`, body, headers);
  assert.equal(statusCode, 200, `${path}: ${JSON.stringify(data)}`);
  return data;
};

/** Finds out how each open order stands. */
const sweep = async () => {
  const swept = await succeed('2015-03-31/functions/order-sweeper/invocations', { minAgeSecs: 0 });
  assert.equal(swept.failures, 0, JSON.stringify(swept));
};

/** Ends the phone's session, of which the phone does not hear. */
const logOut = (phone) => succeed('logout', {}, { authorization: `Bearer ${phone.token}` });

/** Does something while WeChat Pay tells of no payment. */
const withoutNotifications = async (work) => {
  await control(machine, 'notifications', { enabled: false }, 'PUT');
  try {
    return await work();
  } finally {
    await control(machine, 'notifications', { enabled: true }, 'PUT');
  }
};

/** A phone whose person has paid for the cart, and to which the answer that says so did not come. */
const paidUnheard = async (items) => {
  const phone = await Phone.start(machine);
  phone.lost.push('query-order');
  assert.deepEqual((await phone.tap(items)).refusal, LOST);
  const [{ outTradeNo }] = Object.values(phone.attempts);
  assert.equal(await timesPaid({ outTradeNo }), 1);
  return { phone, outTradeNo };
};

test('the first call logs in, and the next one uses the same session', async () => {
  const phone = await Phone.start(machine);
  const [first, second] = await Promise.all([phone.call('user-info'), phone.call('user-info')]);
  assert.deepEqual(first, second);
  assert.deepEqual(await phone.call('user-info'), first);
  assert.equal(phone.logins, 1);
});

test('a session that has ended is replaced by one login, and the call is sent again', async () => {
  const phone = await Phone.start(machine);
  const { user } = await phone.call('user-info');
  await logOut(phone);
  const calls = [phone.call('user-info'), phone.call('user-info')];
  assert.deepEqual((await Promise.all(calls)).map((reply) => reply.user.id), [user.id, user.id]);
  assert.equal(phone.logins, 2);
});

test('an order is paid', async () => {
  const phone = await Phone.start(machine);
  const { order } = await phone.tap(MUG);
  assert.equal(order.status, 'SUCCESS');
  assert.equal(await timesPaid(order), 1);
});

// What a tap asks after the payment: once more, and later, where the phone did not say that it was cancelled.
for (const [outcome, asked] of [['cancel', 1], ['fail', 2]]) {
  test(`the tap after a payment that ended with ${outcome} pays the same order`, async () => {
    const phone = await Phone.start(machine);
    phone.outcome = outcome;
    const { order: unpaid } = await phone.tap(MUG);
    assert.equal(unpaid.status, 'NOTPAY');
    phone.requests = [];
    assert.deepEqual((await phone.tap()).order, unpaid);
    assert.deepEqual(phone.requests, ['query-order', 'create-order', ...Array(asked).fill('query-order')]);
    phone.outcome = 'ok';
    const { order: paid } = await phone.tap();
    assert.deepEqual([paid.outTradeNo, paid.status], [unpaid.outTradeNo, 'SUCCESS']);
    assert.equal(await timesPaid(paid), 1);
  });
}

test('the tap after a cancelled payment and a restart pays the same order', async () => {
  const phone = await Phone.start(machine);
  phone.outcome = 'cancel';
  const { order: unpaid } = await phone.tap(MUG);
  await phone.restart();
  phone.outcome = 'ok';
  const { order: paid } = await phone.tap(MUG);
  assert.deepEqual([paid.outTradeNo, paid.status], [unpaid.outTradeNo, 'SUCCESS']);
});

test('the tap with the same items in another order after a cancelled payment pays the same order', async () => {
  const phone = await Phone.start(machine);
  phone.outcome = 'cancel';
  const { order: unpaid } = await phone.tap([...MUG, ...STICKERS]);
  phone.outcome = 'ok';
  const { order: paid } = await phone.tap([...STICKERS, ...MUG]);
  assert.deepEqual([paid.outTradeNo, paid.status], [unpaid.outTradeNo, 'SUCCESS']);
});

test('the tap after a paid order makes a new one', async () => {
  const phone = await Phone.start(machine);
  const [first, second] = [await phone.tap(MUG), await phone.tap(MUG)];
  assert.deepEqual([first.order.status, second.order.status], ['SUCCESS', 'SUCCESS']);
  assert.notEqual(first.order.outTradeNo, second.order.outTradeNo);
});

test('a double tap is one order and one payment', async () => {
  const phone = await Phone.start(machine);
  await Promise.all([phone.tap(MUG), phone.tap(MUG)]);
  assert.equal(phone.requests.filter((name) => name === 'create-order').length, 1);
  assert.equal(phone.page.data.order.status, 'SUCCESS');
});

test('a cart that was changed after a cancelled payment is another order', async () => {
  const phone = await Phone.start(machine);
  phone.outcome = 'cancel';
  const { order: mug } = await phone.tap(MUG);
  phone.outcome = 'ok';
  const { order: stickers } = await phone.tap(STICKERS);
  assert.notEqual(stickers.outTradeNo, mug.outTradeNo);
  assert.deepEqual([stickers.status, stickers.totalFen], ['SUCCESS', 300]);
});

test('a session that ends before the second tap is replaced, and the same order is paid', async () => {
  const phone = await Phone.start(machine);
  phone.outcome = 'cancel';
  const { order: unpaid } = await phone.tap(MUG);
  await logOut(phone);
  phone.outcome = 'ok';
  const { order: paid } = await phone.tap();
  assert.deepEqual([paid.outTradeNo, paid.status, phone.logins], [unpaid.outTradeNo, 'SUCCESS', 2]);
});

test('a payment right after a cancelled one is found though its notification is lost', async () => {
  const phone = await Phone.start(machine);
  phone.outcome = 'cancel';
  const { order: unpaid } = await phone.tap(MUG);
  phone.outcome = 'ok';
  const { order: paid } = await withoutNotifications(() => phone.tap());
  assert.deepEqual([paid.outTradeNo, paid.status], [unpaid.outTradeNo, 'SUCCESS']);
});

test('an order whose answer was lost is the order of the next tap', async () => {
  const phone = await Phone.start(machine);
  const known = await numbers();
  phone.lost.push('create-order');
  assert.deepEqual((await phone.tap(MUG)).refusal, LOST);
  const { order } = await phone.tap();
  assert.equal(order.status, 'SUCCESS');
  assert.deepEqual((await numbers()).filter((number) => !known.includes(number)), [order.outTradeNo]);
});

test('a payment that the phone did not hear of is shown, and not made again before one more tap', async () => {
  const { phone, outTradeNo } = await paidUnheard(MUG);
  const { order: shown } = await phone.tap();
  assert.deepEqual([shown.outTradeNo, shown.status], [outTradeNo, 'SUCCESS']);
  assert.equal(await timesPaid(shown), 1);
  const { order: next } = await phone.tap();
  assert.equal(next.status, 'SUCCESS');
  assert.notEqual(next.outTradeNo, outTradeNo);
});

test('a payment whose answer is lost again and again is shown as soon as one comes, and made once', async () => {
  const { phone, outTradeNo } = await paidUnheard(MUG);
  const known = await numbers();
  phone.lost.push('query-order', 'query-order');
  assert.deepEqual((await phone.tap()).refusal, LOST);
  assert.deepEqual((await phone.tap()).refusal, LOST);
  const { order: shown } = await phone.tap();
  assert.deepEqual([shown.outTradeNo, shown.status], [outTradeNo, 'SUCCESS']);
  assert.equal(await timesPaid(shown), 1);
  assert.deepEqual(await numbers(), known);
});

for (const [what, before, items] of [
  ['with a cart that was changed', MUG, [...MUG, ...STICKERS]],
  ['with the same items in another order', [...STICKERS, ...MUG], [...MUG, ...STICKERS]],
]) {
  test(`a payment that the phone did not hear of is shown by a tap ${what}, which buys nothing`, async () => {
    const { phone, outTradeNo } = await paidUnheard(before);
    const known = await numbers();
    const { order: shown } = await phone.tap(items);
    assert.deepEqual([shown.outTradeNo, shown.status], [outTradeNo, 'SUCCESS']);
    assert.deepEqual(await numbers(), known);
    assert.equal((await phone.tap(items)).order.status, 'SUCCESS');
  });
}

test('a payment that the phone did not hear of is shown though the server has forgotten its key', async () => {
  const { phone, outTradeNo } = await paidUnheard(MUG);
  const known = await numbers();
  Object.values(phone.attempts)[0].key = 'of-which-the-server-knows-nothing';
  const { order: shown } = await phone.tap();
  assert.deepEqual([shown.outTradeNo, shown.status], [outTradeNo, 'SUCCESS']);
  assert.deepEqual(await numbers(), known);
});

test('a payment right after a cancelled one is shown though its answer and its notification are lost', async () => {
  const phone = await Phone.start(machine);
  phone.outcome = 'cancel';
  const { order: unpaid } = await phone.tap(MUG);
  phone.outcome = 'ok';
  const { order: shown } = await withoutNotifications(async () => {
    phone.lostAfterPayment.push('query-order');
    assert.deepEqual((await phone.tap()).refusal, LOST);
    return phone.tap([...MUG, ...STICKERS]);
  });
  assert.deepEqual([shown.outTradeNo, shown.status], [unpaid.outTradeNo, 'SUCCESS']);
});

test('an order that was paid elsewhere after a cancelled payment is shown, and not paid again', async () => {
  const phone = await Phone.start(machine);
  phone.outcome = 'cancel';
  const { order: unpaid } = await phone.tap(MUG);
  phone.outcome = 'ok';
  await control(machine, 'pay', { outTradeNo: unpaid.outTradeNo, notify: false });
  const { order: shown } = await phone.tap();
  assert.deepEqual([shown.outTradeNo, shown.status], [unpaid.outTradeNo, 'SUCCESS']);
  assert.equal(await timesPaid(shown), 1);
});

test('who goes back to an earlier cart pays its order', async () => {
  const phone = await Phone.start(machine);
  phone.outcome = 'cancel';
  const carts = [1, 2, 3, 4, 5].map((quantity) => [{ sku: 'demo-sticker', quantity }]);
  const unpaid = [];
  for (const items of carts) unpaid.push((await phone.tap(items)).order.outTradeNo);
  assert.equal((await phone.tap(MUG)).refusal.code, 'rate_limited');
  phone.outcome = 'ok';
  const { order } = await phone.tap(carts[0]);
  assert.deepEqual([order.outTradeNo, order.status], [unpaid[0], 'SUCCESS']);
  assert.equal((await phone.tap(MUG)).order.status, 'SUCCESS');
  assert.deepEqual(Object.values(phone.attempts).map(({ outTradeNo }) => outTradeNo), unpaid.slice(1));
});

test('an order that was paid and whose number the phone does not know is order_paid for a day', async () => {
  const phone = await Phone.start(machine);
  const known = await numbers();
  phone.lost.push('create-order');
  await phone.tap(MUG);
  const [outTradeNo] = (await numbers()).filter((number) => !known.includes(number));
  await control(machine, 'pay', { outTradeNo });
  await sweep();
  assert.equal((await phone.tap()).refusal.code, 'order_paid');
  assert.equal((await phone.tap()).refusal.code, 'order_paid');
  assert.equal((await phone.tap(STICKERS)).order.status, 'SUCCESS');
  Object.values(phone.attempts)[0].at -= 25 * 3600 * 1000;
  assert.equal((await phone.tap(MUG)).order.status, 'SUCCESS');
});

test('an order of another user, as of an account that was deleted, is not in the way of a new one', async () => {
  const other = await Phone.start(machine);
  const { outTradeNo } = await other.call('create-order', { items: MUG }, { 'idempotency-key': 'of-the-other' });
  const phone = await Phone.start(machine);
  globalThis.wx.setStorageSync('attempts', { '[["demo-mug",1]]': { key: 'of-the-other', at: Date.now(), outTradeNo } });
  const { order } = await phone.tap(MUG);
  assert.equal(order.status, 'SUCCESS');
  assert.notEqual(order.outTradeNo, outTradeNo);
});

test('an order that was closed is followed by a new one in the same tap', async () => {
  const phone = await Phone.start(machine);
  phone.outcome = 'cancel';
  const { order: closed } = await phone.tap(MUG);
  await control(machine, 'close', { outTradeNo: closed.outTradeNo });
  await sweep();
  phone.outcome = 'ok';
  const { order } = await phone.tap();
  assert.equal(order.status, 'SUCCESS');
  assert.notEqual(order.outTradeNo, closed.outTradeNo);
});

test('a key that was used for another cart is replaced in the same tap', async () => {
  const phone = await Phone.start(machine);
  phone.outcome = 'cancel';
  await phone.tap(MUG);
  const [{ key }] = Object.values(phone.attempts);
  globalThis.wx.setStorageSync('attempts', { '[["demo-sticker",3]]': { key, at: Date.now() } });
  phone.outcome = 'ok';
  const { order } = await phone.tap(STICKERS);
  assert.deepEqual([order.status, order.totalFen], ['SUCCESS', 300]);
});

test('a refusal names the sku, and the next tap with a cart that is mended goes through', async () => {
  const phone = await Phone.start(machine);
  for (const [item, code, message] of [
    [{ sku: 'demo-mug', quantity: 9999 }, 'out_of_stock', 'there is not enough of `demo-mug` in stock'],
    [{ sku: 'demo-cup', quantity: 1 }, 'product_unknown', 'there is no product `demo-cup`'],
    [{ sku: 'demo-mug', quantity: 10_000 }, 'quantity_invalid', 'the quantity of `demo-mug` is not from 1 to 9999'],
  ]) {
    const { refusal } = await phone.tap([...STICKERS, item]);
    assert.deepEqual([refusal.code, refusal.message], [code, message]);
  }
  assert.equal((await phone.tap([...STICKERS, ...MUG])).order.status, 'SUCCESS');
});
