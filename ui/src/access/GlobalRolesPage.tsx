import './access.css';
import { Anchor, Button, TextInput } from '@mantine/core';
import { IconPlus, IconSearch, IconUsersGroup } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useSearchParams } from 'react-router';
import { listGroups } from '../api/user';
import { Panel } from '../parts/Bits';
import { Empty, PageTitle, Rows, Shown } from '../parts/States';
import { useHasRole, useTenant } from '../shell/session';
import { words } from '../text/access';
import { freshly } from './freshly';
import { sayPermission } from './rights';

export const rolesOf = (group: { roles?: { references?: { role: { id: string; name: string } }[] } }) =>
  group.roles?.references?.map((reference) => reference.role.name ?? reference.role.id) ?? [];

export function useGroups(tenant: string | undefined) {
  return useQuery({
    queryKey: ['userGroups', 'all'],
    queryFn: ({ signal }) => listGroups(tenant ?? '', signal),
    enabled: Boolean(tenant),
    ...freshly,
  });
}

export function GlobalRolesPage() {
  const tenant = useTenant().data?.name;
  const mayChange = useHasRole('ROLE_USER_MANAGEMENT_ADMIN');
  const [search, setSearch] = useSearchParams();
  const name = search.get('q') ?? '';
  const permission = search.get('permission');
  const query = useGroups(tenant);
  return (
    <>
      <PageTitle title={words.roles.title} sub={permission ? words.roles.holding(sayPermission(permission)) : words.roles.sub}>
        {mayChange && (
          <Button component={Link} to="/roles/new" leftSection={<IconPlus size={16} />}>
            {words.roles.create}
          </Button>
        )}
      </PageTitle>
      {permission ? (
        <Anchor component={Link} to="/roles" size="sm" mb="md" display="inline-block">
          {words.roles.all}
        </Anchor>
      ) : (
        <TextInput
          type="search"
          aria-label={words.roles.search}
          placeholder={words.roles.search}
          leftSection={<IconSearch size={16} aria-hidden="true" />}
          mb="md"
          maw={360}
          value={name}
          onChange={(event) => setSearch(event.currentTarget.value ? { q: event.currentTarget.value } : {}, { replace: true })}
        />
      )}
      <Panel>
        {!tenant ? (
          <Rows />
        ) : (
          <Shown query={query} need="ROLE_USER_MANAGEMENT_READ">
            {(all) => {
              const shown = all
                .filter((group) => group.name.toLowerCase().includes(name.toLowerCase()))
                .filter((group) => !permission || rolesOf(group).includes(permission))
                .sort((a, b) => a.name.localeCompare(b.name));
              if (!shown.length)
                return <Empty icon={<IconUsersGroup size={34} stroke={1.4} aria-hidden="true" />} title={words.roles.none} />;
              return (
                <ul className="rows">
                  {shown.map((group) => (
                    <li key={group.id} className="line" data-testid="role-row">
                      <div>
                        <Link to={`/roles/${group.id}`} className="plain line-title">
                          {group.name}
                        </Link>
                        {group.description && <div className="soft small break">{group.description}</div>}
                      </div>
                      <span className="soft small">
                        {rolesOf(group).length ? words.roles.count(rolesOf(group).length) : words.roles.noPermissions}
                      </span>
                    </li>
                  ))}
                </ul>
              );
            }}
          </Shown>
        )}
      </Panel>
    </>
  );
}
