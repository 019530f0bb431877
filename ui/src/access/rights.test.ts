import { expect, test } from 'vitest';
import { difference, matrixOf, sayPermission, sayRight, split, summary } from './rights';

test('permissions are split into family and level', () => {
  expect(split('ROLE_USER_MANAGEMENT_OWN_READ')).toEqual({ family: 'USER_MANAGEMENT_OWN', level: 'READ' });
  expect(split('ROLE_DEVICE')).toBeUndefined();
  expect(split('ROLE_USER_MANAGEMENT_PASSWORD_RESET')).toBeUndefined();
});

test('the matrix has a row per family, known ones first, and the rest apart', () => {
  const { families, singles } = matrixOf([
    'ROLE_ZEBRA_ADMIN',
    'ROLE_ALARM_ADMIN',
    'ROLE_DEVICE',
    'ROLE_ALARM_READ',
    'ROLE_INVENTORY_READ',
  ]);
  expect(families.map((family) => family.name)).toEqual(['INVENTORY', 'ALARM', 'ZEBRA']);
  expect(families[1].levels).toEqual({ READ: 'ROLE_ALARM_READ', ADMIN: 'ROLE_ALARM_ADMIN' });
  expect(singles).toEqual(['ROLE_DEVICE']);
});

test('rights are said in words', () => {
  expect(sayPermission('ROLE_ALARM_READ')).toBe('Alarms: read');
  expect(sayPermission('ROLE_WIND_FARM_ADMIN')).toBe('Wind farm: admin');
  expect(sayPermission('ROLE_DEVICE')).toBe('Is a device');
  expect(sayRight('ALARM:*:READ on and below 7')).toBe('Read alarms on and below object 7');
  expect(sayRight('OPERATION:c8y_Restart:ADMIN on 7')).toBe('Change operations, only c8y_Restart on object 7');
  expect(sayRight('*:*:* on 7')).toBe('Read and change everything on object 7');
});

test('effects are summed up for people and devices apart', () => {
  const effect = (user: string, gained: string[], lost: string[] = []) => ({ user, gained, lost });
  expect(summary([])).toEqual({ gain: undefined, lose: undefined });
  expect(summary([effect('ann', ['ROLE_ALARM_READ']), effect('bob', ['ROLE_ALARM_READ'])])).toEqual({
    gain: '2 people gain Alarms: read',
    lose: undefined,
  });
  const mixed = [
    effect('ann', [], ['ROLE_ALARM_READ', 'ROLE_EVENT_READ', 'ROLE_AUDIT_READ']),
    effect('device_1', ['ROLE_EVENT_READ']),
  ];
  expect(summary(mixed)).toEqual({ gain: '1 device gains Events: read', lose: '1 person loses 3 permissions' });
  expect(summary([effect('ann', ['ROLE_ALARM_READ']), effect('device_1', ['ROLE_ALARM_READ'])]).gain).toBe(
    '1 person and 1 device gain Alarms: read',
  );
});

test('a change of a set is what is added and removed', () => {
  expect(difference(['a', 'b'], ['b', 'c'])).toEqual({ added: ['c'], removed: ['a'] });
});
