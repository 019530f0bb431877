import './access.css';
import { Anchor, Button, Group as Line, TextInput } from '@mantine/core';
import { IconTrash, IconUsers } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import type { Group } from '../api/shape';
import { addGroupRole, deleteGroup, getGroup, listMembers, listRoles, putGroup, removeGroupRole } from '../api/user';
import { Pager, Panel, sayDone } from '../parts/Bits';
import { Confirm } from '../parts/Confirm';
import { Empty, PageTitle, Rows, Shown } from '../parts/States';
import { useHasRole, useTenant } from '../shell/session';
import { words } from '../text/access';
import { freshly } from './freshly';
import { rolesOf } from './GlobalRolesPage';
import { Refusal } from './Refusal';
import { RoleMatrix } from './RoleMatrix';
import { difference } from './rights';
import { SavePanel } from './WhatIf';

const NEED = 'ROLE_USER_MANAGEMENT_ADMIN';
const MEMBERS = 25;

export function GlobalRolePage() {
  const { id } = useParams();
  const tenant = useTenant().data?.name;
  const number = id === 'new' ? undefined : Number(id);
  const query = useQuery({
    queryKey: ['userGroups', 'one', number],
    queryFn: ({ signal }) => getGroup(tenant ?? '', number ?? 0, signal),
    enabled: Boolean(tenant) && number !== undefined,
    staleTime: 0,
    ...freshly,
  });
  const back = (
    <Anchor component={Link} to="/roles" size="sm">
      {words.roles.back}
    </Anchor>
  );
  if (!tenant) return <Rows />;
  return (
    <>
      {back}
      {number === undefined ? (
        <Editor key="new" tenant={tenant} />
      ) : (
        <Shown query={query} need="ROLE_USER_MANAGEMENT_READ">
          {(group) => <Editor key={group.id} tenant={tenant} group={group} />}
        </Shown>
      )}
    </>
  );
}

/** What is changed and not saved: names, and permissions by whether they are wanted. */
interface Changes {
  name?: string;
  description?: string;
  roles: Record<string, boolean>;
}

