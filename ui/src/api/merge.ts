// Realtime messages become changes of the query cache; only creations and gaps cause a (throttled) refetch.
import type { QueryClient } from '@tanstack/react-query';
import { belongs, type AlarmFilter } from './alarm';
import type { EventFilter } from './event';
import type { Page } from './http';
import type { OperationFilter } from './operation';
import type { Alarm, Device, DeviceEvent, Operation, RealtimeAction } from './shape';

const timers = new Map<string, ReturnType<typeof setTimeout>>();

/** Marks queries stale at most once per period, at its end. */
export function invalidateSoon(client: QueryClient, queryKey: readonly unknown[], periodMs: number): void {
  const key = JSON.stringify(queryKey);
  if (timers.has(key)) return;
  const run = () => {
    timers.delete(key);
    void client.invalidateQueries({ queryKey });
  };
  timers.set(key, setTimeout(run, periodMs));
}

const KEPT = ['childDevices', 'childAssets', 'childAdditions', 'deviceParents', 'assetParents', 'additionParents'] as const;

/** The new state of a device, with the references that a notification leaves empty. */
export function mergedDevice(old: Device | undefined, fresh: Device): Device {
  if (!old) return fresh;
  const kept = Object.fromEntries(KEPT.filter((key) => old[key] !== undefined).map((key) => [key, old[key]]));
  return { ...fresh, ...kept };
}

export function mergeDevice(client: QueryClient, action: RealtimeAction, data: unknown): void {
  if (action === 'DELETE') {
    invalidateSoon(client, ['devices'], 1000);
    invalidateSoon(client, ['device', String(data)], 200);
    return;
  }
  const fresh = data as Device;
  client.setQueryData<Device>(['device', fresh.id], (old) => old && mergedDevice(old, fresh));
  client.setQueriesData<Page<Device>>({ queryKey: ['devices', 'list'] }, (page) => {
    const at = page?.items.findIndex((device) => device.id === fresh.id) ?? -1;
    if (!page || at < 0) return page;
    return { ...page, items: page.items.with(at, mergedDevice(page.items[at], fresh)) };
  });
  if (action === 'CREATE') {
    invalidateSoon(client, ['devices'], 1500);
    invalidateSoon(client, ['groups'], 1500);
  } else invalidateSoon(client, ['devices', 'count'], 10_000);
}

interface Numbered {
  id: string;
}

/** Puts an item into a page: replaced where it is, first when new, gone when it no longer belongs. */
export function placed<T extends Numbered>(page: Page<T>, item: T, fits: boolean): Page<T> {
  const at = page.items.findIndex((one) => one.id === item.id);
  if (at >= 0 && fits) return { ...page, items: page.items.with(at, { ...page.items[at], ...item }) };
  if (at >= 0) {
    const total = page.total === undefined ? undefined : page.total - 1;
    return { ...page, total, items: page.items.toSpliced(at, 1) };
  }
  if (!fits || page.page !== 1) return page;
  const total = page.total === undefined ? undefined : page.total + 1;
  return { ...page, total, items: [item, ...page.items].slice(0, page.pageSize) };
}

export function mergeAlarm(client: QueryClient, data: unknown): void {
  const alarm = data as Alarm;
  if (!alarm?.id || !alarm.source) return;
  for (const [key, page] of client.getQueriesData<Page<Alarm>>({ queryKey: ['alarms', 'list'] })) {
    if (page) client.setQueryData(key, placed(page, alarm, belongs(key[2] as AlarmFilter, alarm)));
  }
  invalidateSoon(client, ['alarms', 'count'], 2000);
  invalidateSoon(client, ['device', alarm.source.id], 2000);
  const shown = client.getQueriesData<Page<Device>>({ queryKey: ['devices', 'list'] });
  const listed = shown.some(([, page]) => page?.items.some((device) => device.id === alarm.source.id));
  if (listed) invalidateSoon(client, ['devices', 'list'], 5000);
}

export function mergeEvent(client: QueryClient, action: RealtimeAction, data: unknown): void {
  if (action === 'DELETE') return invalidateSoon(client, ['events'], 1000);
  const event = data as DeviceEvent;
  for (const [key, page] of client.getQueriesData<Page<DeviceEvent>>({ queryKey: ['events'] })) {
    const filter = key[1] as EventFilter;
    const fits = (!filter.source || filter.source === event.source.id) && (!filter.type || filter.type === event.type);
    if (page && fits) client.setQueryData(key, placed(page, event, true));
  }
}

export function mergeOperation(client: QueryClient, action: RealtimeAction, data: unknown): void {
  if (action === 'DELETE') return invalidateSoon(client, ['operations'], 1000);
  const operation = data as Operation;
  for (const [key, page] of client.getQueriesData<Page<Operation>>({ queryKey: ['operations'] })) {
    const filter = key[1] as OperationFilter;
    const fits = !filter.status || filter.status === operation.status;
    // The answer to a creation may come after the first changes; it must not undo them.
    const known = action === 'CREATE' && page?.items.some((one) => one.id === operation.id);
    if (page && !known && filter.deviceId === operation.deviceId) client.setQueryData(key, placed(page, operation, fits));
  }
}
