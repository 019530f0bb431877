// Children and external ids of a device.
import { ActionIcon, Button, Group, Text, TextInput } from '@mantine/core';
import { IconTrash } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { createExternalId, deleteExternalId, listExternalIds } from '../api/identity';
import { listChildren, type ChildKind } from '../api/inventory';
import type { ExternalId } from '../api/shape';
import { DeviceCards } from '../fleet/DeviceRows';
import { Panel, sayDone, sayFailed } from '../parts/Bits';
import { Confirm } from '../parts/Confirm';
import { Empty, Shown } from '../parts/States';
import { text } from '../text';

const KINDS: ChildKind[] = ['childDevices', 'childAssets', 'childAdditions'];
const MOST = 200;

export function Children({ id }: { id: string }) {
  return (
    <div className="grid" style={{ gap: 16 }}>
      {KINDS.map((kind) => (
        <ChildPanel key={kind} id={id} kind={kind} />
      ))}
    </div>
  );
}

function ChildPanel({ id, kind }: { id: string; kind: ChildKind }) {
  const query = useQuery({ queryKey: ['children', id, kind], queryFn: ({ signal }) => listChildren(id, kind, MOST, signal) });
  if (kind !== 'childDevices' && !query.isError && !query.data?.length) return null;
  return (
    <Panel title={text.children[kind]}>
      <Shown query={query} need="ROLE_INVENTORY_READ" rows={1}>
        {(devices) =>
          devices.length ? (
            <DeviceCards devices={devices} />
          ) : (
            <Text size="sm" c="dimmed" px={16} pb={14}>
              {text.children.noneHint}
            </Text>
          )
        }
      </Shown>
    </Panel>
  );
}

const NEED = 'ROLE_IDENTITY_ADMIN';

export function Identity({ id }: { id: string }) {
  const client = useQueryClient();
  const query = useQuery({ queryKey: ['identity', id], queryFn: ({ signal }) => listExternalIds(id, signal) });
  const refresh = () => client.invalidateQueries({ queryKey: ['identity', id] });
  const remove = useMutation({
    mutationFn: deleteExternalId,
    onSuccess: () => {
      sayDone(text.identity.removed);
      void refresh();
    },
    onError: (error) => sayFailed(error, NEED),
  });
  return (
    <div className="grid" style={{ gap: 16 }}>
      <Panel title={text.identity.title}>
        <Text size="sm" c="dimmed" px={16} pb={8}>
          {text.identity.hint}
        </Text>
        <Shown query={query} need="ROLE_IDENTITY_READ" rows={2}>
          {(ids) =>
            ids.length ? (
              <ul className="rows">
                {ids.map((entry) => (
                  <li
                    key={`${entry.type} ${entry.externalId}`}
                    data-testid="external-id"
                    style={{ display: 'flex', alignItems: 'center', gap: 12 }}
                  >
                    <div style={{ flex: 1, minWidth: 0 }}>
                      <div className="break" style={{ fontWeight: 600 }}>
                        {entry.externalId}
                      </div>
                      <div className="soft break" style={{ fontSize: 13 }}>
                        {entry.type}
                      </div>
                    </div>
                    <Confirm
                      label={text.action.remove}
                      question={text.identity.removeAsk(entry.externalId)}
                      onYes={() => remove.mutate(entry)}
                    >
                      {(ask) => (
                        <ActionIcon
                          variant="subtle"
                          color="gray"
                          size="lg"
                          aria-label={`${text.action.remove} ${entry.externalId}`}
                          onClick={ask}
                        >
                          <IconTrash size={17} />
                        </ActionIcon>
                      )}
                    </Confirm>
                  </li>
                ))}
              </ul>
            ) : (
              <Empty title={text.identity.none} />
            )
          }
        </Shown>
      </Panel>
      <AddId id={id} onAdded={() => void refresh()} />
    </div>
  );
}

function AddId({ id, onAdded }: { id: string; onAdded: () => void }) {
  const [entry, setEntry] = useState<ExternalId>({ type: 'c8y_Serial', externalId: '' });
  const ready = entry.type.trim() !== '' && entry.externalId.trim() !== '';
  const add = useMutation({
    mutationFn: () => createExternalId(id, { type: entry.type.trim(), externalId: entry.externalId.trim() }),
    onSuccess: () => {
      sayDone(text.identity.added);
      setEntry({ ...entry, externalId: '' });
      onAdded();
    },
    onError: (error) => sayFailed(error, NEED),
  });
  function submit(event: FormEvent) {
    event.preventDefault();
    if (ready) add.mutate();
  }
  return (
    <Panel title={text.identity.add} padded>
      <form onSubmit={submit}>
        <Group align="end" gap="sm">
          <TextInput
            label={text.identity.type}
            value={entry.type}
            onChange={(event) => setEntry({ ...entry, type: event.currentTarget.value })}
            style={{ flex: '1 1 160px' }}
          />
          <TextInput
            label={text.identity.value}
            value={entry.externalId}
            onChange={(event) => setEntry({ ...entry, externalId: event.currentTarget.value })}
            style={{ flex: '2 1 200px' }}
          />
          <Button type="submit" disabled={!ready} loading={add.isPending}>
            {text.action.add}
          </Button>
        </Group>
      </form>
    </Panel>
  );
}
