import { request, requestPage, type Page } from './http';
import type { Alarm, AlarmStatus, Severity } from './shape';

export type StatusFilter = 'open' | AlarmStatus | 'all';

export interface AlarmFilter {
  source?: string;
  severity?: Severity;
  status: StatusFilter;
  page: number;
  pageSize: number;
}

function statusQuery(status: StatusFilter): { status?: string; resolved?: boolean } {
  if (status === 'open') return { resolved: false };
  return status === 'all' ? {} : { status };
}

export function listAlarms(filter: AlarmFilter, signal?: AbortSignal): Promise<Page<Alarm>> {
  const query = {
    source: filter.source,
    severity: filter.severity,
    ...statusQuery(filter.status),
    pageSize: filter.pageSize,
    currentPage: filter.page,
    withTotalElements: true,
  };
  return requestPage<Alarm>('/alarm/alarms', 'alarms', query, signal);
}

export async function countAlarms(severity: Severity, status: StatusFilter, signal?: AbortSignal): Promise<number> {
  const query = { severity, ...statusQuery(status) };
  return Number(await request<number>('/alarm/alarms/count', { query, signal, accept: 'application/json, text/plain' }));
}

export function putAlarm(id: string, status: AlarmStatus): Promise<Alarm> {
  return request<Alarm>(`/alarm/alarms/${encodeURIComponent(id)}`, { method: 'PUT', body: { status } });
}

/** Changes many alarms, four at a time; returns how many could not be changed. */
export async function putAlarms(ids: string[], status: AlarmStatus): Promise<number> {
  const waiting = [...ids];
  let failed = 0;
  const work = async () => {
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
      await putAlarm(id, status).catch(() => failed++);
    }
  };
  await Promise.all([work(), work(), work(), work()]);
  return failed;
}

/** Whether an alarm that arrived live belongs to a list. */
export function belongs(filter: AlarmFilter, alarm: Alarm): boolean {
  if (filter.source && filter.source !== alarm.source.id) return false;
  if (filter.severity && filter.severity !== alarm.severity) return false;
  if (filter.status === 'open') return alarm.status !== 'CLEARED';
  return filter.status === 'all' || filter.status === alarm.status;
}
