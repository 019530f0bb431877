import { ActionIcon, Button, Checkbox, Group, Modal, Stack, Text } from '@mantine/core';
import { IconPencil, IconPlus, IconShieldHalf, IconTrash } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { deleteAssignment, listAssignments, putAssignment, type Assignment, type InventoryRole } from '../api/access';
import type { User } from '../api/shape';
import { Panel, sayDone, sayFailed } from '../parts/Bits';
import { Confirm } from '../parts/Confirm';
import { Empty, Shown } from '../parts/States';
import { text } from '../text';
import { words } from '../text/access';
import { freshly } from './freshly';
import { useInventoryRoles } from './InventoryRolesPage';
import { Refusal } from './Refusal';
import { objectName, ObjectLink, ObjectPicker, useObject } from './pickers';
import { sayScoped } from './rights';

const NEED = 'ROLE_USER_MANAGEMENT_ADMIN';

interface Props {
  tenant: string;
  user: User;
  mayChange: boolean;
}

/** The inventory roles of a user on objects, and the device permissions of older clients. */
export function Assignments({ tenant, user, mayChange }: Props) {
  const [search, setSearch] = useSearchParams();
  const asked = search.get('assign');
  const [edited, setEdited] = useState<Assignment | 'new' | undefined>(asked !== null && mayChange ? 'new' : undefined);
  const query = useQuery({
    queryKey: ['assignments', user.id],
    queryFn: ({ signal }) => listAssignments(tenant, user.id, signal),
    staleTime: 0,
    ...freshly,
  });
  function close() {
    setEdited(undefined);
    if (asked !== null) setSearch({}, { replace: true });
  }
  const assign = mayChange && (
    <Button
      size="compact-md"
      variant="light"
      leftSection={<IconPlus size={15} />}
      onClick={() => setEdited('new')}
      aria-label={words.users.assign}
      data-testid="assign"
    >
      {words.users.assignShort}
    </Button>
  );
  const permissions = Object.entries(user.devicePermissions ?? {});
  return (
    <div className="grid" style={{ gap: 16 }}>
      <Panel title={words.users.tabs.objects} action={assign}>
        <Shown query={query} need="ROLE_USER_MANAGEMENT_READ" rows={3}>
          {(all) =>
            all.length ? (
              <ul className="rows">
                {all.map((one) => (
                  <Row
                    key={one.id}
                    tenant={tenant}
                    user={user}
                    assignment={one}
                    mayChange={mayChange}
                    edit={() => setEdited(one)}
                  />
                ))}
              </ul>
            ) : (
              <Empty icon={<IconShieldHalf size={34} stroke={1.4} aria-hidden="true" />} title={words.users.noAssignments}>
                {words.users.noAssignmentsHint}
              </Empty>
            )
          }
        </Shown>
      </Panel>
      {permissions.length > 0 && (
        <Panel title={words.users.devicePermissions}>
          <Text size="sm" c="dimmed" px="md">
            {words.users.devicePermissionsHint}
          </Text>
          <ul className="rows">
            {permissions.map(([object, entries]) => (
              <li key={object}>
                <ObjectLink id={object} />
                <div className="soft small break">{entries.map(sayEntry).join(' · ')}</div>
              </li>
            ))}
          </ul>
        </Panel>
      )}
      {edited && query.data && (
        <AssignDialog
          tenant={tenant}
          user={user}
          assignments={query.data}
          edited={edited === 'new' ? undefined : edited}
          firstObject={asked || undefined}
          firstRole={search.get('role') ?? undefined}
          close={close}
        />
      )}
    </div>
  );
}

function sayEntry(entry: string): string {
  const [scope, fragment, level] = entry.split(':');
  return sayScoped(scope, fragment, level);
}

interface RowProps extends Props {
  assignment: Assignment;
  edit: () => void;
}

