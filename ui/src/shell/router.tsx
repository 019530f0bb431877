import { createHashRouter } from 'react-router';
import { Crashed, Unknown } from './Fallback';
import { HomePage } from './HomePage';
import { Shell } from './Shell';

// A hash router, so that every address works from static files under /apps/isobar/.
export const router = createHashRouter([
  {
    path: '/',
    element: <Shell />,
    errorElement: <Crashed />,
    hydrateFallbackElement: <></>,
    children: [
      {
        errorElement: <Crashed />,
        children: [
          { index: true, element: <HomePage /> },
          { path: 'devices', lazy: async () => ({ Component: (await import('../fleet/DevicesPage')).DevicesPage }) },
          { path: 'device/:id/:tab?', lazy: async () => ({ Component: (await import('../device/DevicePage')).DevicePage }) },
          { path: 'alarms', lazy: async () => ({ Component: (await import('../alarm/AlarmsPage')).AlarmsPage }) },
          { path: 'groups/:id?', lazy: async () => ({ Component: (await import('../fleet/GroupsPage')).GroupsPage }) },
          {
            path: 'registration',
            lazy: async () => ({ Component: (await import('../fleet/RegistrationPage')).RegistrationPage }),
          },
          { path: 'users', lazy: async () => ({ Component: (await import('../access/UsersPage')).UsersPage }) },
          { path: 'users/:id/:tab?', lazy: async () => ({ Component: (await import('../access/UserPage')).UserPage }) },
          { path: 'roles', lazy: async () => ({ Component: (await import('../access/GlobalRolesPage')).GlobalRolesPage }) },
          { path: 'roles/:id', lazy: async () => ({ Component: (await import('../access/GlobalRolePage')).GlobalRolePage }) },
          {
            path: 'inventory-roles',
            lazy: async () => ({ Component: (await import('../access/InventoryRolesPage')).InventoryRolesPage }),
          },
          {
            path: 'inventory-roles/:id',
            lazy: async () => ({ Component: (await import('../access/InventoryRolePage')).InventoryRolePage }),
          },
          { path: 'explain', lazy: async () => ({ Component: (await import('../access/ExplainPage')).ExplainPage }) },
          { path: 'audit', lazy: async () => ({ Component: (await import('../access/AuditPage')).AuditPage }) },
          { path: 'tenants', lazy: async () => ({ Component: (await import('../access/TenantsPage')).TenantsPage }) },
          { path: 'account/:tab?', lazy: async () => ({ Component: (await import('../access/AccountPage')).AccountPage }) },
          { path: '*', element: <Unknown /> },
        ],
      },
    ],
  },
]);
