import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { fireEvent, render, screen, waitFor } from '@testing-library/react';
import { MemoryRouter } from 'react-router';
import { afterEach, expect, test, vi } from 'vitest';
import { SavePanel } from './WhatIf';

afterEach(() => vi.unstubAllGlobals());

function show(answer: unknown, draft?: Parameters<typeof SavePanel>[0]['draft']) {
  const asked = vi.fn(async (_path: string, _options: RequestInit) => new Response(JSON.stringify(answer)));
  vi.stubGlobal('fetch', asked);
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  client.setQueryData(['currentUser'], { id: 'ann', userName: 'ann' });
  const onSave = vi.fn();
  render(
    <QueryClientProvider client={client}>
      <MantineProvider>
        <MemoryRouter>
          <SavePanel draft={draft} onSave={onSave} onDiscard={() => undefined} saving={false} />
        </MemoryRouter>
      </MantineProvider>
    </QueryClientProvider>,
  );
  return { asked, onSave };
}

const draft = { group: { id: 4, roles: ['ROLE_ALARM_READ'] } };

test('the effects of a draft are asked for and summed up, with a warning about oneself', async () => {
  const effects = [
    { user: 'ann', gained: [], lost: ['ROLE_USER_MANAGEMENT_ADMIN'] },
    { user: 'bob', gained: ['ROLE_ALARM_READ'], lost: [] },
  ];
  const { asked } = show({ affected: 2, effects }, draft);
  await waitFor(() => expect(screen.getByTestId('whatif-gain').textContent).toBe('1 person gains Alarms: read'));
  expect(screen.getByTestId('whatif-lose').textContent).toBe('1 person loses Users: admin');
  expect(screen.getByText(/could not take this back/)).toBeTruthy();
  expect(asked.mock.calls[0][0]).toBe('/isobar/access/whatif');
  expect(JSON.parse(String(asked.mock.calls[0][1].body))).toEqual(draft);
  fireEvent.click(screen.getByRole('button', { name: 'Who gains and loses what' }));
  expect(screen.getByText('bob')).toBeTruthy();
});

test('a new role is held by nobody, so nothing is asked', () => {
  const { asked, onSave } = show({});
  expect(screen.getByText('Nobody has this role yet.')).toBeTruthy();
  expect(asked).not.toHaveBeenCalled();
  fireEvent.click(screen.getByTestId('role-save'));
  expect(onSave).toHaveBeenCalled();
});
