import { render, screen } from '@testing-library/react';
import { expect, test } from 'vitest';
import { Qr } from './Qr';

test('the picture is drawn here, square and with a quiet border', () => {
  render(<Qr value="otpauth://totp/Isobar:main%2Fann?issuer=Isobar&secret=ABC" label="Key" />);
  const picture = screen.getByRole('img', { name: 'Key' });
  const [, , width, height] = (picture.getAttribute('viewBox') ?? '').split(' ').map(Number);
  expect(width).toBe(height);
  const drawn = [...(picture.querySelector('path')?.getAttribute('d') ?? '').matchAll(/M(\d+) (\d+)/g)];
  expect(drawn.length).toBeGreaterThan(100);
  for (const [, x, y] of drawn) for (const at of [Number(x), Number(y)]) expect(at >= 3 && at < width - 3).toBe(true);
});
