import '@mantine/core/styles.css';
import '../parts/app.css';
import './shell.css';
import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { lazy, StrictMode, Suspense } from 'react';
import { createRoot } from 'react-dom/client';
import { RouterProvider } from 'react-router/dom';
import { ApiError, LOGIN_URL } from '../api/http';
import { theme } from '../parts/theme';
import { router } from './router';

const Toaster = lazy(async () => ({ default: (await import('../parts/Toaster')).Toaster }));

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // Realtime keeps data fresh; a refetch is only a safety net.
      staleTime: 60_000,
      retry: (failures, error) => failures < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
      refetchOnWindowFocus: false,
      // The browser's opinion of being online does not matter on a closed network.
      networkMode: 'always',
      refetchOnReconnect: 'always',
    },
    mutations: { networkMode: 'always' },
  },
});

// The link in a mail leads to the root of the server, and from there to here.
const query = new URLSearchParams(location.search);
if (query.has('token') && query.has('email')) location.replace(LOGIN_URL + location.search);

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <Suspense>
        <Toaster />
      </Suspense>
      <QueryClientProvider client={client}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
