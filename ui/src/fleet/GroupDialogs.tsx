import { Button, Group, Modal, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { addMember, listDevices } from '../api/inventory';
import { sayDone, sayFailed } from '../parts/Bits';
import { sayName } from '../parts/say';
import { Empty, Shown } from '../parts/States';
import { text } from '../text';
import { nameOf } from './DeviceRows';

interface NameProps {
  opened: boolean;
  close: () => void;
  title: string;
  busy: boolean;
  onName: (name: string) => void;
}

export function NameDialog({ opened, close, title, busy, onName }: NameProps) {
  const [name, setName] = useState('');
  return (
    <Modal
      opened={opened}
      onClose={close}
      title={title}
      centered
      closeButtonProps={{ 'aria-label': text.action.close }}
      onExitTransitionEnd={() => setName('')}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (name.trim()) onName(name.trim());
        }}
      >
        <TextInput
          label={text.groups.name}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          data-autofocus
        />
        <Group justify="flex-end" mt="lg">
          <Button variant="default" onClick={close}>
            {text.action.cancel}
          </Button>
          <Button type="submit" loading={busy} disabled={!name.trim()}>
            {text.action.create}
          </Button>
        </Group>
      </form>
    </Modal>
  );
}

const MOST = 20;

export function AddDevice({ groupId, close, onAdded }: { groupId: string; close: () => void; onAdded: () => void }) {
  const [name, setName] = useState('');
  const [settled] = useDebouncedValue(name.trim(), 200);
  const query = useQuery({
    queryKey: ['devices', 'search', settled],
    queryFn: ({ signal }) => listDevices({ name: settled, page: 1, pageSize: MOST }, signal),
  });
  const add = useMutation({
    mutationFn: (id: string) => addMember(groupId, id),
    onSuccess: () => {
      sayDone(text.groups.added);
      onAdded();
    },
    onError: (error) => sayFailed(error, 'ROLE_INVENTORY_ADMIN'),
  });
  return (
    <Modal opened onClose={close} title={text.groups.addDevice} centered closeButtonProps={{ 'aria-label': text.action.close }}>
      <TextInput
        label={text.groups.findDevice}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        data-autofocus
        mb="sm"
      />
      <Shown query={query} need="ROLE_INVENTORY_READ" rows={4}>
        {(page) =>
          page.items.length ? (
            <ul className="rows">
              {page.items.map((device) => (
                <li key={device.id} style={{ display: 'flex', gap: 8, alignItems: 'center', paddingInline: 4 }}>
                  <span className="break" style={{ flex: 1 }}>
                    {nameOf(device)} <span className="soft">{device.type && sayName(device.type)}</span>
                  </span>
                  <Button
                    size="compact-sm"
                    variant="light"
                    disabled={add.isPending}
                    onClick={() => add.mutate(device.id)}
                    aria-label={`${text.action.add} ${nameOf(device)}`}
                  >
                    {text.action.add}
                  </Button>
                </li>
              ))}
            </ul>
          ) : (
            <Empty title={text.shell.searchNone} />
          )
        }
      </Shown>
    </Modal>
  );
}
