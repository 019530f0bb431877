import { resolve } from 'node:path';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// Two outputs from one source tree: `--mode isobar` is the app, `--mode login` the public login page.
export default defineConfig(({ mode }) => {
  const output = mode === 'login' ? 'login' : 'isobar';
  const testing = mode === 'test';
  const api = process.env.ISOBAR_URL ?? 'http://127.0.0.1:8099';
  const proxied = [
    '/inventory',
    '/measurement',
    '/event',
    '/alarm',
    '/devicecontrol',
    '/identity',
    '/user',
    '/tenant',
    '/audit',
    '/isobar',
  ];
  return {
    root: testing ? import.meta.dirname : resolve(import.meta.dirname, 'src', output === 'login' ? 'login' : 'shell'),
    base: './',
    publicDir: resolve(import.meta.dirname, 'public', output),
    plugins: [react()],
    build: {
      outDir: resolve(import.meta.dirname, 'dist', output),
      emptyOutDir: true,
      target: 'es2022',
      // The served CSP has no data: in font-src, so nothing is inlined.
      assetsInlineLimit: 0,
      chunkSizeWarningLimit: 700,
    },
    server: {
      proxy: {
        ...Object.fromEntries(proxied.map((path) => [path, api])),
        '/notification': { target: api, ws: true },
        '/apps': api,
      },
    },
    test: {
      environment: 'happy-dom',
      include: ['src/**/*.test.{ts,tsx}'],
      setupFiles: [resolve(import.meta.dirname, 'src/parts/test-setup.ts')],
    },
  };
});
