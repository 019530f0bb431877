import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { render, screen } from '@testing-library/react';
import { MemoryRouter } from 'react-router';
import { expect, test } from 'vitest';
import type { Answer, Question } from '../api/access';
import type { CurrentUser } from '../api/shape';
import { remedy, sentence, Verdict } from './Verdict';

const grant = { inventoryRole: 'Manager', scope: 'ALARM', type: '*', permission: 'ADMIN' };
const path = [
  { id: '1', name: 'Homes' },
  { id: '15', name: 'Valve' },
];
const yes: Answer = {
  user: 'bob',
  allowed: true,
  layer: 'INVENTORY_ROLE',
  grants: [{ ...grant, path }],
  text: 'Yes: the inventory role Manager on 1.',
};
const no: Answer = {
  user: 'bob',
  allowed: false,
  missing: [
    { kind: 'INVENTORY_ROLE', name: 'Manager', alsoGrants: 2 },
    { kind: 'GLOBAL_ROLE', name: 'Global Manager', alsoGrants: 14 },
  ],
  text: 'No. Nearest: the inventory role Manager on the object or on a group above it.',
};
const question: Question = { action: 'change', type: 'alarm', object: '15' };

function show(answer: Answer, roles: string[]) {
  const client = new QueryClient({ defaultOptions: { queries: { staleTime: Infinity, retry: false } } });
  const me: CurrentUser = { id: 'me', userName: 'me', effectiveRoles: roles.map((name) => ({ id: name, name })) };
  client.setQueryData(['currentUser'], me);
  client.setQueryData(['currentTenant'], { name: 'main' });
  for (const object of path) client.setQueryData(['device', object.id], object);
  return render(
    <QueryClientProvider client={client}>
      <MantineProvider>
        <MemoryRouter>
          <Verdict answer={answer} question={question} />
        </MemoryRouter>
      </MantineProvider>
    </QueryClientProvider>,
  );
}

test('a yes shows the way from where it was given', () => {
  show(yes, []);
  expect(screen.getByRole('heading', { name: 'Yes' })).toBeTruthy();
  expect(screen.getByText('The inventory role Manager on “Homes”.')).toBeTruthy();
  expect(screen.getAllByRole('listitem').map((item) => item.textContent)).toEqual(['Homes', 'Valve']);
});

test('a no offers what is missing to those who may give it, and only to them', () => {
  const { unmount } = show(no, ['ROLE_USER_MANAGEMENT_ADMIN']);
  expect(screen.getByRole('heading', { name: 'No' })).toBeTruthy();
  const links = screen.getAllByRole('link').map((link) => link.getAttribute('href'));
  expect(links).toEqual(['/users/bob/objects?assign=15&role=Manager', '/users/bob/roles?role=Global%20Manager']);
  unmount();
  show(no, ['ROLE_USER_MANAGEMENT_READ']);
  expect(screen.getAllByTestId('missing-row')).toHaveLength(2);
  expect(screen.queryByRole('link')).toBeNull();
});

test('each kind of missing thing has its screen', () => {
  expect(remedy({ kind: 'PERMISSION', name: 'ROLE_ALARM_ADMIN' }, 'bob', '15')).toBe('/roles?permission=ROLE_ALARM_ADMIN');
  expect(remedy({ kind: 'OWNER', name: 'ann' }, 'bob', '15')).toBe('/device/15/properties');
  expect(remedy({ kind: 'FRAGMENTS', name: 'c8y_A' }, 'bob', '15')).toBe('/inventory-roles');
  expect(remedy({ kind: 'GLOBAL_ROLE', name: 'a&b' }, 'x/y', undefined)).toBe('/users/x%2Fy/roles?role=a%26b');
});

test('the sentence keeps what it cannot name', () => {
  expect(sentence({ ...yes, grants: [{ ...grant, path: [{ id: '1' }] }] })).toBe('The inventory role Manager on 1.');
  expect(sentence({ ...no, text: 'No.' })).toBe('');
});
