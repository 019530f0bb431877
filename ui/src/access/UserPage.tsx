import './access.css';
import { Anchor, Button, Checkbox, Group, Switch, Tabs, Text, TextInput, Title } from '@mantine/core';
import { IconHistory, IconTrash, IconUserQuestion } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState, type FormEvent } from 'react';
import { Link, useNavigate, useParams, useSearchParams } from 'react-router';
import type { User } from '../api/shape';
import { addToGroup, deleteUser, getUser, putUser, removeFromGroup } from '../api/user';
import { Panel, sayDone, sayFailed } from '../parts/Bits';
import { Confirm } from '../parts/Confirm';
import { sayTime } from '../parts/say';
import { Empty, Rows, Shown } from '../parts/States';
import { TabBar } from '../parts/TabBar';
import { useCurrentUser, useHasRole, useTenant } from '../shell/session';
import { text } from '../text';
import { words } from '../text/access';
import { freshly } from './freshly';
import { Assignments } from './Assignments';
import { UserFactorPanel } from './UserFactor';
import { useGroups } from './GlobalRolesPage';
import { Refusal } from './Refusal';
import { sayPermission } from './rights';
import { SessionList } from './SessionList';
import { SetPassword } from './SetPassword';
import { UserBadges } from './UsersPage';

const NEED = 'ROLE_USER_MANAGEMENT_ADMIN';
const TABS = ['details', 'roles', 'objects', 'security'] as const;

export function UserPage() {
  const { id = '', tab } = useParams();
  const tenant = useTenant().data?.name;
  const query = useQuery({
    queryKey: ['users', 'one', id],
    queryFn: ({ signal }) => getUser(tenant ?? '', id, signal),
    enabled: Boolean(tenant),
    staleTime: 0,
    ...freshly,
  });
  return (
    <>
      <Anchor component={Link} to="/users" size="sm">
        {words.users.back}
      </Anchor>
      {tenant ? (
        <Shown query={query} need="ROLE_USER_MANAGEMENT_READ" rows={4}>
          {(user) => <Loaded key={user.id} tenant={tenant} user={user} tab={TABS.find((one) => one === tab) ?? 'details'} />}
        </Shown>
      ) : (
        <Rows count={4} />
      )}
    </>
  );
}

