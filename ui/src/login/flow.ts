// What the login page decides, apart from how it looks.
import { ApiError, RETURN_PATH_KEY } from '../api/http';
import type { Reset } from '../api/tenant';
import { text } from '../text';

export const HOME_URL = '/apps/isobar/';

/** The code of a printed link: `#otp=<code>` or `#/token/<code>`. */
export function oneTimeCode(hash: string): string | undefined {
  const match = /^#(?:\/?otp=|\/token\/)(.+)$/.exec(hash);
  return match ? decodeURIComponent(match[1]) : undefined;
}

/** What applications hand on to the login page; with one of these in its address an application sends everybody here, logged in or not. */
const HANDED_ON = ['email', 'token', 'code', 'session_state', 'error', 'error_description'];

/** Only paths of this origin are followed; anything else leads home. What was meant for the login page is taken out of them. */
export function safeReturnPath(stored: string | null, origin: string): string {
  if (!stored?.startsWith('/')) return HOME_URL;
  let url: URL;
  try {
    url = new URL(stored, origin); // as the browser will read it: it ignores tabs and takes backslashes for slashes
  } catch {
    return HOME_URL;
  }
  if (url.origin !== origin || url.pathname.startsWith('/apps/public/login')) return HOME_URL;
  if (HANDED_ON.some((name) => url.searchParams.has(name))) HANDED_ON.forEach((name) => url.searchParams.delete(name));
  return url.pathname + url.search + url.hash;
}

export function returnPath(): string {
  try {
    return safeReturnPath(sessionStorage.getItem(RETURN_PATH_KEY), location.origin);
  } catch {
    return HOME_URL; // Storage may be blocked.
  }
}

/** Where older applications keep Basic credentials. They prefer them to our cookie, so that old ones would lead back here without end. */
const OLD_KEYS = ['_tcy8', 'TFAToken'];

export function leave(): void {
  const path = returnPath();
  try {
    sessionStorage.removeItem(RETURN_PATH_KEY);
    for (const storage of [localStorage, sessionStorage]) OLD_KEYS.forEach((key) => storage.removeItem(key));
  } catch {
    // Then nothing was stored.
  }
  location.replace(path);
}

/** The link of a mail that replaces a forgotten password, as the query of the address. */
export function mailedReset(search: string): Reset | undefined {
  const query = new URLSearchParams(search);
  const token = query.get('token');
  const email = query.get('email');
  return token && email ? { token, email, tenantId: query.get('tenantId') ?? undefined } : undefined;
}

/** Where a button of single sign-on leads: the server's address, with the page to come back to. */
export function ssoAddress(initRequest: string | undefined, back: string, origin: string): string {
  const url = new URL(initRequest ?? '/tenant/oauth?response_type=code', origin);
  if (!url.searchParams.has('originUri')) url.searchParams.set('originUri', new URL(back, origin).href);
  return url.href;
}

/** What a browser or a provider can say at most: the text comes from the address, so that anybody may have written it. */
const SAID_AT_MOST = 300;

/** Why a single sign-on failed, as the query of the address tells it. */
export function ssoRefusal(search: string): Refusal | undefined {
  const query = new URLSearchParams(search);
  const error = query.get('error');
  if (!error) return undefined;
  return { kind: 'server', message: text.login.ssoFailed((query.get('error_description') || error).slice(0, SAID_AT_MOST)) };
}

export interface Refusal {
  kind: 'wrong' | 'locked' | 'down' | 'tooMany' | 'code' | 'setup' | 'reset' | 'server';
  message: string;
  waitSeconds?: number;
}

const DEFAULT_WAIT_SECONDS = 30;

export function refusalOf(error: unknown, gaveCode: boolean): Refusal {
  if (!(error instanceof ApiError)) return { kind: 'server', message: String(error) };
  if (error.status === 0 || error.status === 502 || error.status === 503) return { kind: 'down', message: text.login.down };
  if (error.status === 429) {
    const waitSeconds = error.retryAfterSeconds ?? DEFAULT_WAIT_SECONDS;
    return { kind: 'tooMany', message: text.login.tooMany(waitSeconds), waitSeconds };
  }
  if (error.resetToken) return { kind: 'reset', message: text.login.expired };
  if (/TOTP setup required/i.test(error.message)) return { kind: 'setup', message: text.login.setupHint };
  if (/totp|pin/i.test(error.message)) return { kind: 'code', message: gaveCode ? text.login.wrongCode : text.login.needCode };
  if (/locked/i.test(error.message)) return { kind: 'locked', message: text.login.locked };
  if (error.status === 401 || error.status === 403) return { kind: 'wrong', message: text.login.wrong };
  return { kind: 'server', message: text.login.server(error.status, error.message) };
}
