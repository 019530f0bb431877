// A walk through the main paths against the mock: `node mock/walk.mjs`. Exits with 1 at the first thing that does not happen.
import { chromium } from 'playwright-core';
import { line } from './realtime.mjs';
import { mode, start } from './server.mjs';
import { world } from './world.mjs';

const PORT = 8124;
const BASE = `http://127.0.0.1:${PORT}`;
const mock = await start(PORT);
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
const page = await context.newPage();
page.setDefaultTimeout(8000);
page.on('pageerror', (error) => console.log('page error:', error.message));
page.on(
  'console',
  (message) =>
    message.type() === 'error' && !/status of/.test(message.text()) && console.log('console:', message.text().slice(0, 200)),
);
const requests = [];
page.on('request', (request) => requests.push(request));

async function step(name, run) {
  const began = Date.now();
  try {
    await run();
    console.log(`ok    ${name} (${Date.now() - began} ms)`);
  } catch (error) {
    console.log(`FAIL  ${name}: ${error.message.slice(0, 400)}`);
    await page.screenshot({ path: '/tmp/walk.png' });
    process.exitCode = 1;
  }
}
const see = (selector) => page.locator(selector).first().waitFor();
const logIn = async (user, password) => {
  await page.getByTestId('login-user').fill(user);
  await page.getByTestId('login-password').fill(password);
  await page.getByTestId('login-submit').click();
};
const points = async () => Number(await page.getByTestId('chart').getAttribute('data-points'));
const id = [...world.objects.values()].find((one) => one.name === 'Pump 2').id;

