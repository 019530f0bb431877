// Screenshots of every screen at desktop and phone size, light and dark, with axe and overflow checks.
// `npm run shots [name...]`; pictures land in ui/shots/.
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import AxeBuilder from '@axe-core/playwright';
import { chromium } from 'playwright-core';
import { mode, start } from './server.mjs';
import { world } from './world.mjs';

const OUT = fileURLToPath(new URL('../shots/', import.meta.url));
const PORT = 8123;
const BASE = `http://127.0.0.1:${PORT}`;
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const SIZES = { desk: { width: 1280, height: 800 }, phone: { width: 360, height: 740 } };

await mkdir(OUT, { recursive: true });
const mock = await start(PORT);
const named = (name) => [...world.objects.values()].find((one) => one.name === name).id;
const pump = named('Pump 2');
const gateway = named('Gateway north');
const screens = [
  ['home', '/'],
  ['devices', '/devices'],
  ['devices-none', '/devices?q=zzz'],
  ['alarms', '/alarms'],
  ['groups', `/groups/${named('Harbour cold store')}`],
  ['registration', '/registration'],
  ['users', '/users'],
  ['audit', '/audit'],
  ['device-overview', `/device/${pump}`],
  ['device-values', `/device/${pump}/values?range=1h&series=c8y_Flow.F&series=c8y_Pressure.P`],
  ['device-values-day', `/device/${pump}/values?range=1d&series=c8y_Power.W`],
  ['device-values-table', `/device/${pump}/values?range=15m&as=table`],
  ['device-alarms', `/device/${pump}/alarms`],
  ['device-events', `/device/${pump}/events`],
  ['device-control', `/device/${pump}/control`],
  ['gateway-control', `/device/${gateway}/control`],
  ['device-properties', `/device/${pump}/properties`],
  ['device-children', `/device/${gateway}/children`],
  ['device-identity', `/device/${pump}/identity`],
];
const wanted = process.argv.slice(2);
const chosen = screens.filter(([name]) => !wanted.length || wanted.includes(name));
const problems = [];

async function check(page, name) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 0) problems.push(`${name}: ${wide} px wider than the window`);
  const { violations } = await new AxeBuilder({ page }).analyze();
  for (const one of violations) {
    if (one.impact === 'serious' || one.impact === 'critical')
      problems.push(
        `${name}: ${one.id} ${one.nodes
          .slice(0, 3)
          .map((node) => `${node.html.slice(0, 120)} ${(node.any[0]?.message ?? '').slice(0, 120)}`)
          .join(' | ')}`,
      );
  }
}

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ARGS });
for (const [size, viewport] of Object.entries(SIZES)) {
  for (const colorScheme of ['light', 'dark']) {
    const context = await browser.newContext({ viewport, colorScheme, reducedMotion: 'reduce' });
    const page = await context.newPage();
    const tag = `${size}-${colorScheme}`;
    page.on(
      'console',
      (message) =>
        ['error', 'warning'].includes(message.type()) &&
        !/status of (401|403|429|500)/.test(message.text()) &&
        problems.push(`${tag}: console: ${message.text().slice(0, 300)}`),
    );
    page.on('pageerror', (error) => problems.push(`${tag}: ${error.message}`));
    await page.goto(`${BASE}/apps/public/login/`);
    await page.getByTestId('login-user').waitFor();
    if (!wanted.length || wanted.includes('login')) {
      await page.screenshot({ path: `${OUT}login-${tag}.png` });
      await check(page, `login-${tag}`);
      await page.getByTestId('login-user').fill('flood');
      await page.getByTestId('login-password').fill('x');
      await page.getByTestId('login-submit').click();
      await page.getByTestId('login-refusal').waitFor();
      await page.screenshot({ path: `${OUT}login-refused-${tag}.png` });
      await page.goto(`${BASE}/apps/public/login/#otp=first`);
      await page.reload();
      await page.getByTestId('password-new').waitFor();
      await page.screenshot({ path: `${OUT}login-reset-${tag}.png` });
      await context.clearCookies();
      await page.goto(`${BASE}/apps/public/login/`);
    }
    await page.getByTestId('login-user').fill('admin');
    await page.getByTestId('login-password').fill('admin');
    await page.getByTestId('login-submit').click();
    await page.getByTestId('live').waitFor();
    for (const [name, path] of chosen) {
      await page.goto(`${BASE}/apps/isobar/#${path}`);
      await page.waitForTimeout(name.startsWith('device-values') ? 1800 : 1100);
      await page.screenshot({
        path: `${OUT}${name}-${tag}.png`,
        fullPage: size === 'phone' && !wanted.length ? false : wanted.length > 0,
      });
      await check(page, `${name}-${tag}`);
    }
    if (!wanted.length || wanted.includes('states')) {
      mode.fail = { path: '/alarm', status: 500 };
      await page.goto(`${BASE}/apps/isobar/#/alarms?status=ACTIVE`);
      await page.waitForTimeout(4500);
      await page.screenshot({ path: `${OUT}state-error-${tag}.png` });
      mode.fail = { path: '/audit', status: 403, message: 'Access is denied' };
      await page.goto(`${BASE}/apps/isobar/#/audit?type=User`);
      await page.waitForTimeout(900);
      await page.screenshot({ path: `${OUT}state-forbidden-${tag}.png` });
      mode.fail = undefined;
    }
    await context.close();
  }
}
await browser.close();
mock.close();
console.log(problems.length ? [...new Set(problems)].join('\n') : 'no problems');
process.exitCode = problems.length ? 1 : 0;
