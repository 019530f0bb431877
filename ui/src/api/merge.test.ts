import { QueryClient } from '@tanstack/react-query';
import { expect, test, vi } from 'vitest';
import type { Page } from './http';
import { mergeAlarm, mergedDevice, mergeOperation } from './merge';
import type { Alarm, Operation } from './shape';

const alarm = (id: string, more: Partial<Alarm> = {}): Alarm => ({
  id,
  source: { id: '1' },
  type: 't',
  text: 'x',
  severity: 'MAJOR',
  status: 'ACTIVE',
  time: '2026-01-01T00:00:00Z',
  ...more,
});
const page = <T>(items: T[]): Page<T> => ({ items, page: 1, pageSize: 2, total: items.length, hasMore: false });
const key = (more: object) => ['alarms', 'list', { status: 'open', page: 1, pageSize: 2, ...more }];

test('a new alarm comes first, and only into lists it belongs to', () => {
  vi.useFakeTimers();
  const client = new QueryClient();
  client.setQueryData(key({}), page([alarm('1')]));
  client.setQueryData(key({ severity: 'MINOR' }), page<Alarm>([]));
  mergeAlarm(client, alarm('2'));
  expect(client.getQueryData<Page<Alarm>>(key({}))?.items.map((one) => one.id)).toEqual(['2', '1']);
  expect(client.getQueryData<Page<Alarm>>(key({ severity: 'MINOR' }))?.items).toEqual([]);
});

test('a cleared alarm leaves the list of open ones', () => {
  const client = new QueryClient();
  client.setQueryData(key({}), page([alarm('1'), alarm('2')]));
  mergeAlarm(client, alarm('1', { status: 'CLEARED' }));
  const left = client.getQueryData<Page<Alarm>>(key({}));
  expect(left?.items.map((one) => one.id)).toEqual(['2']);
  expect(left?.total).toBe(1);
});

test('a device update replaces fragments but keeps its references', () => {
  const parents = { references: [{ managedObject: { id: '9', name: 'Hall' } }] };
  const merged = mergedDevice(
    { id: '1', old: 1, assetParents: parents },
    { id: '1', name: 'New', assetParents: { references: [] } },
  );
  expect(merged).toEqual({ id: '1', name: 'New', assetParents: parents });
});

test('an operation changes where it is', () => {
  const client = new QueryClient();
  const at = ['operations', { deviceId: '1', page: 1, pageSize: 5 }];
  const operation = { id: '5', deviceId: '1', status: 'PENDING', creationTime: '' } as Operation;
  client.setQueryData(at, page([operation]));
  mergeOperation(client, 'UPDATE', { ...operation, status: 'SUCCESSFUL' });
  expect(client.getQueryData<Page<Operation>>(at)?.items[0].status).toBe('SUCCESSFUL');
});

test('the answer to a creation does not undo what happened since', () => {
  const client = new QueryClient();
  const at = ['operations', { deviceId: '1', page: 1, pageSize: 5 }];
  const operation = { id: '5', deviceId: '1', status: 'PENDING', creationTime: '' } as Operation;
  client.setQueryData(at, page([{ ...operation, status: 'EXECUTING' } as Operation]));
  mergeOperation(client, 'CREATE', operation);
  expect(client.getQueryData<Page<Operation>>(at)?.items.map((one) => one.status)).toEqual(['EXECUTING']);
});
