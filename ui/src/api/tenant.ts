import { request, requestPage, send, type Page } from './http';
import type { LoginOption, Tenant } from './shape';

export function getCurrentTenant(signal?: AbortSignal): Promise<Tenant> {
  return request<Tenant>('/tenant/currentTenant', { signal });
}

export async function getLoginOptions(tenantId?: string, signal?: AbortSignal): Promise<LoginOption[]> {
  const body = await request<{ loginOptions?: LoginOption[] }>('/tenant/loginOptions', {
    query: { tenantId },
    signal,
    stayOn401: true,
  });
  return body.loginOptions ?? [];
}

export interface Credentials {
  tenant?: string;
  user: string;
  password: string;
  tfaCode?: string;
}

/** Logs in with OAI-Secure: the answer is two cookies. */
export function logIn(credentials: Credentials): Promise<Response> {
  const form: Record<string, string> = { grant_type: 'PASSWORD', username: credentials.user, password: credentials.password };
  form.tfa_code = credentials.tfaCode ?? '';
  return send('/tenant/oauth', { method: 'POST', query: { tenant_id: credentials.tenant }, form, stayOn401: true });
}

/** Logs in with the one-time code of a printed link. */
export function logInOnce(code: string): Promise<Response> {
  return send('/tenant/oauth', { method: 'POST', form: { grant_type: 'ONE_TIME', code }, stayOn401: true });
}

/** Asks for a mail with a link that replaces a forgotten password. The answer is the same for every address. */
export function requestReset(tenantId: string | undefined, email: string): Promise<unknown> {
  return request('/user/passwordReset', { method: 'POST', query: { tenantId }, body: { email }, stayOn401: true });
}

export interface Reset {
  tenantId?: string;
  email?: string;
  token: string;
}

/** Sets a password with the token from a mail, or from a login that was refused because the password must be changed. */
export function resetPassword({ tenantId, email, token }: Reset, newPassword: string): Promise<unknown> {
  return request('/user/passwordReset', {
    method: 'PUT',
    query: { tenantId },
    body: { token, email, newPassword },
    stayOn401: true,
  });
}

export interface TenantFactors {
  enabledOnTenantLevel?: boolean;
}

export function getTenantFactors(tenant: string, signal?: AbortSignal): Promise<TenantFactors> {
  return request<TenantFactors>(`/tenant/tenants/${encodeURIComponent(tenant)}/tfa`, { signal });
}

export interface ManagedTenant {
  id: string;
  company?: string;
  domain?: string;
  adminName?: string;
  adminEmail?: string;
  contactName?: string;
  status?: 'ACTIVE' | 'SUSPENDED' | (string & {});
  creationTime?: string;
  parent?: string;
}

export function listTenants(company: string, page: number, pageSize: number, signal?: AbortSignal): Promise<Page<ManagedTenant>> {
  const query = { company: company || undefined, pageSize, currentPage: page, withTotalElements: true };
  return requestPage<ManagedTenant>('/tenant/tenants', 'tenants', query, signal);
}

/** A new tenant; without a password its administrator logs in once with the link, which is shown this one time. */
export interface MadeTenant extends ManagedTenant {
  adminOneTimeLogin?: string;
}

export interface NewTenant {
  company: string;
  domain: string;
  adminEmail: string;
  adminName: string;
  adminPass?: string;
  contactName?: string;
}

export function createTenant(tenant: NewTenant): Promise<MadeTenant> {
  return request<MadeTenant>('/tenant/tenants', { method: 'POST', body: tenant });
}

export function putTenant(id: string, change: Partial<ManagedTenant>): Promise<ManagedTenant> {
  return request<ManagedTenant>(`/tenant/tenants/${encodeURIComponent(id)}`, { method: 'PUT', body: change });
}

export function deleteTenant(id: string): Promise<unknown> {
  return request(`/tenant/tenants/${encodeURIComponent(id)}`, { method: 'DELETE' });
}

/** What was erased with a tenant, and the fingerprint of that list. */
export interface Receipt {
  tenant: string;
  company?: string;
  erasedAt: string;
  by?: string;
  counts?: Record<string, number>;
  sha256?: string;
}

export async function listReceipts(signal?: AbortSignal): Promise<Receipt[]> {
  const body = await request<Receipt[] | { receipts?: Receipt[] }>('/isobar/tenants/receipts', {
    query: { pageSize: 100 },
    signal,
  });
  return Array.isArray(body) ? body : (body?.receipts ?? []);
}
