import { Button, Group, Switch, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconPlus, IconSearch, IconUsers } from '@tabler/icons-react';
import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useSearchParams } from 'react-router';
import type { User } from '../api/shape';
import { listUsers, putUser } from '../api/user';
import { Pager, Panel, sayFailed } from '../parts/Bits';
import { Empty, PageTitle, Rows, Shown } from '../parts/States';
import { useCurrentUser, useTenant } from '../shell/session';
import { text } from '../text';
import { CreateUser, UserGroups } from './UserDialogs';

const PAGE_SIZE = 25;

export function UsersPage() {
  const tenant = useTenant().data?.name;
  const [creating, setCreating] = useState(false);
  return (
    <>
      <PageTitle title={text.users.title}>
        <Button leftSection={<IconPlus size={16} />} onClick={() => setCreating(true)} disabled={!tenant}>
          {text.users.create}
        </Button>
      </PageTitle>
      {tenant ? (
        <UserList tenant={tenant} />
      ) : (
        <Panel>
          <Rows />
        </Panel>
      )}
      {tenant && creating && <CreateUser tenant={tenant} close={() => setCreating(false)} />}
    </>
  );
}

function UserList({ tenant }: { tenant: string }) {
  const [search, setSearch] = useSearchParams();
  const page = Math.max(1, Number(search.get('page')) || 1);
  const name = search.get('q') ?? '';
  const [typed, setTyped] = useState(name);
  const [managed, setManaged] = useState<User>();
  const query = useQuery({
    queryKey: ['users', name, page],
    queryFn: ({ signal }) => listUsers(tenant, name, page, PAGE_SIZE, signal),
    placeholderData: keepPreviousData,
  });
  const find = useDebouncedCallback((value: string) => setSearch(value ? { q: value } : {}, { replace: true }), 250);
  return (
    <>
      <TextInput
        type="search"
        aria-label={text.users.search}
        placeholder={text.users.search}
        leftSection={<IconSearch size={16} aria-hidden="true" />}
        mb="md"
        maw={360}
        value={typed}
        onChange={(event) => {
          setTyped(event.currentTarget.value);
          find(event.currentTarget.value.trim());
        }}
      />
      <Panel>
        <Shown query={query} need="ROLE_USER_MANAGEMENT_READ">
          {(data) =>
            data.items.length ? (
              <>
                <ul className="rows">
                  {data.items.map((user) => (
                    <UserRow key={user.id} tenant={tenant} user={user} manage={() => setManaged(user)} />
                  ))}
                </ul>
                <Pager data={data} onPage={(to) => setSearch({ ...(name ? { q: name } : {}), page: String(to) })} />
              </>
            ) : (
              <Empty icon={<IconUsers size={34} stroke={1.4} aria-hidden="true" />} title={text.users.none} />
            )
          }
        </Shown>
      </Panel>
      {managed && <UserGroups tenant={tenant} user={managed} close={() => setManaged(undefined)} />}
    </>
  );
}

function UserRow({ tenant, user, manage }: { tenant: string; user: User; manage: () => void }) {
  const client = useQueryClient();
  const self = useCurrentUser().data?.id === user.id;
  const toggle = useMutation({
    mutationFn: (enabled: boolean) => putUser(tenant, user.id, { enabled }),
    onSettled: () => client.invalidateQueries({ queryKey: ['users'] }),
    onError: (error) => sayFailed(error, 'ROLE_USER_MANAGEMENT_ADMIN'),
  });
  const enabled = toggle.isPending ? toggle.variables : user.enabled !== false;
  const full = [user.firstName, user.lastName].filter(Boolean).join(' ');
  const groups = user.groups?.references?.map((reference) => reference.group.name) ?? [];
  return (
    <li
      data-testid="user-row"
      data-id={user.id}
      style={{ display: 'flex', flexWrap: 'wrap', gap: '8px 20px', alignItems: 'center' }}
    >
      <div style={{ flex: '1 1 220px', minWidth: 0 }}>
        <div className="break" style={{ fontWeight: 600 }}>
          {user.userName} {self && <span className="soft">({text.users.you})</span>}
        </div>
        <div className="soft break" style={{ fontSize: 13 }}>
          {[full, user.email, groups.join(', ')].filter(Boolean).join(' · ')}
        </div>
      </div>
      <Group gap="md">
        <Switch
          label={text.users.enabled}
          aria-label={text.users.enable(user.userName)}
          checked={enabled}
          disabled={self || toggle.isPending}
          onChange={(event) => toggle.mutate(event.currentTarget.checked)}
        />
        <Button
          size="compact-md"
          variant="default"
          leftSection={<IconUsers size={15} />}
          onClick={manage}
          aria-label={text.users.editGroups(user.userName)}
        >
          {text.users.manage}
        </Button>
      </Group>
    </li>
  );
}
