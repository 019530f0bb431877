// Mock of the public API for developing the front: `node mock/server.mjs [port]`, then log in as admin / admin.
// Users with other behaviour: locked, reset (must choose a password), flood (429), reader (few roles).
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { routes } from './routes.mjs';
import { attach, poll } from './realtime.mjs';
import { simulate } from './simulate.mjs';
import { build } from './world.mjs';

const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
const CSP =
  "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self' ws: wss:; font-src 'self'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'";
const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
};

export const mode = { fail: undefined, delayMs: 0 };

async function serveFile(response, path) {
  const [, , first, second, ...rest] = path.split('/');
  const folder = first === 'public' ? join(DIST, second ?? '') : join(DIST, first ?? '');
  const inside = first === 'public' ? rest.join('/') : [second, ...rest].filter((part) => part !== undefined).join('/');
  const file = normalize(join(folder, inside || 'index.html'));
  try {
    if (!file.startsWith(DIST)) throw new Error('outside');
    const content = await readFile(file);
    response.writeHead(200, {
      'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream',
      'Content-Security-Policy': CSP,
    });
    response.end(content);
  } catch {
    response.writeHead(404).end();
  }
}

function bodyOf(request) {
  return new Promise((resolve) => {
    let text = '';
    request.on('data', (part) => (text += part));
    request.on('end', () => {
      if (!text) return resolve({});
      if (/urlencoded/.test(request.headers['content-type'] ?? '')) return resolve(Object.fromEntries(new URLSearchParams(text)));
      return resolve(JSON.parse(text));
    });
  });
}

export function start(port = 8099, { empty = false } = {}) {
  if (!empty) build();
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://mock');
    if (url.pathname === '/') return response.writeHead(302, { Location: '/apps/isobar/' }).end();
    if (url.pathname.startsWith('/apps/')) return serveFile(response, url.pathname);
    const cookies = Object.fromEntries((request.headers.cookie ?? '').split('; ').map((one) => one.split('=')));
    const send = (status, json, headers = {}) => {
      response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
      response.end(json === undefined ? '' : JSON.stringify(json));
    };
    const body = await bodyOf(request);
    if (mode.delayMs) await new Promise((done) => setTimeout(done, mode.delayMs));
    if (mode.fail && url.pathname.startsWith(mode.fail.path))
      return send(mode.fail.status, {
        error: mode.fail.error ?? 'general/internal',
        message: mode.fail.message ?? 'Something broke',
      });
    const user = cookies.authorization;
    const open = url.pathname === '/tenant/loginOptions' || url.pathname === '/tenant/oauth';
    if (!open && !user) return send(401, { error: 'security/Unauthorized', message: 'Full authentication is required' });
    if (!open && request.headers['x-xsrf-token'] !== cookies['XSRF-TOKEN'])
      return send(401, { error: 'security/Unauthorized', message: 'XSRF' });
    if (url.pathname.startsWith('/notification/realtime')) return poll(body, (messages) => send(200, messages));
    for (const [method, pattern, handle] of routes) {
      const match = method === request.method && pattern.exec(url.pathname);
      if (match) return handle({ send, body, query: url.searchParams, args: match.slice(1).map(decodeURIComponent), user });
    }
    return send(404, { error: 'general/notFound', message: `No route ${request.method} ${url.pathname}` });
  });
  const realtime = attach(server);
  const stop = empty ? () => {} : simulate();
  return new Promise((resolve) =>
    server.listen(port, '127.0.0.1', () =>
      resolve({
        server,
        realtime,
        close: () => {
          stop();
          realtime.drop();
          server.closeAllConnections();
          server.close();
        },
      }),
    ),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const port = Number(process.argv[2] ?? 8099);
  await start(port, { empty: process.argv.includes('--empty') });
  console.log(`mock on http://127.0.0.1:${port}/apps/isobar/ (admin / admin)`);
}
