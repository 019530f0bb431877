import { request, send } from './http';
import type { LoginOption, Tenant } from './shape';

export function getCurrentTenant(signal?: AbortSignal): Promise<Tenant> {
  return request<Tenant>('/tenant/currentTenant', { signal });
}

export async function getLoginOptions(signal?: AbortSignal): Promise<LoginOption[]> {
  const body = await request<{ loginOptions?: LoginOption[] }>('/tenant/loginOptions', { signal, stayOn401: true });
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
