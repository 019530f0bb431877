// Pictures of every main screen at 1280 and 360 px, light and dark; each is checked for overflow, and with axe.
import { readFile } from 'node:fs/promises';

const SIZES = { desk: { width: 1280, height: 800 }, phone: { width: 360, height: 740 } };

const title = (words) => `main h1:text-is("${words}")`;

/** Name, address, and what only this screen shows; those of management, when no objects are named. */
function screens(ids) {
  if (!ids) return [['tenants', '/tenants', title('Tenants'), '[data-testid=receipt-row]']];
  const tab = (name) => `[data-testid=tab-${name}][aria-selected=true]`;
  const device = (name, at, shown, proof, query = '') => [
    name,
    `/device/${ids[at]}/${shown}${query}`,
    `${tab(shown)} >> visible=true`,
    proof,
  ];
  return [
    ['home', '/', title('Home'), '.figure'],
    ['devices', '/devices', title('Devices'), '[data-testid=device-row]'],
    ['alarms', '/alarms', title('Alarms'), '[data-testid=alarm-row]'],
    ['groups', `/groups/${ids.group}`, title('Groups'), '[data-testid=device-row]'],
    ['registration', '/registration', title('Registration'), '[data-testid=registration-id]'],
    ['users', '/users', title('Users'), '[data-testid=user-row]'],
    ['user', '/users/harbour.master', '[data-testid=tab-details][aria-selected=true]', '[data-testid=user-save]'],
    ['user-roles', '/users/harbour.master/roles', '[data-testid=user-role]'],
    ['user-objects', '/users/harbour.master/objects', '[data-testid=assignment-row]'],
    ['user-security', '/users/admin/security', '[data-testid=session-row]'],
    ['roles', '/roles', title('Global roles'), '[data-testid=role-row]'],
    ['role', `/roles/${ids.role}`, 'main table.matrix input', '[data-testid=member-row]'],
    ['inventory-roles', '/inventory-roles', title('Inventory roles'), '[data-testid=inventory-role-row]'],
    ['inventory-role', '/inventory-roles/2', '[data-testid=permission-row]'],
    ['explain-yes', `/explain?user=harbour.master&action=change&type=operation&object=${ids.machine}`, '[data-testid=grant] li'],
    ['explain-no', `/explain?user=stranger&action=change&type=operation&object=${ids.machine}`, '[data-testid=missing-row]'],
    ['explain-who', `/explain?ask=who&type=alarm&object=${ids.machine}`, '[data-testid=who-row]'],
    ['audit', '/audit?type=User', title('Audit log'), '[data-testid=audit-row]'],
    ['account', '/account', title('My account'), 'main input'],
    ['account-security', '/account/security', '[data-testid=factor-start]', '[data-testid=session-row]'],
    ['account-rights', '/account/rights', 'main table.matrix svg'],
    device('machine', 'machine', 'overview', '[data-testid=value-tile]'),
    device('machine-values', 'machine', 'values', '[data-testid=chart] canvas', '?range=15m'),
    device('machine-day', 'machine', 'values', 'main table tbody tr', '?range=1d&as=table'),
    device('machine-properties', 'machine', 'properties', 'main pre.code'),
    device('machine-identity', 'machine', 'identity', '[data-testid=external-id]'),
    device('probe-alarms', 'probe', 'alarms', '[data-testid=alarm-row]'),
    device('home-gateway', 'home', 'overview', '[data-testid=child-with-values]'),
    device('home-control', 'home', 'control', '[data-testid=operation-result]'),
    device('home-children', 'home', 'children', '[data-testid=device-row]'),
    device('valve', 'valve', 'overview', '[data-testid=operation-row]'),
    device('valve-control', 'valve', 'control', '[data-testid=relay-open]'),
    device('valve-events', 'valve', 'events', '[data-testid=event-row]'),
  ];
}

/** Resolves when the page shows its final state: no loading bars, no request under way, fonts there. */
async function settled(page, busy, proofs) {
  for (const proof of proofs) await page.locator(proof).first().waitFor();
  await page.waitForFunction(() => !document.querySelector('main [role=status][aria-label=Loading], main .mantine-Loader-root'));
  while (busy.size) await page.waitForEvent('requestfinished', { timeout: 100 }).catch(() => undefined);
  await page.waitForFunction(() => document.fonts.status === 'loaded' && !document.querySelector('main [aria-label=Loading]'));
}

/** Resolves when what the last change of the page moves has come to rest and is drawn. */
async function still(page) {
  await page.evaluate(async () => {
    const drawn = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    await drawn(); // transitions begin when the change is drawn
    const finite = document.getAnimations().filter((one) => one.effect?.getComputedTiming().endTime !== Infinity);
    await Promise.allSettled(finite.map((one) => one.finished));
    await drawn();
  });
}

async function overflow(page, name, fail) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 0) fail(`${name}: ${wide} px wider than the window`);
}

/** Runs axe in the page; `rules` narrows it down, because only colours differ between the schemes. */
async function access(page, name, fail, axe, rules) {
  if (!(await page.evaluate(() => Boolean(window.axe)))) await page.evaluate(axe);
  const violations = await page.evaluate(
    async (only) => (await window.axe.run({ resultTypes: ['violations'], ...(only ? { runOnly: only } : {}) })).violations,
    rules,
  );
  for (const one of violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')) {
    const where = one.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 140)} ${node.any[0]?.message ?? ''}`);
    fail(`${name}: axe ${one.id}: ${where.join(' | ')}`);
  }
}

export async function takePictures({ browser, open, base, folder, cookies, ids, fail, require }) {
  const axe = await readFile(require.resolve('axe-core/axe.min.js'), 'utf8');
  async function tour(size) {
    const context = await browser.newContext({ viewport: SIZES[size], reducedMotion: 'reduce', locale: 'en-GB' });
    const page = await open(context, size, [401]); // the login page asks who is there
    const busy = new Set();
    page.on('request', (request) => request.resourceType() !== 'websocket' && busy.add(request));
    page.on('requestfinished', (request) => busy.delete(request));
    page.on('requestfailed', (request) => busy.delete(request));
    async function picture(name) {
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme });
        await page.waitForFunction((scheme) => document.documentElement.dataset.mantineColorScheme === scheme, colorScheme);
        await still(page);
        await page.screenshot({ path: `${folder}/${name}-${size}-${colorScheme}.png`, fullPage: true });
        if (colorScheme === 'light') await overflow(page, `${name}-${size}`, fail);
        const only = colorScheme === 'dark' ? ['color-contrast'] : undefined;
        if (size === 'desk' || !only) await access(page, `${name}-${size}-${colorScheme}`, fail, axe, only);
      }
    }
    if (ids) {
      await page.goto(`${base}/apps/public/login/`);
      await page.getByTestId('login-user').waitFor();
      await picture('login');
    }
    await context.addCookies(cookies);
    for (const [name, path, ...proofs] of screens(ids)) {
      await page.goto(`${base}/apps/isobar/#${path}`);
      await settled(page, busy, proofs);
      await picture(name);
    }
    await context.close();
  }
  await Promise.all(Object.keys(SIZES).map(tour));
}
