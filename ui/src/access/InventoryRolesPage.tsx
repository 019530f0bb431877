import './access.css';
import { Button } from '@mantine/core';
import { IconPlus, IconShieldHalf } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { listInventoryRoles } from '../api/access';
import { Panel } from '../parts/Bits';
import { Empty, PageTitle, Shown } from '../parts/States';
import { useHasRole } from '../shell/session';
import { words } from '../text/access';
import { freshly } from './freshly';
import { sayScoped } from './rights';

export function useInventoryRoles() {
  return useQuery({
    queryKey: ['inventoryRoles', 'all'],
    queryFn: ({ signal }) => listInventoryRoles(signal),
    ...freshly,
  });
}

export function InventoryRolesPage() {
  const query = useInventoryRoles();
  const mayChange = useHasRole('ROLE_USER_MANAGEMENT_ADMIN');
  return (
    <>
      <PageTitle title={words.inventoryRoles.title} sub={words.inventoryRoles.sub}>
        {mayChange && (
          <Button component={Link} to="/inventory-roles/new" leftSection={<IconPlus size={16} />}>
            {words.inventoryRoles.create}
          </Button>
        )}
      </PageTitle>
      <Panel>
        <Shown query={query} need="ROLE_USER_MANAGEMENT_READ">
          {(roles) =>
            roles.length ? (
              <ul className="rows">
                {roles.map((role) => (
                  <li key={role.id} data-testid="inventory-role-row">
                    <Link to={`/inventory-roles/${role.id}`} className="plain line-title">
                      {role.name}
                    </Link>
                    {role.description && <div className="soft small break">{role.description}</div>}
                    <div className="small break">
                      {role.permissions.map((one) => sayScoped(one.scope, one.type, one.permission)).join(' · ')}
                    </div>
                  </li>
                ))}
              </ul>
            ) : (
              <Empty icon={<IconShieldHalf size={34} stroke={1.4} aria-hidden="true" />} title={words.inventoryRoles.none}>
                {words.inventoryRoles.noneHint}
              </Empty>
            )
          }
        </Shown>
      </Panel>
    </>
  );
}
