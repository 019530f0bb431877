// What the login page decides, apart from how it looks.
import { ApiError, RETURN_PATH_KEY } from '../api/http';
import { text } from '../text';

export const HOME_URL = '/apps/isobar/';

/** The code of a printed link: `#otp=<code>` or `#/token/<code>`. */
export function oneTimeCode(hash: string): string | undefined {
  const match = /^#(?:\/?otp=|\/token\/)(.+)$/.exec(hash);
  return match ? decodeURIComponent(match[1]) : undefined;
}

/** Only paths of this origin are followed; anything else leads home. */
export function safeReturnPath(stored: string | null): string {
  if (!stored || !stored.startsWith('/') || stored.startsWith('//') || stored.startsWith('/\\')) return HOME_URL;
  return stored.startsWith('/apps/public/login') ? HOME_URL : stored;
}

export function leave(): void {
  let stored: string | null = null;
  try {
    stored = sessionStorage.getItem(RETURN_PATH_KEY);
    sessionStorage.removeItem(RETURN_PATH_KEY);
  } catch {
    // Storage may be blocked.
  }
  location.replace(safeReturnPath(stored));
}

export interface Refusal {
  kind: 'wrong' | 'locked' | 'down' | 'tooMany' | 'code' | 'server';
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
  if (/totp|pin/i.test(error.message)) return { kind: 'code', message: gaveCode ? text.login.wrongCode : text.login.needCode };
  if (/locked/i.test(error.message)) return { kind: 'locked', message: text.login.locked };
  if (error.status === 401 || error.status === 403) return { kind: 'wrong', message: text.login.wrong };
  return { kind: 'server', message: text.login.server(error.status, error.message) };
}
