// A phone: the `wx` of a mini program. Requests go to the functions; the login and the payment go to the sandbox, which
// plays WeChat and the person.
import { control, exchange, load } from './machine.mjs';

const BASE = 'https://api.example.com'; // The address in the README.

export class Phone {
  outcome = 'ok'; // What the person does with the next payments: ok, cancel or fail.
  logins = 0;
  requests = []; // Names of the functions that were called.
  lost = []; // Functions whose next answers do not come back, a name for each answer.
  lostAfterPayment = []; // The same, of answers after the next payment.
  errors = []; // What went wrong here, and not at WeChat or in a function: the next tap throws it.
  #storage = new Map();

  /** A phone of a new person, with the mini program started. */
  static async start(machine) {
    const phone = new Phone();
    phone.machine = machine;
    ({ user: phone.user } = await control(machine, 'users', {}));
    await phone.restart();
    return phone;
  }

  /** Starts the mini program again: the storage stays. */
  async restart() {
    globalThis.wx = this.#wx();
    Object.assign(this, await load());
    this.page.setData = (data) => Object.assign(this.page.data, data);
  }

  /** One tap on the button: the order that the page shows, or the refusal. */
  async tap(items) {
    if (items) this.page.data.items = items;
    await this.page.onBuy();
    if (this.errors.length > 0) throw new AggregateError(this.errors.splice(0), 'the phone is broken');
    const { order, refusal } = this.page.data;
    return refusal ? { refusal } : { order };
  }

  get token() {
    return this.#storage.get('token');
  }

  /** What is kept of carts that have not ended, as the mini program has it in its storage; to be changed. */
  get attempts() {
    return this.#storage.get('attempts') ?? {};
  }

  #wx() {
    const storage = this.#storage;
    return {
      // As WeChat's: '' where there is nothing, and copies.
      getStorageSync: (key) => structuredClone(storage.get(key) ?? ''),
      setStorageSync: (key, value) => { storage.set(key, structuredClone(value)); },
      removeStorageSync: (key) => { storage.delete(key); },
      login: (options) => this.#answer(options, async () => {
        this.logins += 1;
        return control(this.machine, 'wx.login', { user: this.user });
      }),
      request: (options) => this.#answer(options, () => this.#request(options)),
      requestPayment: (options) => this.#answer(options, async () => {
        const { timeStamp, nonceStr, package: prepay, signType, paySign } = options;
        const payment = { timeStamp, nonceStr, package: prepay, signType, paySign };
        const told = await control(this.machine, 'requestPayment', { payment, user: this.user, outcome: this.outcome });
        this.lost.push(...this.lostAfterPayment.splice(0));
        return told;
      }),
    };
  }

  async #request({ url, method, data, header }) {
    if (!url.startsWith(`${BASE}/`)) throw new Error(`no request goes to ${url}`);
    const name = url.slice(BASE.length + 1);
    this.requests.push(name);
    const reply = await exchange(`${this.machine.functions}/${name}`, data, header, method);
    const lost = this.lost.indexOf(name);
    if (lost < 0) return { ...reply, errMsg: 'request:ok' };
    this.lost.splice(lost, 1);
    return { errMsg: 'request:fail timeout' };
  }

  /** Calls back as WeChat does: `success` or `fail`, then `complete`. */
  async #answer({ success, fail, complete }, work) {
    const result = await work().catch((err) => {
      this.errors.push(err);
      return { errMsg: `:fail ${err.message}` };
    });
    (result.errMsg.includes(':fail') ? fail : success)?.(result);
    complete?.(result);
  }
}