await step('an address without a session leads to the login page', async () => {
  await page.goto(`${BASE}/apps/isobar/#/alarms`);
  await see('[data-testid=login-user]');
});
await step('a wrong password is explained', async () => {
  await logIn('admin', 'nope');
  await see('[data-testid=login-refusal][data-kind=wrong]');
});
await step('a locked account is explained', async () => {
  await logIn('locked', 'x');
  await see('[data-testid=login-refusal][data-kind=locked]');
});
await step('too many attempts count down', async () => {
  await logIn('flood', 'x');
  await see('[data-testid=login-refusal][data-kind=tooMany]');
  await page.reload();
});
await step('login returns to the address asked for', async () => {
  await logIn('admin', 'admin');
  await see('[data-testid=alarm-row]');
  if (!page.url().endsWith('#/alarms')) throw new Error(page.url());
});
await step('the live indicator is live', () => see('[data-testid=live][data-state=live]'));
await step('an alarm is acknowledged', async () => {
  const row = page.locator('[data-testid=alarm-row][data-type=harbour_Overpressure]');
  await row.getByTestId('alarm-acknowledge').click();
  await see('[data-testid=alarm-row][data-type=harbour_Overpressure][data-status=ACKNOWLEDGED]');
});
await step('slash focuses the search, enter opens the device', async () => {
  await page.locator('#main').focus();
  await page.keyboard.press('/');
  await page.keyboard.type('pump 2');
  await see(`.results a[href="#/device/${id}"]`);
  await page.keyboard.press('Enter');
  await page.waitForURL(`**/#/device/${id}`);
});
await step('last values are shown', () => see('[data-testid=value-tile]'));
await step('a relay command ends successful, live', async () => {
  await page.getByTestId('tab-control').click();
  await page.getByTestId('relay-open').click();
  await see('[data-testid=operation-row][data-status=PENDING]');
  await see('[data-testid=operation-row][data-status=EXECUTING]');
  await see('[data-testid=operation-row]:first-child[data-status=SUCCESSFUL]');
  await see('text=Now open');
});
await step('the chart grows without a request', async () => {
  await page.getByTestId('tab-values').click();
  await page.locator('[data-testid=chart]').waitFor();
  await page.waitForTimeout(500);
  const before = await points();
  const asked = requests.length;
  await page.waitForTimeout(2600);
  const after = await points();
  if (!(after > before)) throw new Error(`${before} -> ${after}`);
  if (requests.length > asked)
    throw new Error(
      `requests: ${requests
        .slice(asked)
        .map((one) => one.url())
        .join(' ')}`,
    );
});
await step('the range is kept in the address', async () => {
  await page.locator('label', { hasText: '6 h' }).click();
  await page.waitForURL(/range=6h/);
  await page.reload();
  await page.locator('[data-testid=chart]').waitFor();
  if ((await points()) < 300) throw new Error(String(await points()));
});
await step('a lost line is shown and comes back', async () => {
  line.socket = false;
  mode.fail = { path: '/notification', status: 500 };
  mock.realtime.drop();
  await see('[data-testid=live][data-state=reconnecting]');
  mode.fail = undefined;
  await page.locator('[data-testid=live][data-state=live]').waitFor({ timeout: 15000 });
});
await step('long polling carries on without sockets', async () => {
  const before = await points();
  await page.locator('label', { hasText: '15 min' }).click();
  await page.waitForTimeout(1200);
  const at = await points();
  await page.waitForTimeout(2500);
  if (!((await points()) > at)) throw new Error(`${before}, ${at}, ${await points()}`);
  line.socket = true;
});
await step('the device list filters by name on the server', async () => {
  await page.goto(`${BASE}/apps/isobar/#/devices`);
  await see('[data-testid=device-row]');
  await page.getByTestId('device-search').fill('compr');
  await page.waitForURL(/q=compr/);
  await page.waitForFunction(() => document.querySelectorAll('[data-testid=device-row]').length === 4);
});
await step('a device is registered and accepted', async () => {
  await page.goto(`${BASE}/apps/isobar/#/registration`);
  await page.getByTestId('registration-id').fill('SN-1');
  await page.getByTestId('registration-add').click();
  await see('[data-testid=registration-row][data-id=SN-1][data-status=WAITING_FOR_CONNECTION]');
  await page.locator('[data-testid=registration-row][data-id=SN-77120]').getByTestId('registration-accept').click();
  await page.getByTestId('registration-accept-yes').click();
  await see('[data-testid=registration-row][data-id=SN-77120][data-status=ACCEPTED]');
});
await step('the name is edited in place', async () => {
  await page.goto(`${BASE}/apps/isobar/#/device/${id}`);
  await page.getByTestId('rename').click();
  await page.keyboard.press('Control+A');
  await page.keyboard.type('Pump two');
  await page.keyboard.press('Enter');
  await see('h1 >> text=Pump two');
});
await step('every call carries key and token', async () => {
  const calls = requests.filter((one) => /\/(inventory|alarm|event|measurement|devicecontrol)\//.test(one.url()));
  const bad = calls.find(
    (one) =>
      one.headers()['x-cumulocity-application-key'] !== 'isobar-application-key' ||
      (one.method() !== 'GET' && !one.headers()['x-xsrf-token']),
  );
  if (bad || !calls.length) throw new Error(bad?.url() ?? 'no calls');
});
await step('log out leads to the login page', async () => {
  await page.getByTestId('user-menu').click();
  await page.getByTestId('log-out').click();
  await see('[data-testid=login-user]');
});
await step('a one-time link asks for a new password', async () => {
  await page.goto('about:blank');
  await page.goto(`${BASE}/apps/public/login/#otp=first`);
  await page.getByTestId('password-new').fill('long enough');
  await page.getByTestId('password-again').fill('long enough');
  await page.getByTestId('password-submit').click();
  await see('[data-testid=live]');
});
await step('a user with few roles sees what is missing', async () => {
  await context.clearCookies();
  await page.goto(`${BASE}/apps/public/login/`);
  await logIn('reader', 'reader');
  await see('text=ROLE_ALARM_READ');
});
await browser.close();
mock.close();
setTimeout(() => process.exit(), 300);
