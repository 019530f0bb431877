import { expect, test } from 'vitest';
import { sayAgent } from './agent';

test('programs are named as a person knows them', () => {
  const chrome = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36';
  const phone = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 Version/18.0 Mobile Safari/604.1';
  expect(sayAgent(chrome)).toBe('Chrome on Linux');
  expect(sayAgent(phone)).toBe('Safari on iOS');
  expect(sayAgent(chrome.replace('Safari/537.36', 'Safari/537.36 Edg/140.0'))).toBe('Edge on Linux');
  expect(sayAgent('curl/8.5.0')).toBe('curl');
  expect(sayAgent('')).toBeUndefined();
});
