import { request, requestPage, type Page } from './http';
import type { Device, Reference } from './shape';

const BASE = '/inventory/managedObjects';

export type ConnectionFilter = 'connected' | 'disconnected' | 'connecting' | 'sending' | 'silent';
export type AlarmFilterWord = 'any' | 'critical';

export interface DeviceFilter {
  name?: string;
  connection?: ConnectionFilter;
  alarms?: AlarmFilterWord;
  type?: string;
  page: number;
  pageSize: number;
}

/** Quotes a string for the query language: doubled quotes, escaped brackets and backslashes. */
export function quote(value: string): string {
  return `'${value
    .replace(/\\/g, '\\\\')
    .replace(/'/g, "''")
    .replace(/[[\](){}]/g, '\\$&')}'`;
}

const connectionClause: Record<ConnectionFilter, string> = {
  connected: "c8y_Connection.status eq 'CONNECTED'",
  disconnected: "c8y_Connection.status eq 'DISCONNECTED'",
  connecting: 'has(c8y_Connection)', // not the children behind a gateway
  sending: "c8y_Availability.status eq 'AVAILABLE'",
  silent: "c8y_Availability.status eq 'UNAVAILABLE'",
};

/** Builds the `q` parameter of a device list; words are matched anywhere in the name. */
export function deviceQuery(filter: Partial<DeviceFilter>): string {
  const clauses: string[] = [];
  const name = filter.name?.trim();
  if (name) clauses.push(`name eq ${quote(name.includes('*') ? name : `*${name}*`)}`);
  if (filter.connection) clauses.push(connectionClause[filter.connection]);
  if (filter.alarms === 'critical') clauses.push('c8y_ActiveAlarmsStatus.critical gt 0f');
  if (filter.alarms === 'any') {
    const each = ['critical', 'major', 'minor', 'warning'].map((word) => `c8y_ActiveAlarmsStatus.${word} gt 0f`);
    clauses.push(`(${each.join(' or ')})`);
  }
  if (filter.type?.trim()) clauses.push(`type eq ${quote(filter.type.trim())}`);
  return clauses.length ? `$filter=(${clauses.join(' and ')}) $orderby=name` : '$orderby=name';
}

export function listDevices(filter: DeviceFilter, signal?: AbortSignal): Promise<Page<Device>> {
  const query = { q: deviceQuery(filter), pageSize: filter.pageSize, currentPage: filter.page, withTotalElements: true };
  return requestPage<Device>(BASE, 'managedObjects', query, signal);
}

export async function countDevices(filter: Partial<DeviceFilter>, signal?: AbortSignal): Promise<number> {
  const query = { q: deviceQuery(filter), pageSize: 1, currentPage: 1, withTotalElements: true };
  const page = await requestPage<Device>(BASE, 'managedObjects', query, signal);
  return page.total ?? page.items.length;
}

export function getDevice(id: string, signal?: AbortSignal): Promise<Device> {
  const query = { withParents: true, withChildren: false };
  return request<Device>(`${BASE}/${encodeURIComponent(id)}`, { query, signal });
}

export function putDevice(id: string, change: Partial<Device>): Promise<Device> {
  return request<Device>(`${BASE}/${encodeURIComponent(id)}`, { method: 'PUT', body: change });
}

export async function supportedSeries(id: string, signal?: AbortSignal): Promise<string[]> {
  const path = `${BASE}/${encodeURIComponent(id)}/supportedSeries`;
  const body = await request<{ c8y_SupportedSeries?: string[] }>(path, { signal });
  return [...(body.c8y_SupportedSeries ?? [])].sort();
}

export type ChildKind = 'childDevices' | 'childAssets' | 'childAdditions';

export async function listChildren(id: string, kind: ChildKind, pageSize = 100, signal?: AbortSignal): Promise<Device[]> {
  const query = { pageSize, currentPage: 1, withChildren: false };
  const page = await requestPage<Reference>(`${BASE}/${encodeURIComponent(id)}/${kind}`, 'references', query, signal);
  return page.items.map((reference) => reference.managedObject);
}

export function listRootGroups(page: number, pageSize: number, signal?: AbortSignal): Promise<Page<Device>> {
  const query = {
    query: "$filter=(type eq 'c8y_DeviceGroup') $orderby=name",
    pageSize,
    currentPage: page,
    withTotalElements: true,
  };
  return requestPage<Device>(BASE, 'managedObjects', query, signal);
}

export function createGroup(name: string): Promise<Device> {
  return request<Device>(BASE, { method: 'POST', body: { name, type: 'c8y_DeviceGroup', c8y_IsDeviceGroup: {} } });
}

export function createSubGroup(parentId: string, name: string): Promise<Device> {
  const body = { name, type: 'c8y_DeviceSubGroup', c8y_IsDeviceGroup: {} };
  const contentType = 'application/vnd.com.nsn.cumulocity.managedobject+json';
  return request<Device>(`${BASE}/${encodeURIComponent(parentId)}/childAssets`, { method: 'POST', body, contentType });
}

export function addMember(groupId: string, deviceId: string): Promise<unknown> {
  const body = { managedObject: { id: deviceId } };
  const contentType = 'application/vnd.com.nsn.cumulocity.managedobjectreference+json';
  return request(`${BASE}/${encodeURIComponent(groupId)}/childAssets`, { method: 'POST', body, contentType });
}

export function removeMember(groupId: string, deviceId: string): Promise<unknown> {
  return request(`${BASE}/${encodeURIComponent(groupId)}/childAssets/${encodeURIComponent(deviceId)}`, { method: 'DELETE' });
}

export function deleteGroup(id: string): Promise<unknown> {
  return request(`${BASE}/${encodeURIComponent(id)}`, { method: 'DELETE' });
}

/** Objects of any kind whose name has the words in it, or whose id they are; without words, groups and devices. */
export async function findObjects(words: string, pageSize: number, signal?: AbortSignal): Promise<Device[]> {
  const clause = words ? `name eq ${quote(`*${words}*`)}` : 'has(c8y_IsDeviceGroup) or has(c8y_IsDevice)';
  const query = { query: `$filter=(${clause}) $orderby=name`, pageSize, currentPage: 1 };
  const named = (await requestPage<Device>(BASE, 'managedObjects', query, signal)).items;
  if (!/^\d+$/.test(words) || named.some((one) => one.id === words)) return named;
  const numbered = await getDevice(words, signal).catch(() => undefined);
  return numbered ? [numbered, ...named] : named;
}
