import { expect, test } from 'vitest';
import { ApiError } from '../api/http';
import { HOME_URL, oneTimeCode, refusalOf, safeReturnPath } from './flow';

test('one-time codes are read from both link forms', () => {
  expect(oneTimeCode('#otp=a%2Bb')).toBe('a+b');
  expect(oneTimeCode('#/token/abc')).toBe('abc');
  expect(oneTimeCode('#/')).toBeUndefined();
});

test('only paths of this origin are followed', () => {
  expect(safeReturnPath('/apps/isobar/#/alarms')).toBe('/apps/isobar/#/alarms');
  for (const bad of [null, '', 'https://evil.example', '//evil.example', '/\\evil.example', '/apps/public/login/'])
    expect(safeReturnPath(bad)).toBe(HOME_URL);
});

test('each refusal has its own kind', () => {
  const kind = (status: number, message = '', retry?: number) =>
    refusalOf(new ApiError(status, '', message, '/', retry), false).kind;
  expect(kind(401, 'Invalid credentials!')).toBe('wrong');
  expect(kind(401, 'Authentication failed! : User account is locked')).toBe('locked');
  expect(kind(401, 'TOTP code required')).toBe('code');
  expect(kind(0)).toBe('down');
  expect(kind(429, '', 7)).toBe('tooMany');
  expect(kind(500)).toBe('server');
});
