// The acceptance walk through the web front against a running platform: `browser_test.go` starts it with the addresses in the
// environment. Prints a line per step; the exit code is 1 if one failed. Every wait is for a condition.
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { walkAccess, walkTenants } from './access.mjs';
import { takePictures } from './pictures.mjs';

const require = createRequire(new URL('../../ui/package.json', import.meta.url));
const { chromium } = require('playwright-core');
const { ISOBAR_URL: BASE, ISOBAR_MQTT: MQTT, ISOBAR_PASSWORD: PASSWORD, ISOBAR_SHOTS: SHOTS } = process.env;
const ADMIN = { user: 'admin', password: PASSWORD };
const STRANGER = { user: 'stranger', password: 'Quiet-Harbour-77' };
const PROBE = { id: 'browser-probe', name: 'Harbour probe', alarm: 'isobar_BrowserProbe' };
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', // nothing but loopback can be reached
];
const WAIT_MS = 20_000; // only as long as it takes; the machine may be busy with other tests

let failures = 0;
const fail = (what) => {
  failures++;
  console.log(`FAIL  ${what}`);
};
const began = performance.now();

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ARGS });

/** A page whose console, errors and requests are watched; `expected` are the statuses that the walk provokes on purpose. */
async function open(context, name, expected = []) {
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  page.on('pageerror', (error) => fail(`${name}: error in the page: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() !== 'error') return;
    const status = Number(/status of (\d+)/.exec(message.text())?.[1]);
    if (!expected.includes(status)) fail(`${name}: console: ${message.text().slice(0, 300)} ${message.location().url}`);
  });
  const away = (url) => {
    const { hostname, protocol } = new URL(url);
    if (hostname !== '127.0.0.1' && protocol !== 'data:' && protocol !== 'blob:')
      fail(`${name}: a request left loopback: ${url}`);
  };
  page.on('request', (request) => away(request.url()));
  page.on('websocket', (socket) => away(socket.url()));
  return page;
}

async function step(name, page, run) {
  const at = performance.now();
  try {
    await run();
    console.log(`ok    ${name} (${Math.round(performance.now() - at)} ms)`);
  } catch (error) {
    fail(`${name}: ${error.message.slice(0, 600)}`);
    await page.screenshot({ path: `${SHOTS}/failed-${failures}.png` }).catch(() => undefined);
  }
}

async function logIn(page, { user, password }) {
  await page.getByTestId('login-user').fill(user);
  await page.getByTestId('login-password').fill(password);
  await page.getByTestId('login-submit').click();
}

async function rest(method, path, body) {
  const response = await fetch(BASE + path, {
    method,
    headers: {
      authorization: `Basic ${Buffer.from(`main/${ADMIN.user}:${ADMIN.password}`).toString('base64')}`,
      'content-type': 'application/json',
      accept: 'application/json',
    },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 200)}`);
  return text ? JSON.parse(text) : undefined;
}

const [host, port] = MQTT.split(':');
const publish = (line) =>
  promisify(execFile)('mosquitto_pub', [
    ...['-h', host, '-p', port, '-i', PROBE.id, '-u', `main/${ADMIN.user}`, '-P', ADMIN.password],
    ...['-q', '1', '-t', 's/us', '-m', line],
  ]);

/** Goes to a device with the search in the header, as a person does. */
async function find(page, name) {
  await page.locator('#main').focus();
  await page.keyboard.press('/');
  await page.keyboard.type(name);
  await page.locator(`.results[data-words="${name}"] a[href^="#/device/"]`, { hasText: name }).first().waitFor();
  await page.keyboard.press('Enter');
  await page.locator('h1', { hasText: name }).waitFor();
}
const sameDocument = async (page) => {
  if (!(await page.evaluate(() => window.walkMark === 1))) throw new Error('the page was reloaded');
};

const main = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB' });
const page = await open(main, 'admin', [401, 403, 409, 422]); // the wrong password, what is refused to administrators too
let alarms;

await step('an address without a session leads to the login page', page, async () => {
  await page.goto(`${BASE}/apps/isobar/#/devices`);
  await page.getByTestId('login-user').waitFor();
});
await step('a wrong password is explained', page, async () => {
  await logIn(page, { ...ADMIN, password: 'not it' });
  await page.locator('[data-testid=login-refusal][data-kind=wrong]').waitFor();
});
await step('the right one leads to the address asked for, live', page, async () => {
  await logIn(page, ADMIN);
  await page.getByTestId('device-row').first().waitFor();
  await page.locator('[data-testid=live][data-state=live]').waitFor();
  if (!page.url().endsWith('#/devices')) throw new Error(page.url());
  await page.evaluate(() => (window.walkMark = 1));
});
await step('a device that sends for the first time appears in the list', page, async () => {
  await publish(`100,${PROBE.name},isobar_Probe`);
  await publish('200,c8y_Temperature,T,21.5,C');
  await page.locator('[data-testid=device-row]', { hasText: PROBE.name }).waitFor();
});
await step('a machine is found by search, its values move', page, async () => {
  await find(page, 'Press 1');
  await page.getByTestId('value-tile').first().waitFor();
  const shown = () => page.getByTestId('value-tile').allInnerTexts();
  const before = JSON.stringify(await shown());
  await page.waitForFunction(
    (old) => JSON.stringify([...document.querySelectorAll('[data-testid=value-tile]')].map((tile) => tile.innerText)) !== old,
    before,
  );
});
await step('its chart grows', page, async () => {
  await page.getByTestId('tab-values').click();
  await page.locator('[data-testid=chart][data-points]').waitFor();
  await page.locator('label', { hasText: '15 min' }).click();
  await page.waitForURL(/range=15m/);
  const points = () => page.evaluate(() => Number(document.querySelector('[data-testid=chart]')?.dataset.points ?? 0));
  const more = (than) =>
    page.waitForFunction((n) => Number(document.querySelector('[data-testid=chart]')?.dataset.points ?? 0) > n, than);
  await more(0); // the history
  await more(await points());
  await more(await points());
  await sameDocument(page);
});
await step('an alarm sent over MQTT appears on the page of its device', page, async () => {
  await find(page, PROBE.name);
  await page.getByTestId('value-tile').first().waitFor();
  alarms = await open(main, 'alarm list');
  await alarms.goto(`${BASE}/apps/isobar/#/alarms`);
  await alarms.locator('[data-testid=live][data-state=live]').waitFor();
  await alarms.locator('main h1').waitFor();
  await alarms.evaluate(() => (window.walkMark = 1));
  await publish(`301,${PROBE.alarm},The probe is under water`);
  await page.locator(`[data-testid=alarm-row][data-type=${PROBE.alarm}]`).waitFor();
  await page.locator('header a .badge[data-tone=critical]').waitFor();
  await sameDocument(page);
});
await step('and in the open list of alarms', alarms, async () => {
  const row = alarms.locator(`[data-testid=alarm-row][data-type=${PROBE.alarm}]`);
  await row.waitFor();
  await sameDocument(alarms);
  await row.getByTestId('alarm-acknowledge').click();
  await alarms.locator(`[data-testid=alarm-row][data-type=${PROBE.alarm}][data-status=ACKNOWLEDGED]`).waitFor();
});
await step('the acknowledgement reaches the other page', page, async () => {
  await page.locator(`[data-testid=alarm-row][data-type=${PROBE.alarm}][data-status=ACKNOWLEDGED]`).waitFor();
  await alarms.close();
});
await step('closing the valve is followed from pending to successful', page, async () => {
  await find(page, 'Shut-off valve Karl');
  await page.getByTestId('tab-control').click();
  await page.getByText('Now open').waitFor();
  await page.evaluate(() => {
    window.walkSeen = [];
    const look = () => {
      const status = document.querySelector('[data-testid=operation-row]')?.dataset.status;
      if (status && window.walkSeen.at(-1) !== status) window.walkSeen.push(status);
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
  });
  await page.getByTestId('relay-closed').click();
  await page.locator('[data-testid=operation-row]:first-child[data-status=SUCCESSFUL]').waitFor();
  await page.getByText('Now closed').waitFor();
  const seen = await page.evaluate(() => window.walkSeen.join(' '));
  if (!/^(PENDING )?EXECUTING SUCCESSFUL$/.test(seen)) throw new Error(`the operation went ${seen}`);
  await sameDocument(page);
});
await step('the answer of a text command is shown', page, async () => {
  await find(page, 'Home Karl');
  await page.getByTestId('tab-control').click();
  await page.getByTestId('command-text').fill('status');
  await page.getByTestId('command-send').click();
  await page.locator('[data-testid=operation-row]:first-child[data-status=SUCCESSFUL]').waitFor();
  await page
    .getByTestId('operation-result')
    .getByText(/valve closed, pipe/)
    .waitFor();
});

const other = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB' });
const stranger = await open(other, 'stranger', [403]);
await step('a user without permissions is told so', stranger, async () => {
  await rest('POST', '/user/main/users', { userName: STRANGER.user, password: STRANGER.password, email: 'stranger@example.org' });
  await stranger.goto(`${BASE}/apps/public/login/`);
  await logIn(stranger, STRANGER);
  await stranger.getByTestId('user-menu').waitFor();
  for (const [place, role] of [
    ['alarms', 'ROLE_ALARM_READ'],
    ['devices', 'ROLE_INVENTORY_READ'],
    ['users', 'ROLE_USER_MANAGEMENT_READ'],
    ['roles', 'ROLE_USER_MANAGEMENT_READ'],
    ['inventory-roles', 'ROLE_USER_MANAGEMENT_READ'],
    ['audit', 'ROLE_AUDIT_READ'],
  ]) {
    await stranger.goto(`${BASE}/apps/isobar/#/${place}`);
    await stranger.locator('main').getByText(role).first().waitFor();
  }
  await stranger.screenshot({ path: `${SHOTS}/forbidden.png` });
  if (await stranger.getByRole('link', { name: 'Users' }).count()) throw new Error('the navigation offers what is forbidden');
  await stranger.goto(`${BASE}/apps/isobar/#/explain`); // about oneself everybody may ask
  await stranger.locator('[data-testid=verdict][data-allowed=false]').waitFor();
  await stranger.goto(`${BASE}/apps/isobar/#/`);
  await stranger.locator('main').getByText('ROLE_EVENT_READ').waitFor();
  await stranger.screenshot({ path: `${SHOTS}/forbidden-home.png` });
});
await other.close();

const shared = { browser, open, base: BASE, step, logIn, admin: ADMIN, shots: SHOTS };
const about = await walkAccess({ ...shared, rest, page, find, sameDocument });
const management = await walkTenants(shared);

await step('every screen in two sizes and two schemes', page, async () => {
  const cookies = await main.cookies();
  const one = async (q) =>
    (await rest('GET', `/inventory/managedObjects?pageSize=1&q=${encodeURIComponent(`$filter=(${q})`)}`)).managedObjects[0].id;
  const ids = {
    machine: await one("name eq 'Press 1'"),
    home: await one("name eq 'Home Karl*'"),
    valve: await one("name eq 'Shut-off valve Karl*'"),
    probe: await one(`name eq '${PROBE.name}'`),
  };
  const { managedObjects } = await rest('GET', '/inventory/managedObjects?type=c8y_DeviceGroup&pageSize=10');
  ids.role = about.role;
  ids.group = managedObjects.find((group) => group.name === 'Homes')?.id;
  await takePictures({ browser, open, base: BASE, folder: SHOTS, cookies, ids, fail, require });
  await takePictures({ browser, open, base: BASE, folder: SHOTS, cookies: management.cookies, fail, require });
  await management.close();
});

await step('log out ends the session', page, async () => {
  await page.getByTestId('user-menu').click();
  await page.getByTestId('log-out').click();
  await page.getByTestId('login-user').waitFor();
  await page.goto(`${BASE}/apps/isobar/#/alarms`);
  await page.getByTestId('login-user').waitFor();
});
await browser.close();
console.log(`${failures ? `${failures} failures` : 'all done'} after ${((performance.now() - began) / 1000).toFixed(1)} s`);
process.exitCode = failures ? 1 : 0;
