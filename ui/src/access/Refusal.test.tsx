import { MantineProvider } from '@mantine/core';
import { render, screen } from '@testing-library/react';
import { expect, test } from 'vitest';
import { ApiError } from '../api/http';
import { Refusal } from './Refusal';

const show = (status: number, message: string) =>
  render(
    <MantineProvider>
      <Refusal error={new ApiError(status, '', message, '/')} need="ROLE_USER_MANAGEMENT_ADMIN" />
    </MantineProvider>,
  );

test('a bare denial names the permission, a reasoned one keeps its reason', () => {
  const { unmount } = show(403, 'Access is denied');
  expect(screen.getByText(/ROLE_USER_MANAGEMENT_ADMIN/)).toBeTruthy();
  unmount();
  show(403, 'Access is denied. The permission ROLE_TENANT_ADMIN is needed');
  expect(screen.getByText(/needs the role ROLE_TENANT_ADMIN/)).toBeTruthy();
  show(403, 'the password in currentUserPassword is not that of the caller');
  expect(screen.getByText('The password in currentUserPassword is not that of the caller')).toBeTruthy();
});
