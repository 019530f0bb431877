import './access.css';
import { ActionIcon, Anchor, Button, Group as Line, Select, Text, TextInput } from '@mantine/core';
import { IconPlus, IconTrash, IconX } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import {
  deleteInventoryRole,
  getInventoryRole,
  LEVELS,
  putInventoryRole,
  SCOPES,
  type InventoryRole,
  type RolePermission,
} from '../api/access';
import { Panel, sayDone } from '../parts/Bits';
import { Confirm } from '../parts/Confirm';
import { PageTitle, Shown } from '../parts/States';
import { useHasRole } from '../shell/session';
import { words } from '../text/access';
import { freshly } from './freshly';
import { Refusal } from './Refusal';
import { SavePanel } from './WhatIf';

const NEED = 'ROLE_USER_MANAGEMENT_ADMIN';
const FIRST: RolePermission = { scope: '*', type: '*', permission: 'READ' };

export function InventoryRolePage() {
  const { id } = useParams();
  const number = id === 'new' ? undefined : Number(id);
  const query = useQuery({
    queryKey: ['inventoryRoles', 'one', number],
    queryFn: ({ signal }) => getInventoryRole(number ?? 0, signal),
    enabled: number !== undefined,
    staleTime: 0,
    ...freshly,
  });
  return (
    <>
      <Anchor component={Link} to="/inventory-roles" size="sm">
        {words.inventoryRoles.back}
      </Anchor>
      {number === undefined ? (
        <Editor key="new" />
      ) : (
        <Shown query={query} need="ROLE_USER_MANAGEMENT_READ">
          {(role) => <Editor key={role.id} role={role} />}
        </Shown>
      )}
    </>
  );
}

type Changes = Partial<Omit<InventoryRole, 'id'>>;

const bare = (list: RolePermission[]) => list.map(({ scope, type, permission }) => ({ scope, type: type.trim(), permission }));

function Editor({ role }: { role?: InventoryRole }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const mayChange = useHasRole(NEED);
  const [changes, setChanges] = useState<Changes>({});
  const start: Omit<InventoryRole, 'id'> = role ?? { name: '', description: '', permissions: [FIRST] };
  const name = changes.name ?? start.name;
  const description = changes.description ?? start.description ?? '';
  const permissions = changes.permissions ?? start.permissions;
  const set = (change: Changes) => setChanges((old) => ({ ...old, ...change }));
  const change = (at: number, part: Partial<RolePermission>) =>
    set({ permissions: permissions.with(at, { ...permissions[at], ...part }) });
  const written = { name: name.trim(), description, permissions: bare(permissions) };
  const dirty =
    JSON.stringify(written) !==
    JSON.stringify({ name: start.name, description: start.description ?? '', permissions: bare(start.permissions) });
  const invalid = !written.name || !permissions.length || written.permissions.some((one) => !one.type);

  const save = useMutation({
    mutationFn: () => putInventoryRole(role?.id, written),
    onSuccess: async (stored) => {
      sayDone(role ? words.inventoryRoles.saved : words.inventoryRoles.created);
      await client.invalidateQueries({ queryKey: ['inventoryRoles'] });
      void client.invalidateQueries({ queryKey: ['assignments'] });
      setChanges({});
      if (!role) void navigate(`/inventory-roles/${stored.id}`, { replace: true });
    },
  });
  const remove = useMutation({
    mutationFn: () => deleteInventoryRole(role?.id ?? 0),
    onSuccess: () => {
      sayDone(words.inventoryRoles.deleted);
      client.removeQueries({ queryKey: ['inventoryRoles', 'one', role?.id] });
      void client.invalidateQueries({ queryKey: ['inventoryRoles'] });
      void navigate('/inventory-roles');
    },
  });
  return (
    <>
      <PageTitle title={role?.name ?? words.inventoryRoles.create} sub={role?.description}>
        {role && mayChange && (
          <Confirm
            label={words.inventoryRoles.delete}
            question={words.inventoryRoles.deleteAsk(role.name)}
            onYes={() => remove.mutate()}
          >
            {(ask) => (
              <Button variant="default" leftSection={<IconTrash size={16} />} onClick={ask} loading={remove.isPending}>
                {words.inventoryRoles.delete}
              </Button>
            )}
          </Confirm>
        )}
      </PageTitle>
      <Refusal error={remove.error} need={NEED} />
      <div className="beside" style={{ marginTop: remove.error ? 16 : 0 }}>
        <div className="grid" style={{ gap: 16 }}>
          <Panel padded>
            <Line grow preventGrowOverflow={false} align="start">
              <TextInput
                label={words.roles.name}
                required
                miw={160}
                value={name}
                readOnly={!mayChange}
                autoFocus={!role}
                onChange={(event) => set({ name: event.currentTarget.value })}
              />
              <TextInput
                label={words.roles.description}
                miw={160}
                value={description}
                readOnly={!mayChange}
                onChange={(event) => set({ description: event.currentTarget.value })}
              />
            </Line>
          </Panel>
          <Panel title={words.inventoryRoles.permissions}>
            <ul className="rows">
              {permissions.map((one, at) => (
                <li key={at} className="permission" data-testid="permission-row">
                  <div>
                    <Select
                      label={words.inventoryRoles.level}
                      allowDeselect={false}
                      disabled={!mayChange}
                      data={LEVELS.map((value) => ({ value, label: words.scopeLevel[value] }))}
                      value={one.permission}
                      onChange={(value) => change(at, { permission: value ?? 'READ' })}
                    />
                  </div>
                  <div>
                    <Select
                      label={words.inventoryRoles.scope}
                      allowDeselect={false}
                      disabled={!mayChange}
                      data={SCOPES.map((value) => ({ value, label: words.scope[value] }))}
                      value={one.scope}
                      onChange={(value) => change(at, { scope: value ?? '*' })}
                    />
                  </div>
                  <div>
                    <TextInput
                      label={words.inventoryRoles.fragment}
                      placeholder={words.inventoryRoles.fragmentHint}
                      title={words.inventoryRoles.fragmentHint}
                      readOnly={!mayChange}
                      value={one.type}
                      onChange={(event) => change(at, { type: event.currentTarget.value })}
                    />
                  </div>
                  {mayChange && (
                    <ActionIcon
                      variant="subtle"
                      color="gray"
                      size="lg"
                      aria-label={words.inventoryRoles.remove(at + 1)}
                      onClick={() => set({ permissions: permissions.toSpliced(at, 1) })}
                    >
                      <IconX size={17} />
                    </ActionIcon>
                  )}
                </li>
              ))}
            </ul>
            {!permissions.length && (
              <Text size="sm" px="md" pb="sm">
                {words.inventoryRoles.needOne}
              </Text>
            )}
            {mayChange && (
              <div style={{ padding: '4px 16px 16px' }}>
                <Button
                  variant="light"
                  leftSection={<IconPlus size={16} />}
                  onClick={() => set({ permissions: [...permissions, FIRST] })}
                >
                  {words.inventoryRoles.add}
                </Button>
              </div>
            )}
          </Panel>
        </div>
        <div className="side">
          {dirty && (
            <SavePanel
              draft={role && { inventoryRole: { id: role.id, permissions: written.permissions } }}
              onSave={() => save.mutate()}
              onDiscard={() => {
                setChanges({});
                save.reset();
                if (!role) void navigate('/inventory-roles');
              }}
              saving={save.isPending}
              error={save.error}
              invalid={invalid}
            />
          )}
        </div>
      </div>
    </>
  );
}
