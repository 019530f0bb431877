import {
  IconBell,
  IconBinaryTree2,
  IconBuildings,
  IconCpu,
  IconHistory,
  IconHome,
  IconPlugConnected,
  IconShieldHalf,
  IconUserQuestion,
  IconUsers,
  IconUsersGroup,
} from '@tabler/icons-react';
import { text } from '../text';

export interface Place {
  to: string;
  label: string;
  icon: typeof IconHome;
  /** Whether it belongs to the section of access. */
  access?: boolean;
  /** Roles of which one is needed to see the place at all. */
  roles?: string[];
  /** Whether it exists only in tenants that may have tenants below them. */
  management?: boolean;
}

const SEES_USERS = ['ROLE_USER_MANAGEMENT_READ', 'ROLE_USER_MANAGEMENT_ADMIN', 'ROLE_USER_MANAGEMENT_CREATE'];
const SEES_TENANTS = ['READ', 'ADMIN', 'CREATE', 'UPDATE'].map((level) => `ROLE_TENANT_MANAGEMENT_${level}`);

export const PLACES: Place[] = [
  { to: '/', label: text.nav.home, icon: IconHome },
  { to: '/devices', label: text.nav.devices, icon: IconCpu },
  { to: '/alarms', label: text.nav.alarms, icon: IconBell },
  { to: '/groups', label: text.nav.groups, icon: IconBinaryTree2 },
  { to: '/registration', label: text.nav.registration, icon: IconPlugConnected },
  { to: '/users', label: text.nav.users, icon: IconUsers, access: true, roles: SEES_USERS },
  { to: '/roles', label: text.nav.roles, icon: IconUsersGroup, access: true, roles: SEES_USERS },
  { to: '/inventory-roles', label: text.nav.inventoryRoles, icon: IconShieldHalf, access: true, roles: SEES_USERS },
  { to: '/explain', label: text.nav.explain, icon: IconUserQuestion, access: true, roles: SEES_USERS },
  { to: '/audit', label: text.nav.audit, icon: IconHistory, access: true, roles: ['ROLE_AUDIT_READ', 'ROLE_AUDIT_ADMIN'] },
  { to: '/tenants', label: text.nav.tenants, icon: IconBuildings, access: true, roles: SEES_TENANTS, management: true },
];

/** How many places the bottom bar shows before "More". */
export const BAR_PLACES = 4;