function Row({ tenant, user, assignment, mayChange, edit }: RowProps) {
  const client = useQueryClient();
  const name = objectName(useObject(assignment.managedObject).data, assignment.managedObject);
  const remove = useMutation({
    mutationFn: () => deleteAssignment(tenant, user.id, assignment.id),
    onSuccess: () => sayDone(words.users.unassigned),
    onError: (error) => sayFailed(error, NEED),
    onSettled: () => client.invalidateQueries({ queryKey: ['assignments', user.id] }),
  });
  return (
    <li className="line" data-testid="assignment-row">
      <div>
        <ObjectLink id={assignment.managedObject} />
        <div className="small break">
          {assignment.roles.map((role, index) => (
            <span key={role.id}>
              {index > 0 && ', '}
              <Link to={`/inventory-roles/${role.id}`} style={{ color: 'inherit' }}>
                {role.name}
              </Link>
            </span>
          ))}
        </div>
      </div>
      {mayChange && (
        <Group gap={4}>
          <ActionIcon variant="subtle" color="gray" size="lg" aria-label={words.users.edit(name)} onClick={edit}>
            <IconPencil size={17} />
          </ActionIcon>
          <Confirm label={text.action.remove} question={words.users.removeAsk(name)} onYes={() => remove.mutate()}>
            {(ask) => (
              <ActionIcon
                variant="subtle"
                color="gray"
                size="lg"
                aria-label={words.users.removeFrom(name)}
                loading={remove.isPending}
                onClick={ask}
              >
                <IconTrash size={17} />
              </ActionIcon>
            )}
          </Confirm>
        </Group>
      )}
    </li>
  );
}

interface DialogProps {
  tenant: string;
  user: User;
  assignments: Assignment[];
  edited?: Assignment;
  firstObject?: string;
  firstRole?: string;
  close: () => void;
}

function AssignDialog({ tenant, user, assignments, edited, firstObject, firstRole, close }: DialogProps) {
  const client = useQueryClient();
  const roles = useInventoryRoles();
  const [object, setObject] = useState(edited?.managedObject ?? firstObject);
  const [changed, setChanged] = useState<Record<number, boolean>>({});
  const there = edited ?? assignments.find((one) => one.managedObject === object);
  const holds = (role: InventoryRole) =>
    changed[role.id] ?? (there?.roles.some((one) => one.id === role.id) || (!edited && role.name === firstRole));
  const chosen = (roles.data ?? []).filter(holds).map((role) => role.id);
  const save = useMutation({
    mutationFn: () => putAssignment(tenant, user.id, there?.id, object ?? '', chosen),
    onSuccess: async () => {
      sayDone(words.users.assigned);
      await client.invalidateQueries({ queryKey: ['assignments', user.id] });
      close();
    },
  });
  return (
    <Modal opened onClose={close} title={words.users.assign} centered closeButtonProps={{ 'aria-label': text.action.close }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <Stack gap="md">
          {edited ? (
            <div>
              <ObjectLink id={edited.managedObject} />
            </div>
          ) : (
            <ObjectPicker key={firstObject} required label={words.users.assignTo} value={object} onChange={setObject} />
          )}
          <Shown query={roles} need="ROLE_USER_MANAGEMENT_READ" rows={3}>
            {(all) => (
              <Checkbox.Group label={words.users.assignRoles} value={chosen.map(String)}>
                <Stack gap={8} mt={6}>
                  {all.map((role) => (
                    <Checkbox
                      key={role.id}
                      value={String(role.id)}
                      label={role.name}
                      description={role.description}
                      onChange={(event) => {
                        const { checked } = event.currentTarget;
                        setChanged((old) => ({ ...old, [role.id]: checked }));
                      }}
                    />
                  ))}
                </Stack>
              </Checkbox.Group>
            )}
          </Shown>
        </Stack>
        <Refusal error={save.error} need={NEED} />
        <Group justify="flex-end" mt="lg">
          <Button variant="default" onClick={close}>
            {text.action.cancel}
          </Button>
          <Button type="submit" loading={save.isPending} disabled={!object || !chosen.length} data-testid="assign-save">
            {text.action.save}
          </Button>
        </Group>
      </form>
    </Modal>
  );
}
