import { request, requestPage, type Page } from './http';
import type { CurrentUser, Group, User } from './shape';

export function getCurrentUser(signal?: AbortSignal): Promise<CurrentUser> {
  return request<CurrentUser>('/user/currentUser', { signal });
}

export function putOwnPassword(currentUserPassword: string | undefined, newPassword: string): Promise<unknown> {
  const body = { newPassword, ...(currentUserPassword === undefined ? {} : { currentUserPassword }) };
  return request('/user/currentUser/password', { method: 'PUT', body, stayOn401: true });
}

export function putCurrentUser(change: Partial<CurrentUser>): Promise<CurrentUser> {
  return request<CurrentUser>('/user/currentUser', { method: 'PUT', body: change });
}

/** Ends the session. Who came through a provider of single sign-on gets the address that ends the session there. */
export function logOut(): Promise<{ url?: string } | undefined> {
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
  const query = { usernameContains: name || undefined, pageSize, currentPage: page, withTotalElements: true };
  return requestPage<User>(users(tenant), 'users', query, signal);
}

export function getUser(tenant: string, id: string, signal?: AbortSignal): Promise<User> {
  return request<User>(`${users(tenant)}/${encodeURIComponent(id)}`, { signal });
}

export function deleteUser(tenant: string, id: string): Promise<unknown> {
  return request(`${users(tenant)}/${encodeURIComponent(id)}`, { method: 'DELETE' });
}

export interface NewUser {
  userName: string;
  email: string;
  /** Without one the person chooses it, by a link that is mailed. */
  password?: string;
  shouldResetPassword?: boolean;
  sendPasswordResetEmail?: boolean;
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

/** Sets the password of somebody else; who does it proves with the own one who asks. */
export function setPassword(tenant: string, id: string, newPassword: string, currentUserPassword: string): Promise<unknown> {
  const path = `${users(tenant)}/${encodeURIComponent(id)}/password`;
  return request(path, { method: 'PUT', body: { newPassword, currentUserPassword }, stayOn401: true });
}

export function getGroup(tenant: string, id: number, signal?: AbortSignal): Promise<Group> {
  return request<Group>(`${groups(tenant)}/${id}`, { signal });
}

export function putGroup(tenant: string, id: number | undefined, change: { name: string; description: string }): Promise<Group> {
  const path = id === undefined ? groups(tenant) : `${groups(tenant)}/${id}`;
  return request<Group>(path, { method: id === undefined ? 'POST' : 'PUT', body: change });
}

export function deleteGroup(tenant: string, id: number): Promise<unknown> {
  return request(`${groups(tenant)}/${id}`, { method: 'DELETE' });
}

export function addGroupRole(tenant: string, id: number, role: string): Promise<unknown> {
  const self = `${location.origin}/user/roles/${role}`;
  return request(`${groups(tenant)}/${id}/roles`, { method: 'POST', body: { role: { self } } });
}

export function removeGroupRole(tenant: string, id: number, role: string): Promise<unknown> {
  return request(`${groups(tenant)}/${id}/roles/${role}`, { method: 'DELETE' });
}

export async function listMembers(
  tenant: string,
  id: number,
  page: number,
  pageSize: number,
  signal?: AbortSignal,
): Promise<Page<User>> {
  const query = { pageSize, currentPage: page, withTotalElements: true };
  const found = await requestPage<{ user: User }>(`${groups(tenant)}/${id}/users`, 'references', query, signal);
  return { ...found, items: found.items.map((reference) => reference.user) };
}

/** Every permission that the platform knows. */
export async function listRoles(signal?: AbortSignal): Promise<string[]> {
  const page = await requestPage<{ name: string }>('/user/roles', 'roles', { pageSize: 500, currentPage: 1 }, signal);
  return page.items.map((role) => role.name);
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
