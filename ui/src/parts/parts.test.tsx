import { MantineProvider } from '@mantine/core';
import type { UseQueryResult } from '@tanstack/react-query';
import { fireEvent, render, screen } from '@testing-library/react';
import type { ReactNode } from 'react';
import { MemoryRouter } from 'react-router';
import { expect, test, vi } from 'vitest';
import { ApiError } from '../api/http';
import type { Device } from '../api/shape';
import { DeviceCards } from '../fleet/DeviceRows';
import { Sends } from './Badges';
import { saySeries, sayAge, sayName } from './say';
import { Shown } from './States';
import { hidden } from './TabBar';

const show = (node: ReactNode) =>
  render(
    <MantineProvider>
      <MemoryRouter>{node}</MemoryRouter>
    </MantineProvider>,
  );
const query = (more: object) => ({ refetch: vi.fn(), isError: false, ...more }) as unknown as UseQueryResult<string>;

test('a 403 names the missing role', () => {
  const error = new ApiError(403, 'security/Forbidden', 'Access is denied', '/');
  show(
    <Shown query={query({ isError: true, error })} need="ROLE_ALARM_READ">
      {() => null}
    </Shown>,
  );
  expect(screen.getByText(/ROLE_ALARM_READ/)).toBeTruthy();
});

test('an error can be tried again', () => {
  const failed = query({ isError: true, error: new ApiError(500, 'general/internal', 'Broken', '/') });
  show(<Shown query={failed}>{() => null}</Shown>);
  fireEvent.click(screen.getByRole('button', { name: 'Try again' }));
  expect(failed.refetch).toHaveBeenCalled();
});

test('data that could not be refreshed stays, marked', () => {
  show(<Shown query={query({ isError: true, data: 'kept', dataUpdatedAt: Date.now() })}>{(data) => <p>{data}</p>}</Shown>);
  expect(screen.getByText('kept')).toBeTruthy();
  expect(screen.getByText(/Could not refresh/)).toBeTruthy();
});

test('a device card tells connection and alarms in words', () => {
  const device = {
    id: '7',
    name: 'Pump',
    c8y_Connection: { status: 'CONNECTED' as const },
    c8y_ActiveAlarmsStatus: { critical: 2, minor: 0 },
  };
  show(<DeviceCards devices={[device]} />);
  expect(screen.getByTestId('device-row').getAttribute('data-id')).toBe('7');
  expect(screen.getByText('Connected')).toBeTruthy();
  expect(screen.getByText('Critical')).toBeTruthy();
  expect(screen.queryByText('Minor')).toBeNull();
});

test('a device that does not say how often it sends is not monitored, one that does is awaited', () => {
  show(<DeviceCards devices={[{ id: '1' }, { id: '2', c8y_RequiredAvailability: { responseInterval: 10 } }]} />);
  expect(screen.getAllByText('Not monitored')).toHaveLength(1);
  expect(screen.getAllByText('Not heard yet')).toHaveLength(1);
});

test('what arrives live counts as a sign of life', () => {
  const device: Device = { id: '1', c8y_Availability: { status: 'UNAVAILABLE', lastMessage: '2020-01-01T00:00:00Z' } };
  const { rerender } = show(<Sends device={device} />);
  expect(screen.getByText('Silent')).toBeTruthy();
  rerender(
    <MantineProvider>
      <Sends device={device} heard={Date.now()} />
    </MantineProvider>,
  );
  expect(screen.getByText('Sends')).toBeTruthy();
  expect(screen.getByText('just now')).toBeTruthy();
});

test('names and ages are said in words', () => {
  expect(saySeries('c8y_Temperature.T')).toBe('Temperature T');
  expect(sayName('c8y_SoftwareUpdate')).toBe('Software update');
  expect(sayName('isobar_HomeGateway')).toBe('Home gateway');
  expect(sayName('flow_rate')).toBe('Flow rate');
  expect(sayAge(0, 12_000)).toBe('12 s ago');
  expect(sayAge(0, 3 * 86_400_000)).toBe('3 days ago');
});

test('a row that is longer than its place says at which ends', () => {
  const row = (scrollLeft: number, scrollWidth: number) => hidden({ scrollLeft, clientWidth: 100, scrollWidth });
  expect(row(0, 100)).toBe('');
  expect(row(0, 101)).toBe(''); // rounding
  expect(row(0, 180)).toBe('end');
  expect(row(40, 180)).toBe('start end');
  expect(row(80, 180)).toBe('start');
  expect(row(-40, 180)).toBe('start end'); // from right to left
});
