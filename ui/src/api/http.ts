// One place for the rules of the wire: XSRF header, application key, errors, and what happens on 401.

export const APPLICATION_KEY = 'isobar-application-key';
export const LOGIN_URL = '/apps/public/login/';
export const RETURN_PATH_KEY = 'c8yRedirectAfterLoginPath';

/** An answer that is not a success; status 0 means the server could not be reached. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly path: string;
  readonly retryAfterSeconds?: number;
  /** With a refused login whose password must be changed first: what proves that it was right. */
  resetToken?: string;
  constructor(status: number, code: string, message: string, path: string, retryAfterSeconds?: number) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.path = path;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

type QueryValue = string | number | boolean | undefined | null | string[];
export type Query = Record<string, QueryValue>;

export interface RequestOptions {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  query?: Query;
  body?: unknown;
  form?: Record<string, string>;
  accept?: string;
  contentType?: string;
  signal?: AbortSignal;
  /** The login page handles 401 itself. */
  stayOn401?: boolean;
}

export function readCookie(name: string): string | undefined {
  for (const part of document.cookie.split('; ')) {
    const at = part.indexOf('=');
    if (at > 0 && part.slice(0, at) === name) return decodeURIComponent(part.slice(at + 1));
  }
  return undefined;
}

export function toSearch(query: Query): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined || value === null || value === '') continue;
    if (Array.isArray(value)) value.forEach((one) => search.append(key, one));
    else search.append(key, String(value));
  }
  const text = search.toString();
  return text ? `?${text}` : '';
}

let leaving = false;

/** Leaves for the login page and remembers where the person was. */
export function goToLogin(hash = ''): void {
  if (leaving) return;
  leaving = true;
  try {
    sessionStorage.setItem(RETURN_PATH_KEY, location.pathname + location.search + location.hash);
  } catch {
    // Without session storage the person lands on the home page instead.
  }
  location.assign(LOGIN_URL + hash);
}

function headersFor(options: RequestOptions): Headers {
  const headers = new Headers({
    Accept: options.accept ?? 'application/json',
    UseXBasic: 'true',
    'X-Cumulocity-Application-Key': APPLICATION_KEY,
  });
  const xsrf = readCookie('XSRF-TOKEN');
  if (xsrf) headers.set('X-XSRF-TOKEN', xsrf);
  if (options.form) headers.set('Content-Type', 'application/x-www-form-urlencoded');
  else if (options.body !== undefined) headers.set('Content-Type', options.contentType ?? 'application/json');
  return headers;
}

async function errorFrom(response: Response, path: string): Promise<ApiError> {
  let code = '';
  let message = response.statusText;
  try {
    const body = (await response.json()) as { error?: string; message?: string };
    code = body.error ?? '';
    message = body.message ?? message;
  } catch {
    // Not JSON: the status has to be enough.
  }
  const wait = Number(response.headers.get('Retry-After'));
  const error = new ApiError(response.status, code, message, path, Number.isFinite(wait) && wait > 0 ? wait : undefined);
  error.resetToken = response.headers.get('passwordresettoken') ?? undefined;
  return error;
}

export async function send(path: string, options: RequestOptions = {}): Promise<Response> {
  const url = path + toSearch(options.query ?? {});
  let response: Response;
  try {
    response = await fetch(url, {
      method: options.method ?? 'GET',
      credentials: 'same-origin',
      headers: headersFor(options),
      body: options.form
        ? new URLSearchParams(options.form)
        : options.body === undefined
          ? undefined
          : JSON.stringify(options.body),
      signal: options.signal,
    });
  } catch (cause) {
    if (options.signal?.aborted) throw cause;
    throw new ApiError(0, 'offline', 'The server cannot be reached.', path);
  }
  if (response.ok) return response;
  if (response.status === 401 && !options.stayOn401) goToLogin();
  throw await errorFrom(response, path);
}

/** Sends a request and returns the JSON body, or undefined for an empty one. */
export async function request<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const response = await send(path, options);
  const body = await response.text();
  return (body.trim() ? JSON.parse(body) : undefined) as T;
}

export interface Page<T> {
  items: T[];
  page: number;
  pageSize: number;
  total?: number;
  hasMore: boolean;
}

interface Statistics {
  currentPage?: number;
  pageSize?: number;
  totalPages?: number | null;
  totalElements?: number | null;
}

/** Reads one page of a collection whose array is called `name`. */
export async function requestPage<T>(path: string, name: string, query: Query, signal?: AbortSignal): Promise<Page<T>> {
  const body = await request<Record<string, unknown>>(path, { query, signal });
  const items = (body[name] as T[] | undefined) ?? [];
  const statistics = (body.statistics as Statistics | undefined) ?? {};
  const pageSize = Number(query.pageSize ?? statistics.pageSize ?? 5);
  const page = Number(query.currentPage ?? 1);
  const total = statistics.totalElements ?? undefined;
  const hasMore = total !== undefined ? page * pageSize < total : items.length >= pageSize;
  return { items, page, pageSize, total, hasMore };
}