function Editor({ tenant, group }: { tenant: string; group?: Group }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const mayChange = useHasRole(NEED);
  const known = useQuery({ queryKey: ['roles'], queryFn: ({ signal }) => listRoles(signal), staleTime: 300_000 });
  const [changes, setChanges] = useState<Changes>({ roles: {} });
  const saved = new Set(group ? rolesOf(group) : []);
  const held = new Set(saved);
  for (const [role, wanted] of Object.entries(changes.roles)) {
    if (wanted) held.add(role);
    else held.delete(role);
  }
  const name = changes.name ?? group?.name ?? '';
  const description = changes.description ?? group?.description ?? '';
  const { added, removed } = difference(saved, held);
  const renamed = name !== (group?.name ?? '') || description !== (group?.description ?? '');
  const dirty = added.length + removed.length > 0 || renamed;

  const save = useMutation({
    mutationFn: async () => {
      const stored = !group || renamed ? await putGroup(tenant, group?.id, { name: name.trim(), description }) : group;
      for (const role of added) await addGroupRole(tenant, stored.id, role);
      // What allows to do this goes last.
      for (const role of removed.sort((a, b) => Number(a === NEED) - Number(b === NEED)))
        await removeGroupRole(tenant, stored.id, role);
      return stored;
    },
    onSuccess: (stored) => {
      sayDone(group ? words.roles.saved : words.roles.created);
      if (!group) void navigate(`/roles/${stored.id}`, { replace: true });
    },
    onSettled: async (_stored, error) => {
      await client.invalidateQueries({ queryKey: ['userGroups'] });
      void client.invalidateQueries({ queryKey: ['currentUser'] });
      void client.invalidateQueries({ queryKey: ['users'] });
      if (!error) setChanges({ roles: {} });
    },
  });
  const remove = useMutation({
    mutationFn: () => deleteGroup(tenant, group?.id ?? 0),
    onSuccess: () => {
      sayDone(words.roles.deleted);
      client.removeQueries({ queryKey: ['userGroups', 'one', group?.id] });
      void client.invalidateQueries({ queryKey: ['userGroups'] });
      void navigate('/roles');
    },
  });
  return (
    <>
      <PageTitle title={group?.name ?? words.roles.create} sub={group?.description}>
        {group && mayChange && (
          <Confirm label={words.roles.delete} question={words.roles.deleteAsk(group.name)} onYes={() => remove.mutate()}>
            {(ask) => (
              <Button variant="default" leftSection={<IconTrash size={16} />} onClick={ask} loading={remove.isPending}>
                {words.roles.delete}
              </Button>
            )}
          </Confirm>
        )}
      </PageTitle>
      <Refusal error={remove.error} need={NEED} />
      <div className="beside" style={{ marginTop: remove.error ? 16 : 0 }}>
        <div className="grid" style={{ gap: 16 }}>
          {mayChange && (
            <Panel padded>
              <Line grow preventGrowOverflow={false} align="start">
                <TextInput
                  label={words.roles.name}
                  required
                  maxLength={254}
                  value={name}
                  miw={160}
                  autoFocus={!group}
                  onChange={(event) => {
                    const { value } = event.currentTarget;
                    setChanges((old) => ({ ...old, name: value }));
                  }}
                />
                <TextInput
                  label={words.roles.description}
                  value={description}
                  miw={160}
                  onChange={(event) => {
                    const { value } = event.currentTarget;
                    setChanges((old) => ({ ...old, description: value }));
                  }}
                />
              </Line>
            </Panel>
          )}
          <Panel title={words.roles.permissions}>
            <Shown query={known} rows={8}>
              {(roles) => (
                <RoleMatrix
                  roles={[...new Set([...roles, ...held])]}
                  held={held}
                  saved={saved}
                  onChange={
                    mayChange
                      ? (role, wanted) => setChanges((old) => ({ ...old, roles: { ...old.roles, [role]: wanted } }))
                      : undefined
                  }
                />
              )}
            </Shown>
          </Panel>
        </div>
        <div className="side">
          {dirty && (
            <SavePanel
              draft={group && { group: { id: group.id, roles: [...held].sort() } }}
              onSave={() => save.mutate()}
              onDiscard={() => {
                setChanges({ roles: {} });
                save.reset();
                if (!group) void navigate('/roles');
              }}
              saving={save.isPending}
              error={save.error}
              invalid={!name.trim()}
            />
          )}
          {group && <Members tenant={tenant} id={group.id} />}
        </div>
      </div>
    </>
  );
}

function Members({ tenant, id }: { tenant: string; id: number }) {
  const [page, setPage] = useState(1);
  const query = useQuery({
    queryKey: ['userGroups', 'members', id, page],
    queryFn: ({ signal }) => listMembers(tenant, id, page, MEMBERS, signal),
    staleTime: 0,
    ...freshly,
  });
  return (
    <Panel title={words.roles.members}>
      <Shown query={query} need="ROLE_USER_MANAGEMENT_READ" rows={2}>
        {(found) =>
          found.items.length ? (
            <>
              <ul className="rows">
                {found.items.map((user) => (
                  <li key={user.id} data-testid="member-row">
                    <Link to={`/users/${encodeURIComponent(user.id)}/roles`} className="plain line-title">
                      {user.userName}
                    </Link>
                    <div className="soft small">
                      {[[user.firstName, user.lastName].filter(Boolean).join(' '), user.enabled === false && words.users.disabled]
                        .filter(Boolean)
                        .join(' · ')}
                    </div>
                  </li>
                ))}
              </ul>
              <Pager data={found} onPage={setPage} />
            </>
          ) : (
            <Empty
              icon={<IconUsers size={30} stroke={1.4} aria-hidden="true" />}
              title={words.roles.noMembers}
              action={
                <Button component={Link} to="/users" variant="light">
                  {words.roles.openUsers}
                </Button>
              }
            >
              {words.roles.noMembersHint}
            </Empty>
          )
        }
      </Shown>
    </Panel>
  );
}
