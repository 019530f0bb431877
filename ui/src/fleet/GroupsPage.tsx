import { ActionIcon, Button, Group, Text } from '@mantine/core';
import {
  IconBinaryTree2,
  IconChevronDown,
  IconChevronRight,
  IconFolder,
  IconFolderPlus,
  IconPlus,
  IconTrash,
  IconX,
} from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import {
  createGroup,
  createSubGroup,
  deleteGroup,
  getDevice,
  listChildren,
  listRootGroups,
  removeMember,
} from '../api/inventory';
import type { Device } from '../api/shape';
import { Panel, sayDone, sayFailed } from '../parts/Bits';
import { Confirm } from '../parts/Confirm';
import { Empty, Forbidden, PageTitle, Rows, Shown } from '../parts/States';
import { useHasRole } from '../shell/session';
import { text } from '../text';
import { DeviceCards, nameOf } from './DeviceRows';
import { AddDevice, NameDialog } from './GroupDialogs';

const MOST_ROOTS = 200;
const MOST_MEMBERS = 500;
const NEED = 'ROLE_INVENTORY_ADMIN';

const membersKey = (id: string) => ['groups', 'members', id];

function useMembers(id: string, enabled = true) {
  return useQuery({
    queryKey: membersKey(id),
    queryFn: ({ signal }) => listChildren(id, 'childAssets', MOST_MEMBERS, signal),
    enabled,
  });
}

export function GroupsPage() {
  const { id } = useParams();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [creating, setCreating] = useState(false);
  const roots = useQuery({ queryKey: ['groups', 'roots'], queryFn: ({ signal }) => listRootGroups(1, MOST_ROOTS, signal) });
  const create = useMutation({
    mutationFn: createGroup,
    onSuccess: (group) => {
      sayDone(text.groups.created);
      setCreating(false);
      void client.invalidateQueries({ queryKey: ['groups'] });
      void navigate(`/groups/${group.id}`);
    },
    onError: (error) => sayFailed(error, NEED),
  });
  const createButton = (
    <Button leftSection={<IconPlus size={16} />} onClick={() => setCreating(true)}>
      {text.groups.create}
    </Button>
  );
  const empty = roots.data?.items.length === 0;
  const may = useHasRole('ROLE_INVENTORY_READ', 'ROLE_INVENTORY_ADMIN', 'ROLE_INVENTORY_CREATE');
  if (empty && !may)
    return (
      <>
        <PageTitle title={text.groups.title} />
        <Panel>
          <Forbidden need="ROLE_INVENTORY_READ" />
        </Panel>
      </>
    );
  return (
    <>
      <PageTitle title={text.groups.title}>{!empty && createButton}</PageTitle>
      {empty ? (
        <Panel>
          <Empty icon={<IconFolder size={34} stroke={1.4} aria-hidden="true" />} title={text.groups.none} action={createButton}>
            {text.groups.noneHint}
          </Empty>
        </Panel>
      ) : (
        <div className="split" style={{ alignItems: 'start' }}>
          <Panel title={text.groups.tree}>
            <Shown query={roots} need="ROLE_INVENTORY_READ">
              {(page) => (
                <ul style={{ listStyle: 'none', margin: 0, padding: '0 8px 12px' }}>
                  {page.items.map((group) => (
                    <Branch key={group.id} group={group} depth={0} />
                  ))}
                </ul>
              )}
            </Shown>
          </Panel>
          {id ? (
            <Members key={id} id={id} />
          ) : (
            <Panel>
              <Empty icon={<IconBinaryTree2 size={34} stroke={1.4} aria-hidden="true" />} title={text.groups.pick} />
            </Panel>
          )}
        </div>
      )}
      <NameDialog
        opened={creating}
        close={() => setCreating(false)}
        title={text.groups.create}
        busy={create.isPending}
        onName={(name) => create.mutate(name)}
      />
    </>
  );
}

