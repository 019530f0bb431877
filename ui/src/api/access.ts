// Questions about access, inventory roles and their assignments, sessions, and the second factor.
import { request, requestPage, type Page } from './http';

export const ACTIONS = ['read', 'create', 'change', 'delete'] as const;
export type Action = (typeof ACTIONS)[number];

/** What one can ask about, as the API names it. */
export const SUBJECTS = [
  'inventory',
  'measurement',
  'event',
  'alarm',
  'operation',
  'binary',
  'identity',
  'audit',
  'bulkoperation',
  'user',
  'currentuser',
  'tenant',
  'option',
  'application',
] as const;
export type Subject = (typeof SUBJECTS)[number];

/** Those where it matters which object is meant. */
export const OBJECT_SUBJECTS: readonly Subject[] = [
  'inventory',
  'measurement',
  'event',
  'alarm',
  'operation',
  'binary',
  'identity',
  'audit',
];

export interface Question {
  action: Action;
  type: Subject;
  object?: string;
  fragments?: string;
}

export interface AccessGrant {
  inventoryRole?: string;
  globalRole?: string;
  scope: string;
  type: string;
  permission: string;
  path: { id: string; name?: string }[];
}

export interface Missing {
  kind: 'FRAGMENTS' | 'INVENTORY_ROLE' | 'GLOBAL_ROLE' | 'PERMISSION' | 'OWNER';
  name: string;
  alsoGrants?: number;
}

export interface Answer {
  user: string;
  allowed: boolean;
  disabled?: boolean;
  layer?: 'PERMISSION' | 'OWNERSHIP' | 'INVENTORY_ROLE' | 'C8Y_GLOBAL';
  permission?: string;
  globalRoles?: string[];
  grants?: AccessGrant[];
  missing?: Missing[];
  text: string;
}

export interface Explained {
  object?: { id: string; name?: string; owner?: string };
  answer: Answer;
}

export function explain(user: string, question: Question, signal?: AbortSignal): Promise<Explained> {
  return request<Explained>('/isobar/access/explain', { query: { user, ...question }, signal });
}

export function whoMay(question: Question, page: number, pageSize: number, signal?: AbortSignal): Promise<Page<Answer>> {
  const query = { ...question, pageSize, currentPage: page, withTotalElements: true };
  return requestPage<Answer>('/isobar/access/who', 'answers', query, signal);
}

export interface Effect {
  user: string;
  gained: string[];
  lost: string[];
}

export interface WhatIf {
  affected: number;
  effects: Effect[];
}

export type Draft =
  | { group: { id: number; roles: string[] } }
  | { inventoryRole: { id: number; permissions: RolePermission[] } }
  | { user: { userName: string; inventoryAssignments: { managedObject: string; roles: number[] }[] } };

export function whatIf(draft: Draft, signal?: AbortSignal): Promise<WhatIf> {
  return request<WhatIf>('/isobar/access/whatif', { method: 'POST', body: draft, signal });
}

export const SCOPES = ['*', 'MANAGED_OBJECT', 'MEASUREMENT', 'EVENT', 'ALARM', 'OPERATION', 'AUDIT'] as const;
export const LEVELS = ['READ', 'ADMIN', '*'] as const;

export interface RolePermission {
  scope: string;
  /** The name of a fragment, or `*`. */
  type: string;
  permission: string;
}

export interface InventoryRole {
  id: number;
  name: string;
  description?: string;
  permissions: RolePermission[];
}

const ROLES = '/user/inventoryroles';

export async function listInventoryRoles(signal?: AbortSignal): Promise<InventoryRole[]> {
  return (await requestPage<InventoryRole>(ROLES, 'roles', { pageSize: 500, currentPage: 1 }, signal)).items;
}

export function getInventoryRole(id: number, signal?: AbortSignal): Promise<InventoryRole> {
  return request<InventoryRole>(`${ROLES}/${id}`, { signal });
}

export function putInventoryRole(id: number | undefined, role: Omit<InventoryRole, 'id'>): Promise<InventoryRole> {
  const path = id === undefined ? ROLES : `${ROLES}/${id}`;
  return request<InventoryRole>(path, { method: id === undefined ? 'POST' : 'PUT', body: role });
}

export function deleteInventoryRole(id: number): Promise<unknown> {
  return request(`${ROLES}/${id}`, { method: 'DELETE' });
}

/** The inventory roles that a user holds on an object and all below it. */
export interface Assignment {
  id: number;
  managedObject: string;
  roles: InventoryRole[];
}

const userPath = (tenant: string, user: string) => `/user/${encodeURIComponent(tenant)}/users/${encodeURIComponent(user)}`;

export async function listAssignments(tenant: string, user: string, signal?: AbortSignal): Promise<Assignment[]> {
  const path = `${userPath(tenant, user)}/roles/inventory`;
  return (await request<{ inventoryAssignments?: Assignment[] }>(path, { signal })).inventoryAssignments ?? [];
}

/** Creates an assignment, or, with its id, replaces the roles of one. */
export function putAssignment(
  tenant: string,
  user: string,
  id: number | undefined,
  managedObject: string,
  roles: number[],
): Promise<Assignment> {
  const path = `${userPath(tenant, user)}/roles/inventory`;
  const named = roles.map((role) => ({ id: role }));
  return id === undefined
    ? request<Assignment>(path, { method: 'POST', body: { managedObject, roles: named } })
    : request<Assignment>(`${path}/${id}`, { method: 'PUT', body: { roles: named } });
}

export function deleteAssignment(tenant: string, user: string, id: number): Promise<unknown> {
  return request(`${userPath(tenant, user)}/roles/inventory/${id}`, { method: 'DELETE' });
}

export interface Session {
  id: string;
  user: string;
  kind: string;
  created: string;
  lastSeen?: string;
  expires?: string;
  address?: string;
  userAgent?: string;
  current?: boolean;
}

export async function listSessions(user: string | undefined, signal?: AbortSignal): Promise<Session[]> {
  return (await request<{ sessions?: Session[] }>('/isobar/access/sessions', { query: { user }, signal })).sessions ?? [];
}

export function endSession(id: string): Promise<unknown> {
  return request(`/isobar/access/sessions/${encodeURIComponent(id)}`, { method: 'DELETE' });
}

export interface UserFactor {
  tfaEnabled: boolean;
  tfaEnforced: boolean;
  lastTfaRequestTime?: string | null;
}

export function getUserFactor(tenant: string, user: string, signal?: AbortSignal): Promise<UserFactor> {
  return request<UserFactor>(`${userPath(tenant, user)}/tfa`, { signal });
}

export function revokeFactor(tenant: string, user: string): Promise<unknown> {
  return request(`${userPath(tenant, user)}/totpSecret/revoke`, { method: 'DELETE' });
}

export interface FactorSecret {
  rawSecret: string;
  otpauthUrl: string;
}

const FACTOR = '/user/currentUser/totpSecret';

export function createFactor(): Promise<FactorSecret> {
  return request<FactorSecret>(FACTOR, { method: 'POST', stayOn401: true });
}

/** Proves that the application shows the right codes and switches the second factor on. */
export async function activateFactor(code: string): Promise<void> {
  await request(`${FACTOR}/verify`, { method: 'POST', body: { code }, stayOn401: true });
  await request(`${FACTOR}/activity`, { method: 'POST', body: { isActive: true }, stayOn401: true });
}
