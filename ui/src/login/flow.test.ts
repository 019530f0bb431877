import { expect, test } from 'vitest';
import { ApiError } from '../api/http';
import { HOME_URL, mailedReset, oneTimeCode, refusalOf, safeReturnPath, ssoAddress, ssoRefusal } from './flow';

test('one-time codes are read from both link forms', () => {
  expect(oneTimeCode('#otp=a%2Bb')).toBe('a+b');
  expect(oneTimeCode('#/token/abc')).toBe('abc');
  expect(oneTimeCode('#/')).toBeUndefined();
});

test('only paths of this origin are followed', () => {
  const origin = 'https://iot.example.org';
  for (const good of ['/apps/isobar/#/alarms', '/apps/cockpit/index.html?remotes=%7B%7D#/device/1?a=b'])
    expect(safeReturnPath(good, origin)).toBe(good);
  for (const bad of [
    null,
    '',
    'https://evil.example',
    '//evil.example',
    '/\\evil.example',
    '/\t/evil.example',
    '/\n\\evil.example',
    '/apps/public/login/',
  ])
    expect(safeReturnPath(bad, origin)).toBe(HOME_URL);
});

test('what led to the login page does not lead there again', () => {
  const origin = 'https://iot.example.org';
  expect(safeReturnPath('/apps/cockpit/?token=t&email=a%40b.c&keep=1#/home', origin)).toBe('/apps/cockpit/?keep=1#/home');
  expect(safeReturnPath('/apps/cockpit/?code=c&session_state=s&error=e&error_description=d', origin)).toBe('/apps/cockpit/');
});

test('each refusal has its own kind', () => {
  const kind = (status: number, message = '', retry?: number) =>
    refusalOf(new ApiError(status, '', message, '/', retry), false).kind;
  expect(kind(401, 'Invalid credentials!')).toBe('wrong');
  expect(kind(401, 'Authentication failed! : User account is locked')).toBe('locked');
  expect(kind(401, 'TOTP code required')).toBe('code');
  expect(kind(401, 'Authentication failed! : TOTP setup required')).toBe('setup');
  expect(kind(0)).toBe('down');
  expect(kind(429, '', 7)).toBe('tooMany');
  expect(kind(500)).toBe('server');
});

test('a password that must change is told by the token, whatever the message says', () => {
  const error = new ApiError(401, '', 'Invalid credentials!', '/');
  error.resetToken = 'abc';
  expect(refusalOf(error, false).kind).toBe('reset');
});

test('the link of a mail needs a token and an address', () => {
  expect(mailedReset('?tenantId=main&email=ann%40example.org&token=t')).toEqual({
    tenantId: 'main',
    email: 'ann@example.org',
    token: 't',
  });
  expect(mailedReset('?token=t')).toBeUndefined();
  expect(mailedReset('')).toBeUndefined();
});

test('single sign-on comes back to the page asked for', () => {
  const origin = 'https://iot.example.org';
  const address = ssoAddress(
    'https://iot.example.org/tenant/oauth?response_type=code&tenant_id=main',
    '/apps/isobar/#/alarms',
    origin,
  );
  expect(address).toContain('tenant_id=main');
  expect(new URL(address).searchParams.get('originUri')).toBe('https://iot.example.org/apps/isobar/#/alarms');
  expect(ssoAddress(undefined, '/', origin)).toContain('/tenant/oauth?response_type=code');
});

test('a single sign-on that failed says why', () => {
  expect(ssoRefusal('?error=access_denied&error_description=You+are+not+invited')?.message).toContain('You are not invited');
  expect(ssoRefusal('?error=access_denied')?.message).toContain('access_denied');
  expect(ssoRefusal('?error=x&error_description=' + 'a'.repeat(1000))?.message.length).toBeLessThan(400);
  expect(ssoRefusal('?code=c')).toBeUndefined();
});
