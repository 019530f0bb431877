import { expect, test } from 'vitest';
import { deviceQuery, quote } from './inventory';

test('a name is searched anywhere, and a wildcard is left as typed', () => {
  expect(deviceQuery({ name: 'pump' })).toBe("$filter=(name eq '*pump*') $orderby=name");
  expect(deviceQuery({ name: 'pump*' })).toBe("$filter=(name eq 'pump*') $orderby=name");
});

test('an empty filter only sorts', () => expect(deviceQuery({})).toBe('$orderby=name'));

test('filters are joined', () => {
  expect(deviceQuery({ connection: 'connected', alarms: 'critical', type: 'c8y_Pump' })).toBe(
    "$filter=(c8y_Connection.status eq 'CONNECTED' and c8y_ActiveAlarmsStatus.critical gt 0f and type eq 'c8y_Pump') $orderby=name",
  );
});

test('quotes and brackets are escaped', () => expect(quote("O'Neil [2]")).toBe("'O''Neil \\[2\\]'"));