function Branch({ group, depth }: { group: Device; depth: number }) {
  const { id: shown } = useParams();
  const [open, setOpen] = useState(false);
  const members = useMembers(group.id, open);
  const name = nameOf(group);
  const groups = members.data?.filter((member) => member.c8y_IsDeviceGroup) ?? [];
  const current = shown === group.id;
  return (
    <li>
      <div
        style={{
          display: 'flex',
          alignItems: 'center',
          gap: 4,
          paddingInlineStart: depth * 18,
          borderRadius: 8,
          background: current ? 'color-mix(in srgb, var(--accent) 14%, transparent)' : undefined,
        }}
      >
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-expanded={open}
          aria-label={open ? text.groups.collapse(name) : text.groups.expand(name)}
          onClick={() => setOpen(!open)}
        >
          {open ? <IconChevronDown size={17} /> : <IconChevronRight size={17} />}
        </ActionIcon>
        <Link
          to={`/groups/${group.id}`}
          aria-current={current ? 'page' : undefined}
          style={{
            display: 'flex',
            gap: 8,
            alignItems: 'center',
            flex: 1,
            padding: '9px 4px',
            color: 'inherit',
            textDecoration: 'none',
            minWidth: 0,
          }}
        >
          <IconFolder size={18} stroke={1.6} aria-hidden="true" style={{ flex: 'none' }} />
          <span className="break">{name}</span>
        </Link>
      </div>
      {open && members.isPending && <Rows count={1} height={20} />}
      {open && groups.length > 0 && (
        <ul style={{ listStyle: 'none', margin: 0, padding: 0 }}>
          {groups.map((one) => (
            <Branch key={one.id} group={one} depth={depth + 1} />
          ))}
        </ul>
      )}
    </li>
  );
}

function Members({ id }: { id: string }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const group = useQuery({ queryKey: ['device', id], queryFn: ({ signal }) => getDevice(id, signal) });
  const members = useMembers(id);
  const [adding, setAdding] = useState(false);
  const [creating, setCreating] = useState(false);
  const refresh = () => client.invalidateQueries({ queryKey: ['groups'] });
  const fail = (error: unknown) => sayFailed(error, NEED);
  const remove = useMutation({
    mutationFn: (member: string) => removeMember(id, member),
    onSuccess: () => {
      sayDone(text.groups.removed);
      void refresh();
    },
    onError: fail,
  });
  const inside = useMutation({
    mutationFn: (name: string) => createSubGroup(id, name),
    onSuccess: () => {
      setCreating(false);
      sayDone(text.groups.created);
      void refresh();
    },
    onError: fail,
  });
  const destroy = useMutation({
    mutationFn: () => deleteGroup(id),
    onSuccess: () => {
      sayDone(text.groups.deleted);
      void refresh();
      void navigate('/groups');
    },
    onError: fail,
  });
  const name = group.data ? nameOf(group.data) : '';
  const bar = (
    <Group gap={6} px={16} pb={10}>
      <Button size="compact-md" variant="light" leftSection={<IconPlus size={15} />} onClick={() => setAdding(true)}>
        {text.groups.addDevice}
      </Button>
      <Button size="compact-md" variant="default" leftSection={<IconFolderPlus size={15} />} onClick={() => setCreating(true)}>
        {text.groups.createInside}
      </Button>
      <Confirm label={text.action.delete} question={text.groups.deleteAsk(name)} onYes={() => destroy.mutate()}>
        {(ask) => (
          <Button size="compact-md" variant="default" leftSection={<IconTrash size={15} />} onClick={ask}>
            {text.action.delete}
          </Button>
        )}
      </Confirm>
    </Group>
  );
  return (
    <Panel title={name || text.groups.members}>
      {bar}
      <Shown query={members} need="ROLE_INVENTORY_READ" rows={3}>
        {(list) =>
          list.length ? (
            <div style={{ borderTop: '1px solid var(--line)' }}>
              <DeviceCards
                devices={list}
                side={(member) => (
                  <Confirm
                    label={text.action.remove}
                    question={text.groups.removeAsk(nameOf(member))}
                    onYes={() => remove.mutate(member.id)}
                  >
                    {(ask) => (
                      <ActionIcon
                        variant="subtle"
                        color="gray"
                        size="lg"
                        aria-label={text.groups.remove(nameOf(member))}
                        onClick={ask}
                      >
                        <IconX size={17} />
                      </ActionIcon>
                    )}
                  </Confirm>
                )}
              />
            </div>
          ) : (
            <Empty title={text.groups.noMembers}>
              <Text span size="sm">
                {text.groups.noMembersHint}
              </Text>
            </Empty>
          )
        }
      </Shown>
      {adding && <AddDevice groupId={id} close={() => setAdding(false)} onAdded={() => void refresh()} />}
      <NameDialog
        opened={creating}
        close={() => setCreating(false)}
        title={text.groups.createInside}
        busy={inside.isPending}
        onName={(value) => inside.mutate(value)}
      />
    </Panel>
  );
}
