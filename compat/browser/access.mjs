// The part of the walk about access: who may do what and why, roles with their effect before they are saved, and how people log in.
import { createHmac } from 'node:crypto';

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const STEP_MS = 30_000;

/** The code of RFC 6238 that an authenticator app shows at a time. */
function totp(secret, at) {
  const bits = [...secret.replace(/[\s=]/g, '')].map((letter) => BASE32.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / STEP_MS)));
  const sum = createHmac('sha1', key).update(counter).digest();
  const from = sum[19] & 15;
  return String((sum.readUInt32BE(from) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

const PERSON = { user: 'harbour.master', first: 'First-Harbour-11', password: 'Second-Harbour-22', third: 'Third-Harbour-33' };
const DESK = 'Alarm desk';

/** Walks through the screens of access; returns what the pictures need. */
export async function walkAccess({ browser, open, base, step, rest, page, logIn, find, sameDocument, admin, shots }) {
  const app = (path) => `${base}/apps/isobar/#${path}`;
  const go = (path) => page.goto(app(path));
  const refused = (words) => page.getByTestId('refusal').getByText(words).waitFor();
  const save = () => page.getByTestId('role-save').click();
  const has = (locator, words) => locator.filter({ hasText: words }).first().waitFor();
  const ids = {};

  await step('a user is created who must change the password', page, async () => {
    await go('/users');
    await page.getByRole('button', { name: 'Create user' }).click();
    await page.getByRole('textbox', { name: 'User name', exact: true }).fill(PERSON.user);
    await page.getByLabel('E-mail').fill('harbour@example.org');
    await page.getByLabel('First password').fill('only-lower-case');
    await page.getByTestId('user-create').click();
    await refused('must contain');
    await page.getByLabel('First password').fill(PERSON.first);
    await page.getByTestId('user-create').click();
    await page.locator('h1', { hasText: PERSON.user }).waitFor();
    await page.getByTestId('tab-roles').waitFor();
  });

  await step('a global role is made in the matrix', page, async () => {
    await go('/roles/new');
    await page.getByRole('textbox', { name: 'Name', exact: true }).fill(DESK);
    await page.getByRole('checkbox', { name: 'Alarms: Read' }).check();
    await page.getByText('Nobody has this role yet.').waitFor();
    await save();
    await page.waitForURL(/#\/roles\/\d+$/);
    ids.role = /\/roles\/(\d+)$/.exec(page.url())[1];
    await go(`/users/${PERSON.user}/roles`);
    await page.getByRole('checkbox', { name: DESK }).check();
    await page.locator('label', { hasText: DESK }).waitFor();
    await go(`/roles/${ids.role}`);
    await has(page.getByTestId('member-row'), PERSON.user);
  });

  await step('what saving would change is said before it is saved', page, async () => {
    const audit = page.getByRole('checkbox', { name: 'Audit log: Read' });
    await audit.focus();
    await page.keyboard.press('Space'); // by keyboard, as any check box
    await page.getByRole('checkbox', { name: 'Alarms: Read' }).uncheck();
    await has(page.getByTestId('whatif-gain'), '1 person gains Audit log: read');
    await has(page.getByTestId('whatif-lose'), '1 person loses Alarms: read');
    await page.screenshot({ path: `${shots}/role-whatif.png` });
    await page.getByRole('checkbox', { name: 'Alarms: Read' }).check();
    await page.getByTestId('whatif-lose').waitFor({ state: 'detached' });
    await save();
    await page.getByTestId('whatif').waitFor({ state: 'detached' });
    const stored = await rest('GET', `/user/main/groups/${ids.role}`);
    const roles = stored.roles.references.map((one) => one.role.id).join(' ');
    if (roles !== 'ROLE_ALARM_READ ROLE_AUDIT_READ') throw new Error(roles);
  });

  await step('a device leads to who may see it, and to why somebody may not', page, async () => {
    await find(page, 'Press 1');
    await page.getByTestId('who-may').click();
    await has(page.getByTestId('who-row'), 'admin');
    const [, object] = /object=(\d+)/.exec(page.url());
    ids.object = object;
    await go(`/explain?user=${PERSON.user}&action=change&type=operation&object=${object}`);
    await page.locator('[data-testid=verdict][data-allowed=false]').waitFor();
    await page.getByTestId('missing-row').first().waitFor();
    await page.screenshot({ path: `${shots}/explain-no.png` });
  });

  await step('the nearest missing role is given from there, and the answer turns', page, async () => {
    await page.getByRole('link', { name: 'Assign it: Operations: All' }).click();
    await page.getByRole('checkbox', { name: 'Operations: All' }).waitFor();
    if (!(await page.getByRole('checkbox', { name: 'Operations: All' }).isChecked())) throw new Error('the role is not chosen');
    // On the group above the device, found by its name.
    await page.getByLabel('On which object').first().fill('Machines');
    await page.getByRole('option', { name: /^Machines/ }).click();
    await page.getByTestId('assign-save').click();
    await has(page.getByTestId('assignment-row'), 'Machines');
    await go(`/explain?user=${PERSON.user}&action=change&type=operation&object=${ids.object}`);
    await page.locator('[data-testid=verdict][data-allowed=true]').waitFor();
    const crumbs = await page.getByTestId('grant').getByRole('listitem').allInnerTexts();
    if (crumbs.join(' > ') !== 'Machines > Press 1') throw new Error(crumbs.join(' > '));
    await sameDocument(page);
  });

  await step('an inventory role says whom a change affects', page, async () => {
    await go('/inventory-roles');
    await page.getByRole('link', { name: 'Operations: All' }).click();
    await page.getByRole('button', { name: 'Add permission' }).click();
    await page.getByTestId('permission-row').nth(1).getByRole('textbox', { name: 'Fragment' }).fill('c8y_Position');
    await has(page.getByTestId('whatif-gain'), '1 person gains');
    await page.getByRole('button', { name: 'Who gains and loses what' }).click();
    await has(page.getByTestId('whatif').locator('li'), PERSON.user);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByTestId('whatif').waitFor({ state: 'detached' });
  });

  const context = await browser.newContext({ viewport: { width: 360, height: 740 }, locale: 'en-GB' });
  const person = await open(context, 'person', [401, 403, 422]); // refused logins and passwords
  const login = async (password) => {
    await person.goto(`${base}/apps/public/login/`);
    await logIn(person, { user: PERSON.user, password });
  };
  const choose = async (fresh) => {
    await person.getByTestId('password-new').fill(fresh);
    await person.getByTestId('password-again').fill(fresh);
    await person.getByTestId('password-submit').click();
  };
  const leave = async () => {
    await person.getByTestId('user-menu').click();
    await person.getByTestId('log-out').click();
    await person.getByTestId('login-user').waitFor();
  };

  await step('at the first login the password must be changed, by the rules of the tenant', person, async () => {
    await login(PERSON.first);
    await choose('weak-password');
    await person.getByRole('alert').getByText('must contain').waitFor();
    await person.screenshot({ path: `${shots}/login-reset-phone.png` });
    await choose(PERSON.password);
    await person.getByTestId('user-menu').waitFor();
  });

  let secret;
  await step('a tenant that wants a second factor has it set up at the login', person, async () => {
    await rest('PUT', '/tenant/options/two-factor-authentication/enforced.group', { value: DESK });
    await leave();
    await login(PERSON.password);
    await person.getByTestId('qr').waitFor();
    secret = (await person.locator('[data-testid=factor-setup] pre').innerText()).trim();
    await person.screenshot({ path: `${shots}/login-setup-phone.png`, fullPage: true });
    const now = Date.now();
    await person.getByTestId('factor-code').fill(totp(secret, now - 20 * STEP_MS));
    await person.getByTestId('factor-verify').click();
    await person.getByRole('alert').waitFor();
    await person.getByTestId('factor-code').fill(totp(secret, now));
    await person.getByTestId('factor-verify').click();
    await person.getByTestId('user-menu').waitFor();
  });

  await step('the next login asks for a code', person, async () => {
    await leave();
    await login(PERSON.password);
    const field = person.getByTestId('login-code');
    await field.fill('000000');
    await person.getByTestId('login-submit').click();
    await person.locator('[data-testid=login-refusal][data-kind=code]').waitFor();
    await person.screenshot({ path: `${shots}/login-code-phone.png` });
    await field.fill(totp(secret, Date.now() + STEP_MS)); // that of now was used already
    await person.getByTestId('login-submit').click();
    await person.getByTestId('user-menu').waitFor();
  });

  await step('people change their own password and see their sessions', person, async () => {
    await person.goto(app('/account/security'));
    await person.locator('[data-testid=session-row][data-current=true]').waitFor();
    await person.getByTestId('password-current').fill(PERSON.password);
    await choose(PERSON.password);
    await person.getByTestId('refusal').getByText('used before').waitFor();
    await choose(PERSON.third);
    await person.getByText('Password changed').waitFor();
    await person.goto(app('/account/rights'));
    await person.getByRole('img', { name: 'Alarms: Read' }).waitFor();
  });

  await step('an administrator ends a session, and the page of it ends', page, async () => {
    await go(`/users/${PERSON.user}/security`);
    await page.getByTestId('session-row').first().waitFor();
    await page.getByTestId('session-end').first().click();
    await page.getByText('No open sessions').waitFor();
    await person.goto(app('/account/security'));
    await person.reload().catch(() => undefined); // a page that is on its way to the login by itself ends the reload; what counts is that it arrives
    await person.getByTestId('login-user').waitFor();
  });
  await context.close();

  await step('an administrator revokes a second factor', page, async () => {
    await page.getByTestId('factor-revoke').click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await page.getByText('Not set up').waitFor();
    await rest('DELETE', '/tenant/options/two-factor-authentication/enforced.group');
  });

  await step('an administrator sets the password of somebody', page, async () => {
    await page.getByTestId('set-password-new').fill('Fourth-Harbour-44');
    await page.getByTestId('set-password-own').fill('not mine');
    await page.getByTestId('set-password').click();
    await refused('not that of the caller');
    await page.getByTestId('set-password-own').fill(admin.password);
    await page.getByTestId('set-password').click();
    await page.getByText(`${PERSON.user} has a new password`).waitFor();
  });

  await step('who owns something is not deleted, and the reason is shown', page, async () => {
    const { id } = await rest('POST', '/inventory/managedObjects', { name: 'Owned crane', owner: PERSON.user });
    await page.getByTestId('user-delete').click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete user' }).click();
    await refused('owner of managed objects');
    await rest('PUT', `/inventory/managedObjects/${id}`, { owner: 'admin' });
  });

  await step('a provider of single sign-on has its button, which comes back to the page asked for', page, async () => {
    const option = await rest('POST', '/tenant/loginOptions', {
      type: 'OAUTH2',
      providerName: 'Harbour ID',
      buttonName: 'Harbour ID',
      issuer: 'https://id.example.org',
      clientId: 'isobar',
      clientSecret: 'not-a-secret',
      visibleOnLoginPage: true,
    });
    const stranger = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB' });
    const front = await open(stranger, 'single sign-on', [401]);
    await front.goto(app('/alarms'));
    const address = new URL(await front.getByRole('link', { name: 'Log in with Harbour ID' }).getAttribute('href'));
    await front.screenshot({ path: `${shots}/login-sso.png` });
    await stranger.close();
    await rest('DELETE', `/tenant/loginOptions/${option.id}`);
    const back = address.searchParams.get('originUri');
    if (address.pathname !== '/tenant/oauth' || back !== app('/alarms')) throw new Error(String(address));
  });

  await step('the audit log grows by itself and shows before and after', page, async () => {
    await go('/audit?type=User&time=hour');
    await page.getByTestId('audit-row').first().waitFor();
    const newest = await page.getByTestId('audit-row').first().getAttribute('data-id');
    await rest('PUT', `/user/main/users/${PERSON.user}`, { firstName: 'Hanna' });
    const row = page.getByTestId('audit-row').first();
    await page.waitForFunction((old) => document.querySelector('[data-testid=audit-row]')?.dataset.id !== old, newest);
    await row.getByRole('button').click();
    await page.getByTestId('audit-changes').getByText('Hanna').waitFor();
    await sameDocument(page);
  });
  return ids;
}

/** Walks through the tenants, which only management sees. Returns the cookies, for the pictures. */
export async function walkTenants({ browser, open, base, step, logIn, admin, shots }) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB' });
  const page = await open(context, 'management', [401]);
  const row = page.getByTestId('tenant-row').filter({ hasText: 'Acme Cranes' });
  await step('management makes a tenant', page, async () => {
    await page.goto(`${base}/apps/public/login/`);
    await page.getByTestId('login-other-tenant').click();
    await page.getByTestId('login-tenant').fill('management');
    await logIn(page, admin);
    await page.getByTestId('user-menu').waitFor();
    await page.getByRole('link', { name: 'Tenants' }).first().click();
    await page.getByTestId('tenant-new').click();
    await page.getByTestId('tenant-company').fill('Acme Cranes');
    await page.getByTestId('tenant-domain').fill('acme-cranes');
    await page.getByTestId('tenant-adminEmail').fill('boss@example.org');
    await page.getByTestId('tenant-create').click();
    await page.getByText('/apps/public/login/#otp=').waitFor();
    await page.screenshot({ path: `${shots}/tenant-made.png` });
    await page.getByRole('button', { name: 'Done' }).click();
    await row.waitFor();
  });
  await step('suspends it and activates it again', page, async () => {
    await row.getByTestId('tenant-status').click();
    await page.getByRole('dialog').getByRole('button', { name: 'Suspend' }).click();
    await row.getByText('Suspended').waitFor();
    await row.getByTestId('tenant-status').click();
    await row.getByText('Active').waitFor();
  });
  await step('and erases it, with a receipt', page, async () => {
    const id = await row.getAttribute('data-id');
    await row.getByTestId('tenant-delete').click();
    await page.getByTestId('tenant-confirm').fill(id);
    await page.getByTestId('tenant-erase').click();
    await row.waitFor({ state: 'detached' });
    await page.getByTestId('receipt-row').filter({ hasText: id }).waitFor();
  });
  const cookies = await context.cookies();
  return { cookies, close: () => context.close() };
}