function Loaded({ tenant, user, tab }: { tenant: string; user: User; tab: (typeof TABS)[number] }) {
  const navigate = useNavigate();
  const client = useQueryClient();
  const self = useCurrentUser().data?.id === user.id;
  const mayChange = useHasRole(NEED, 'ROLE_USER_MANAGEMENT_CREATE');
  const full = [user.firstName, user.lastName].filter(Boolean).join(' ');
  useEffect(() => {
    document.title = `${user.userName} · ${text.app.name}`;
  }, [user.userName]);
  const remove = useMutation({
    mutationFn: () => deleteUser(tenant, user.id),
    onSuccess: () => {
      sayDone(words.users.deleted(user.userName));
      client.removeQueries({ queryKey: ['users', 'one', user.id] });
      void client.invalidateQueries({ queryKey: ['users'] });
      void navigate('/users');
    },
  });
  const path = `/users/${encodeURIComponent(user.id)}`;
  return (
    <>
      <header style={{ display: 'flex', gap: '8px 12px', flexWrap: 'wrap', alignItems: 'center', marginBottom: 14 }}>
        <div style={{ flex: '1 1 220px', minWidth: 0 }}>
          <Title order={1} fz={26} className="break">
            {user.userName} {self && <span className="soft">({words.users.you})</span>}
          </Title>
          <Text size="sm" c="dimmed" className="break">
            {[full, user.email].filter(Boolean).join(' · ')}
          </Text>
          <UserBadges user={user} />
        </div>
        <Group gap={8}>
          <Button
            component={Link}
            to={`/explain?user=${encodeURIComponent(user.id)}`}
            variant="default"
            leftSection={<IconUserQuestion size={16} />}
          >
            {words.users.explain}
          </Button>
          <Button
            component={Link}
            to={`/audit?user=${encodeURIComponent(user.id)}`}
            variant="default"
            leftSection={<IconHistory size={16} />}
          >
            {words.users.audit}
          </Button>
          {mayChange && !self && (
            <Confirm label={words.users.delete} question={words.users.deleteAsk(user.userName)} onYes={() => remove.mutate()}>
              {(ask) => (
                <Button
                  variant="default"
                  leftSection={<IconTrash size={16} />}
                  onClick={ask}
                  loading={remove.isPending}
                  data-testid="user-delete"
                >
                  {words.users.delete}
                </Button>
              )}
            </Confirm>
          )}
        </Group>
      </header>
      <Refusal error={remove.error} need={NEED} />
      <Tabs
        value={tab}
        mt={remove.error ? 'md' : 0}
        onChange={(value) => void navigate(`${path}/${value}`, { replace: true })}
        keepMounted={false}
      >
        <TabBar label={words.users.tabsLabel} tabs={TABS} names={words.users.tabs} active={tab} />
        <Tabs.Panel value="details">
          <Details tenant={tenant} user={user} self={self} mayChange={mayChange} />
        </Tabs.Panel>
        <Tabs.Panel value="roles">
          <Roles tenant={tenant} user={user} mayChange={mayChange} />
        </Tabs.Panel>
        <Tabs.Panel value="objects">
          <Assignments tenant={tenant} user={user} mayChange={mayChange} />
        </Tabs.Panel>
        <Tabs.Panel value="security">
          <div className="split" style={{ alignItems: 'start' }}>
            <div className="grid" style={{ gap: 16 }}>
              <UserFactorPanel tenant={tenant} user={user} self={self} mayChange={mayChange} />
              {mayChange && !self && <SetPassword tenant={tenant} user={user} />}
            </div>
            <SessionList user={user.id} />
          </div>
        </Tabs.Panel>
      </Tabs>
    </>
  );
}

interface PartProps {
  tenant: string;
  user: User;
  mayChange: boolean;
}

const FIELDS = ['firstName', 'lastName', 'email', 'phone'] as const;

function Details({ tenant, user, self, mayChange }: PartProps & { self: boolean }) {
  const client = useQueryClient();
  const [draft, setDraft] = useState<Partial<User>>({});
  const shown = { ...user, ...draft };
  const dirty = Object.entries(draft).some(([key, value]) => (user[key as keyof User] ?? '') !== value);
  const save = useMutation({
    mutationFn: () => putUser(tenant, user.id, draft),
    onSuccess: (stored) => {
      client.setQueryData(['users', 'one', user.id], stored);
      void client.invalidateQueries({ queryKey: ['users', 'list'] });
      setDraft({});
      sayDone(words.users.saved);
    },
  });
  const labels = {
    firstName: text.users.firstName,
    lastName: text.users.lastName,
    email: words.users.email,
    phone: words.users.phone,
  };
  function submit(event: FormEvent) {
    event.preventDefault();
    save.mutate();
  }
  const origin = user.customProperties?.userOrigin;
  return (
    <div className="split" style={{ alignItems: 'start' }}>
      <Panel title={words.users.details} padded>
        <form onSubmit={submit}>
          <div className="grid">
            {FIELDS.map((field) => (
              <TextInput
                key={field}
                label={labels[field]}
                type={field === 'email' ? 'email' : field === 'phone' ? 'tel' : 'text'}
                readOnly={!mayChange}
                autoComplete="off"
                value={shown[field] ?? ''}
                onChange={(event) => {
                  const { value } = event.currentTarget;
                  setDraft((old) => ({ ...old, [field]: value }));
                }}
              />
            ))}
            <Switch
              label={words.users.enabled}
              description={words.users.enabledHint}
              checked={shown.enabled !== false}
              disabled={self || !mayChange}
              onChange={(event) => {
                const { checked } = event.currentTarget;
                setDraft((old) => ({ ...old, enabled: checked }));
              }}
            />
            <Checkbox
              label={words.users.reset}
              checked={Boolean(shown.shouldResetPassword)}
              disabled={!mayChange}
              onChange={(event) => {
                const { checked } = event.currentTarget;
                setDraft((old) => ({ ...old, shouldResetPassword: checked }));
              }}
            />
          </div>
          <Refusal error={save.error} need={NEED} />
          {mayChange && (
            <Group mt="md">
              <Button type="submit" loading={save.isPending} disabled={!dirty} data-testid="user-save">
                {text.action.save}
              </Button>
            </Group>
          )}
        </form>
      </Panel>
      <Panel padded>
        <dl className="facts">
          <dt>{words.users.lastPassword}</dt>
          <dd>{sayTime(user.lastPasswordChange)}</dd>
          {origin && (
            <>
              <dt>{words.users.origin}</dt>
              <dd>{words.users.origins[origin] ?? origin}</dd>
            </>
          )}
          {user.owner && (
            <>
              <dt>{words.users.owner}</dt>
              <dd>
                <Link className="inline-link" to={`/users/${encodeURIComponent(user.owner)}`}>
                  {user.owner}
                </Link>
              </dd>
            </>
          )}
        </dl>
      </Panel>
    </div>
  );
}

