import { Button, Checkbox, Group, Modal, PasswordInput, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import type { User } from '../api/shape';
import { addToGroup, createUser, listGroups, listUserGroups, removeFromGroup, type NewUser } from '../api/user';
import { sayDone, sayFailed } from '../parts/Bits';
import { Shown } from '../parts/States';
import { text } from '../text';

const NEED = 'ROLE_USER_MANAGEMENT_ADMIN';
const SHORTEST_PASSWORD = 8;

export function CreateUser({ tenant, close }: { tenant: string; close: () => void }) {
  const client = useQueryClient();
  const [user, setUser] = useState<NewUser>({ userName: '', email: '', password: '', firstName: '', lastName: '' });
  const set = (key: keyof NewUser) => (event: { currentTarget: { value: string } }) => {
    const { value } = event.currentTarget;
    setUser((old) => ({ ...old, [key]: value }));
  };
  const create = useMutation({
    mutationFn: () =>
      createUser(tenant, { ...user, firstName: user.firstName || undefined, lastName: user.lastName || undefined }),
    onSuccess: () => {
      sayDone(text.users.created(user.userName));
      void client.invalidateQueries({ queryKey: ['users'] });
      close();
    },
    onError: (error) => sayFailed(error, NEED),
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
            label={text.users.password}
            description={text.users.passwordHint}
            required
            minLength={SHORTEST_PASSWORD}
            value={user.password}
            onChange={set('password')}
            autoComplete="new-password"
          />
        </Stack>
        <Group justify="flex-end" mt="lg">
          <Button variant="default" onClick={close}>
            {text.action.cancel}
          </Button>
          <Button type="submit" loading={create.isPending}>
            {text.action.create}
          </Button>
        </Group>
      </form>
    </Modal>
  );
}

export function UserGroups({ tenant, user, close }: { tenant: string; user: User; close: () => void }) {
  const client = useQueryClient();
  const all = useQuery({ queryKey: ['userGroups', 'all'], queryFn: ({ signal }) => listGroups(tenant, signal) });
  const own = useQuery({
    queryKey: ['userGroups', user.id],
    queryFn: ({ signal }) => listUserGroups(tenant, user.id, signal),
    staleTime: 0,
  });
  const change = useMutation({
    mutationFn: ({ group, member }: { group: number; member: boolean }) =>
      member ? addToGroup(tenant, group, user.id) : removeFromGroup(tenant, group, user.id),
    onSettled: async () => {
      await client.invalidateQueries({ queryKey: ['userGroups', user.id] });
      void client.invalidateQueries({ queryKey: ['users'] });
    },
    onError: (error) => sayFailed(error, NEED),
  });
  const held = new Set(own.data?.map((group) => group.id));
  return (
    <Modal
      opened
      onClose={close}
      title={text.users.editGroups(user.userName)}
      centered
      closeButtonProps={{ 'aria-label': text.action.close }}
    >
      <Shown query={all} need="ROLE_USER_MANAGEMENT_READ" rows={3}>
        {(groups) => (
          <Stack gap="sm">
            {groups.length === 0 && <Text size="sm">{text.users.noGroups}</Text>}
            {groups.map((group) => (
              <Checkbox
                key={group.id}
                label={group.name}
                description={group.description}
                checked={held.has(group.id)}
                disabled={!own.data || change.isPending}
                onChange={(event) => change.mutate({ group: group.id, member: event.currentTarget.checked })}
              />
            ))}
          </Stack>
        )}
      </Shown>
    </Modal>
  );
}
