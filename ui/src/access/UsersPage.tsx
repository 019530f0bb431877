import './access.css';
import { Button, Checkbox, Group, Modal, PasswordInput, Stack, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconPlus, IconSearch, IconUsers } from '@tabler/icons-react';
import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { Link, useNavigate, useSearchParams } from 'react-router';
import type { User } from '../api/shape';
import { createUser, listUsers, type NewUser } from '../api/user';
import { Badge } from '../parts/Badges';
import { Pager, Panel, sayDone } from '../parts/Bits';
import { Empty, PageTitle, Rows, Shown } from '../parts/States';
import { useCurrentUser, useHasRole, useTenant } from '../shell/session';
import { text } from '../text';
import { words } from '../text/access';
import { freshly } from './freshly';
import { Refusal } from './Refusal';

const PAGE_SIZE = 25;
const SHORTEST_PASSWORD = 8;

export function UsersPage() {
  const tenant = useTenant().data?.name;
  const mayCreate = useHasRole('ROLE_USER_MANAGEMENT_ADMIN', 'ROLE_USER_MANAGEMENT_CREATE');
  const [creating, setCreating] = useState(false);
  return (
    <>
      <PageTitle title={words.users.title} sub={words.users.sub}>
        {mayCreate && (
          <Button leftSection={<IconPlus size={16} />} onClick={() => setCreating(true)} disabled={!tenant}>
            {text.users.create}
          </Button>
        )}
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
  const query = useQuery({
    queryKey: ['users', 'list', name, page],
    queryFn: ({ signal }) => listUsers(tenant, name, page, PAGE_SIZE, signal),
    placeholderData: keepPreviousData,
    ...freshly,
  });
  const find = useDebouncedCallback((value: string) => setSearch(value ? { q: value } : {}, { replace: true }), 250);
  return (
    <>
      <TextInput
        type="search"
        aria-label={text.users.search}
        placeholder={text.users.search}
        title={words.users.searchHint}
        leftSection={<IconSearch size={16} aria-hidden="true" />}
        mb="md"
        maw={360}
        data-testid="user-search"
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
                    <UserRow key={user.id} user={user} />
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
    </>
  );
}

/** What is special about an account, as badges. */
export function UserBadges({ user }: { user: User }) {
  const remote = Boolean(user.customProperties?.userOrigin && user.customProperties.userOrigin !== 'BASIC');
  if (user.enabled !== false && !user.shouldResetPassword && !user.twoFactorAuthenticationEnabled && !remote) return null;
  return (
    <span style={{ display: 'inline-flex', flexWrap: 'wrap', gap: 4 }}>
      {user.enabled === false && <Badge tone="major">{words.users.disabled}</Badge>}
      {user.shouldResetPassword && <Badge tone="minor">{words.users.mustReset}</Badge>}
      {user.twoFactorAuthenticationEnabled && <Badge tone="good">{words.users.factorOn}</Badge>}
      {remote && <Badge tone="quiet">{words.users.remote}</Badge>}
    </span>
  );
}

function UserRow({ user }: { user: User }) {
  const self = useCurrentUser().data?.id === user.id;
  const full = [user.firstName, user.lastName].filter(Boolean).join(' ');
  const groups = user.groups?.references?.map((reference) => reference.group.name) ?? [];
  return (
    <li data-testid="user-row" data-id={user.id} className="line">
      <div>
        <Link to={`/users/${encodeURIComponent(user.id)}`} className="plain line-title">
          {user.userName}
        </Link>{' '}
        {self && <span className="soft">({words.users.you})</span>}
        <div className="soft small break">{[full, user.email].filter(Boolean).join(' · ')}</div>
        <div className="soft small break">{groups.join(', ') || words.users.noRoles}</div>
      </div>
      <UserBadges user={user} />
    </li>
  );
}

function CreateUser({ tenant, close }: { tenant: string; close: () => void }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [user, setUser] = useState<NewUser>({
    userName: '',
    email: '',
    password: '',
    firstName: '',
    lastName: '',
    shouldResetPassword: true,
  });
  const set = (key: keyof NewUser) => (event: { currentTarget: { value: string } }) => {
    const { value } = event.currentTarget;
    setUser((old) => ({ ...old, [key]: value }));
  };
  const create = useMutation({
    mutationFn: () =>
      createUser(tenant, { ...user, firstName: user.firstName || undefined, lastName: user.lastName || undefined }),
    onSuccess: (made) => {
      sayDone(text.users.created(user.userName));
      void client.invalidateQueries({ queryKey: ['users'] });
      void navigate(`/users/${encodeURIComponent(made?.id ?? user.userName)}/roles`);
    },
  });
  function submit(event: FormEvent) {
    event.preventDefault();
    create.mutate();
  }
  return (
    <Modal opened onClose={close} title={text.users.create} centered closeButtonProps={{ 'aria-label': text.action.close }}>
      <form onSubmit={submit}>
        <Stack gap="sm">
          <TextInput
            label={text.users.userName}
            required
            pattern="[^\s\/+$:\\]+"
            value={user.userName}
            onChange={set('userName')}
            autoComplete="off"
            data-autofocus
          />
          <TextInput
            label={text.users.email}
            type="email"
            required
            value={user.email}
            onChange={set('email')}
            autoComplete="off"
          />
          <Group grow>
            <TextInput label={text.users.firstName} value={user.firstName} onChange={set('firstName')} />
            <TextInput label={text.users.lastName} value={user.lastName} onChange={set('lastName')} />
          </Group>
          <PasswordInput
            label={words.users.first}
            description={words.users.policy}
            required
            minLength={SHORTEST_PASSWORD}
            value={user.password}
            onChange={set('password')}
            autoComplete="new-password"
          />
          <Checkbox
            label={words.users.firstReset}
            checked={user.shouldResetPassword}
            onChange={(event) => {
              const { checked } = event.currentTarget;
              setUser((old) => ({ ...old, shouldResetPassword: checked }));
            }}
          />
        </Stack>
        <Refusal error={create.error} need="ROLE_USER_MANAGEMENT_ADMIN" />
        <Group justify="flex-end" mt="lg">
          <Button variant="default" onClick={close}>
            {text.action.cancel}
          </Button>
          <Button type="submit" loading={create.isPending} data-testid="user-create">
            {text.action.create}
          </Button>
        </Group>
      </form>
    </Modal>
  );
}
