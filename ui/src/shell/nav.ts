import { IconBell, IconBinaryTree2, IconCpu, IconHistory, IconHome, IconPlugConnected, IconUsers } from '@tabler/icons-react';
import { text } from '../text';

export interface Place {
  to: string;
  label: string;
  icon: typeof IconHome;
  admin?: boolean;
  /** Roles of which one is needed to see the place at all. */
  roles?: string[];
}

export const PLACES: Place[] = [
  { to: '/', label: text.nav.home, icon: IconHome },
  { to: '/devices', label: text.nav.devices, icon: IconCpu },
  { to: '/alarms', label: text.nav.alarms, icon: IconBell },
  { to: '/groups', label: text.nav.groups, icon: IconBinaryTree2 },
  { to: '/registration', label: text.nav.registration, icon: IconPlugConnected },
  {
    to: '/users',
    label: text.nav.users,
    icon: IconUsers,
    admin: true,
    roles: ['ROLE_USER_MANAGEMENT_READ', 'ROLE_USER_MANAGEMENT_ADMIN'],
  },
  { to: '/audit', label: text.nav.audit, icon: IconHistory, admin: true, roles: ['ROLE_AUDIT_READ', 'ROLE_AUDIT_ADMIN'] },
];

/** How many places the bottom bar shows before "More". */
export const BAR_PLACES = 4;
