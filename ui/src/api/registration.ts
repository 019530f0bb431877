import { request, requestPage, type Page } from './http';
import type { Registration } from './shape';

const BASE = '/devicecontrol/newDeviceRequests';

export function listRegistrations(page: number, pageSize: number, signal?: AbortSignal): Promise<Page<Registration>> {
  return requestPage<Registration>(BASE, 'newDeviceRequests', { pageSize, currentPage: page, withTotalElements: true }, signal);
}

export function createRegistration(id: string): Promise<Registration> {
  return request<Registration>(BASE, { method: 'POST', body: { id } });
}

export function acceptRegistration(id: string, securityToken?: string): Promise<Registration> {
  const body = { status: 'ACCEPTED', ...(securityToken ? { securityToken } : {}) };
  return request<Registration>(`${BASE}/${encodeURIComponent(id)}`, { method: 'PUT', body });
}

export function deleteRegistration(id: string): Promise<unknown> {
  return request(`${BASE}/${encodeURIComponent(id)}`, { method: 'DELETE' });
}

/** Registration ids travel in paths and MQTT topics, hence the excluded characters. */
export function isRegistrationId(id: string): boolean {
  return id.length > 0 && id.length <= 1000 && id !== '.' && id !== '..' && !/[\s/\\+$:\u0000-\u001f]/.test(id);
}
