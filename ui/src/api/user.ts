import { request, requestPage, type Page } from './http';
import type { CurrentUser, Group, User } from './shape';

export function getCurrentUser(signal?: AbortSignal): Promise<CurrentUser> {
  return request<CurrentUser>('/user/currentUser', { signal });
}

export function putOwnPassword(currentUserPassword: string | undefined, newPassword: string): Promise<unknown> {
  const body = { newPassword, ...(currentUserPassword === undefined ? {} : { currentUserPassword }) };
  return request('/user/currentUser/password', { method: 'PUT', body, stayOn401: true });
}

export function logOut(): Promise<unknown> {
  return request('/user/logout', { method: 'POST', stayOn401: true });
}

const users = (tenant: string) => `/user/${encodeURIComponent(tenant)}/users`;
const groups = (tenant: string) => `/user/${encodeURIComponent(tenant)}/groups`;

export function listUsers(
  tenant: string,
  name: string,
  page: number,
  pageSize: number,
  signal?: AbortSignal,
): Promise<Page<User>> {
  const query = { username: name || undefined, pageSize, currentPage: page, withTotalElements: true };
  return requestPage<User>(users(tenant), 'users', query, signal);
}

export interface NewUser {
  userName: string;
  email: string;
  password: string;
  firstName?: string;
  lastName?: string;
}

export function createUser(tenant: string, user: NewUser): Promise<User> {
  return request<User>(users(tenant), { method: 'POST', body: { ...user, enabled: true } });
}

export function putUser(tenant: string, id: string, change: Partial<User>): Promise<User> {
  return request<User>(`${users(tenant)}/${encodeURIComponent(id)}`, { method: 'PUT', body: change });
}

export async function listGroups(tenant: string, signal?: AbortSignal): Promise<Group[]> {
  return (await requestPage<Group>(groups(tenant), 'groups', { pageSize: 200, currentPage: 1 }, signal)).items;
}

export async function listUserGroups(tenant: string, id: string, signal?: AbortSignal): Promise<Group[]> {
  const path = `${users(tenant)}/${encodeURIComponent(id)}/groups`;
  const page = await requestPage<{ group: Group }>(path, 'references', { pageSize: 200, currentPage: 1 }, signal);
  return page.items.map((reference) => reference.group);
}

export function addToGroup(tenant: string, groupId: number, userId: string): Promise<unknown> {
  const self = `${location.origin}${users(tenant)}/${encodeURIComponent(userId)}`;
  return request(`${groups(tenant)}/${groupId}/users`, { method: 'POST', body: { user: { self } } });
}

export function removeFromGroup(tenant: string, groupId: number, userId: string): Promise<unknown> {
  return request(`${groups(tenant)}/${groupId}/users/${encodeURIComponent(userId)}`, { method: 'DELETE' });
}
