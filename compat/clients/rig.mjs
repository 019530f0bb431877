// What the scripts share: where the platform is, and waiting for conditions instead of sleeping.
import assert from 'node:assert/strict';

export const env = name => process.env[name] ?? assert.fail(`${name} is not set`);
export const url = env('ISOBAR_URL');
export const mqttUrl = env('ISOBAR_MQTT');
export const tenant = 'main';
export const admin = { tenant, user: 'admin', password: env('ISOBAR_ADMIN_PASSWORD') };
export const bootstrap = { tenant: 'management', user: 'devicebootstrap', password: env('ISOBAR_BOOTSTRAP_PASSWORD') };

let serials = 0;
export const unique = prefix => `${prefix}-${process.pid}-${++serials}`;

/** Rejects when a promise takes too long, naming what was waited for. */
export function within(promise, what, ms = 10_000) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Repeats a check until it returns something true. */
export async function eventually(check, what, ms = 10_000) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > end) assert.fail(`waited ${ms} ms for ${what}`);
    await new Promise(next => setTimeout(next, 20));
  }
}

/** The error with which a call of @c8y/client fails: {status, error, message, info}. */
export async function failure(call) {
  try {
    await call;
  } catch (thrown) {
    if (!thrown.res) throw thrown;
    return { status: thrown.res.status, ...thrown.data };
  }
  assert.fail('the call succeeded');
}

/** A queue of what arrives, so that nothing is lost between two waits. */
export class Inbox {
  #items = [];
  #wake = () => {};
  push = item => { this.#items.push(item); this.#wake(); };
  get size() { return this.#items.length; }
  async next(match, what = String(match), ms = 10_000) {
    const find = () => {
      const i = this.#items.findIndex(match);
      return i < 0 ? undefined : this.#items.splice(i, 1)[0];
    };
    const arrived = new Promise(done => {
      const look = () => {
        const x = find();
        if (x === undefined) return;
        this.#wake = () => {}; // or it would take the next one as well
        done(x);
      };
      this.#wake = look;
      look();
    });
    return within(arrived, `${what}; there is ${JSON.stringify(this.#items)}`, ms);
  }
}
