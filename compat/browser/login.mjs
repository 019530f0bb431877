// Logs in for an application that somebody else built: `login_test.go` starts it with the addresses in the environment. Prints a line per step;
// the exit code is 1 if one failed. Every wait is for a condition.
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../ui/package.json', import.meta.url));
const { chromium } = require('playwright-core');
const { ISOBAR_HTTP, ISOBAR_HTTPS, ISOBAR_PASSWORD: PASSWORD, ISOBAR_SHOTS: SHOTS } = process.env;
const LOGIN = '/apps/public/login/';
const RETURN = 'c8yRedirectAfterLoginPath';
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
});
let failures = 0;

for (const base of [ISOBAR_HTTP, ISOBAR_HTTPS]) {
  const secure = base.startsWith('https:');
  const context = await browser.newContext({ locale: 'en-GB', ignoreHTTPSErrors: true });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000); // only as long as it takes; the machine may be busy with other tests
  page.on('request', (request) => {
    const { hostname, protocol } = new URL(request.url());
    if (hostname === '127.0.0.1' || protocol === 'data:') return;
    failures++;
    console.log(`FAIL  a request left loopback: ${request.url()}`);
  });
  const step = async (name, run) => {
    try {
      await run();
      console.log(`ok    ${base.split(':')[0]}: ${name}`);
    } catch (error) {
      failures++;
      console.log(`FAIL  ${base.split(':')[0]}: ${name}: ${error.message.slice(0, 600)}`);
      await page.screenshot({ path: `${SHOTS}/login-${failures}.png` }).catch(() => undefined);
    }
  };
  const logIn = async (password = PASSWORD) => {
    await page.getByTestId('login-user').fill('admin');
    await page.getByTestId('login-password').fill(password);
    await page.getByTestId('login-submit').click();
  };
  const at = (path) => page.waitForURL((url) => url.href === base + path);
  const known = () => page.locator('body[data-user=admin]').waitFor();

  await step('a wrong password is refused, the right one leads back to the place asked for', async () => {
    await page.goto(`${base}/apps/foreign/?keep=1#/device/1`);
    await logIn('not it');
    await page.locator('[data-testid=login-refusal][data-kind=wrong]').waitFor();
    if (!page.url().startsWith(`${base}${LOGIN}`)) throw new Error(page.url());
    if ((await context.cookies()).length) throw new Error('a cookie was set');
    await logIn();
    await at('/apps/foreign/?keep=1#/device/1');
    await known();
  });
  await step('the session is in cookies of which scripts read one', async () => {
    const cookies = Object.fromEntries((await context.cookies()).map((cookie) => [cookie.name, cookie]));
    for (const [name, httpOnly] of Object.entries({ authorization: true, 'XSRF-TOKEN': false }))
      if (cookies[name]?.httpOnly !== httpOnly || cookies[name].secure !== secure) throw new Error(`${name}: ${JSON.stringify(cookies[name])}`);
  });
  await step('what an application hands on reaches the page, and does not lead there again', async () => {
    await page.goto(`${base}/apps/foreign/?error=denied&error_description=not+invited&keep=1#/home`);
    await page.getByTestId('login-refusal').filter({ hasText: 'not invited' }).waitFor();
    if (page.url() !== `${base}${LOGIN}`) throw new Error(page.url()); // it is said once
    await logIn();
    await at('/apps/foreign/?keep=1#/home');
    await known();
    await page.goto(`${base}/apps/foreign/?token=t&email=a%40example.org`);
    await page.getByLabel('New password').first().waitFor(); // the form of a mailed link
    if (await page.getByTestId('login-user').count()) throw new Error('the form for logging in is there');
  });
  await step('Basic credentials that an older application keeps are used', async () => {
    await context.clearCookies();
    await page.goto(`${base}${LOGIN}`);
    await page.evaluate((token) => sessionStorage.setItem('_tcy8', token), Buffer.from(`main/admin:${PASSWORD}`).toString('base64'));
    await page.goto(`${base}/apps/foreign/`);
    await known();
  });
  await step('when they no longer hold, a login replaces them', async () => {
    await page.evaluate(() => {
      sessionStorage.setItem('_tcy8', btoa('main/admin:old'));
      localStorage.setItem('_tcy8', btoa('main/admin:older'));
    });
    await page.goto(`${base}/apps/foreign/?old=1`);
    await logIn();
    await at('/apps/foreign/?old=1');
    await known();
  });
  for (const path of ['https://evil.example/', '//evil.example/', '/\t/evil.example/', '/\\evil.example/', LOGIN])
    await step(`a login does not lead to ${JSON.stringify(path)}`, async () => {
      await page.goto(`${base}${LOGIN}`);
      await page.evaluate(([key, value]) => sessionStorage.setItem(key, value), [RETURN, path]);
      await logIn();
      await page.waitForURL((url) => url.href.startsWith(`${base}/apps/isobar/`));
    });
  await context.close();
}
await browser.close();
process.exitCode = failures ? 1 : 0;