function Roles({ tenant, user, mayChange }: PartProps) {
  const client = useQueryClient();
  const [search] = useSearchParams();
  const wanted = search.get('role');
  const all = useGroups(tenant);
  // What was just clicked, so that the box does not jump back while the server is asked.
  const [wish, setWish] = useState<{ group: number; member: boolean }>();
  const change = useMutation({
    mutationFn: ({ group, member }: { group: number; name: string; member: boolean }) =>
      member ? addToGroup(tenant, group, user.id) : removeFromGroup(tenant, group, user.id),
    onSuccess: (_done, { name, member }) => sayDone(member ? words.users.roleGiven(name) : words.users.roleTaken(name)),
    onError: (error) => sayFailed(error, NEED),
    onSettled: async () => {
      await client.invalidateQueries({ queryKey: ['users'] });
      setWish(undefined);
      void client.invalidateQueries({ queryKey: ['userGroups'] });
      void client.invalidateQueries({ queryKey: ['currentUser'] });
    },
  });
  const held = new Set(user.groups?.references?.map((reference) => reference.group.id));
  const direct = user.roles?.references?.map((reference) => reference.role.name) ?? [];
  return (
    <div className="grid" style={{ gap: 16 }}>
      <Panel title={words.users.tabs.roles}>
        <Text size="sm" c="dimmed" px="md" pb="xs">
          {words.users.rolesHint}
        </Text>
        <Shown query={all} need="ROLE_USER_MANAGEMENT_READ" rows={5}>
          {(groups) =>
            groups.length ? (
              <ul className="rows">
                {[...groups]
                  .sort((a, b) => Number(b.name === wanted) - Number(a.name === wanted) || a.name.localeCompare(b.name))
                  .map((group) => (
                    <li
                      key={group.id}
                      className="line"
                      style={group.name === wanted ? { background: 'color-mix(in srgb, var(--accent) 10%, transparent)' } : {}}
                    >
                      <Checkbox
                        label={group.name}
                        description={group.description}
                        checked={wish?.group === group.id ? wish.member : held.has(group.id)}
                        disabled={!mayChange || wish !== undefined}
                        data-testid="user-role"
                        onChange={(event) => {
                          const member = event.currentTarget.checked;
                          setWish({ group: group.id, member });
                          change.mutate({ group: group.id, name: group.name, member });
                        }}
                      />
                      <Link
                        to={`/roles/${group.id}`}
                        className="inline-link small"
                        aria-label={`${words.roles.permissions}: ${group.name}`}
                      >
                        {words.roles.count(group.roles?.references?.length ?? 0)}
                      </Link>
                    </li>
                  ))}
              </ul>
            ) : (
              <Empty title={words.roles.none} />
            )
          }
        </Shown>
      </Panel>
      {direct.length > 0 && (
        <Panel title={words.users.direct} padded>
          {direct.map((role) => (
            <div key={role} title={role}>
              {sayPermission(role)}
            </div>
          ))}
        </Panel>
      )}
    </div>
  );
}
