import { Button, Group, Modal, Text, TextInput } from '@mantine/core';
import { IconBan, IconCheck, IconClock, IconHandStop, IconPlugConnected, IconTrash } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { useSearchParams } from 'react-router';
import {
  acceptRegistration,
  createRegistration,
  deleteRegistration,
  isRegistrationId,
  listRegistrations,
} from '../api/registration';
import type { Registration, RegistrationStatus } from '../api/shape';
import { Age } from '../parts/Age';
import { Badge, type Tone } from '../parts/Badges';
import { Pager, Panel, sayDone, sayFailed } from '../parts/Bits';
import { Confirm } from '../parts/Confirm';
import { Empty, PageTitle, Shown } from '../parts/States';
import { text } from '../text';

const PAGE_SIZE = 50;
/** Registration has no realtime channel, so the list looks again on its own. */
const LOOK_AGAIN_MS = 3000;
const NEED = 'ROLE_DEVICE_CONTROL_ADMIN';

export function RegistrationPage() {
  const [search, setSearch] = useSearchParams();
  const page = Math.max(1, Number(search.get('page')) || 1);
  const query = useQuery({
    queryKey: ['registrations', page],
    queryFn: ({ signal }) => listRegistrations(page, PAGE_SIZE, signal),
    refetchInterval: LOOK_AGAIN_MS,
  });
  return (
    <>
      <PageTitle title={text.registration.title} sub={text.registration.sub} />
      <div className="grid" style={{ gap: 16 }}>
        <div className="split">
          <Add />
          <How />
        </div>
        <Panel>
          <Shown query={query} need="ROLE_DEVICE_CONTROL_READ" rows={3}>
            {(data) =>
              data.items.length ? (
                <>
                  <ul className="rows">
                    {data.items.map((one) => (
                      <Row key={one.id} registration={one} />
                    ))}
                  </ul>
                  <Pager data={data} onPage={(to) => setSearch(to > 1 ? { page: String(to) } : {})} />
                </>
              ) : (
                <Empty icon={<IconPlugConnected size={34} stroke={1.4} aria-hidden="true" />} title={text.registration.none}>
                  {text.registration.noneHint}
                </Empty>
              )
            }
          </Shown>
        </Panel>
      </div>
    </>
  );
}

function useChange<T>(run: (value: T) => Promise<unknown>, done: (value: T) => string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: run,
    onSuccess: (_answer, value) => {
      sayDone(done(value));
      void client.invalidateQueries({ queryKey: ['registrations'] });
    },
    onError: (error) => sayFailed(error, NEED),
  });
}

function Add() {
  const [id, setId] = useState('');
  const add = useChange(createRegistration, text.registration.added);
  const bad = id !== '' && !isRegistrationId(id);
  function submit(event: FormEvent) {
    event.preventDefault();
    if (isRegistrationId(id)) add.mutate(id, { onSuccess: () => setId('') });
  }
  return (
    <Panel title={text.registration.add} padded>
      <form onSubmit={submit}>
        <TextInput
          label={text.registration.id}
          description={text.registration.idHint}
          error={bad ? text.registration.badId : undefined}
          data-testid="registration-id"
          value={id}
          onChange={(event) => setId(event.currentTarget.value.trim())}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
        />
        <Button type="submit" mt="sm" loading={add.isPending} disabled={!isRegistrationId(id)} data-testid="registration-add">
          {text.registration.add}
        </Button>
      </form>
    </Panel>
  );
}

function How() {
  return (
    <Panel title={text.registration.how} padded>
      <ol style={{ margin: 0, paddingInlineStart: 20, fontSize: 14, lineHeight: 1.6 }}>
        {text.registration.steps.map((step) => (
          <li key={step}>{step}</li>
        ))}
      </ol>
    </Panel>
  );
}

const look: Record<RegistrationStatus, { tone: Tone; icon: typeof IconClock }> = {
  WAITING_FOR_CONNECTION: { tone: 'quiet', icon: IconClock },
  PENDING_ACCEPTANCE: { tone: 'minor', icon: IconHandStop },
  ACCEPTED: { tone: 'good', icon: IconCheck },
  BLOCKED: { tone: 'critical', icon: IconBan },
};

function Row({ registration }: { registration: Registration }) {
  const { id, status, creationTime } = registration;
  const remove = useChange(deleteRegistration, () => text.registration.deleted);
  const [accepting, setAccepting] = useState(false);
  const { tone, icon: Icon } = look[status] ?? look.WAITING_FOR_CONNECTION;
  return (
    <li
      data-testid="registration-row"
      data-id={id}
      data-status={status}
      style={{ display: 'flex', flexWrap: 'wrap', gap: '8px 16px', alignItems: 'center' }}
    >
      <div style={{ flex: '1 1 260px', minWidth: 0 }}>
        <Group gap={8}>
          <span className="break" style={{ fontWeight: 600 }}>
            {id}
          </span>
          <Badge tone={tone} icon={<Icon size={14} aria-hidden="true" />}>
            {text.registration.states[status] ?? status}
          </Badge>
        </Group>
        <div className="soft" style={{ fontSize: 13 }}>
          {text.registration.stateHints[status]} {creationTime && <Age time={creationTime} />}
        </div>
      </div>
      <Group gap={6}>
        {status === 'PENDING_ACCEPTANCE' && (
          <Button
            size="compact-md"
            leftSection={<IconCheck size={15} />}
            onClick={() => setAccepting(true)}
            data-testid="registration-accept"
          >
            {text.registration.accept}
          </Button>
        )}
        <Confirm label={text.action.delete} question={text.registration.deleteAsk(id)} onYes={() => remove.mutate(id)}>
          {(ask) => (
            <Button size="compact-md" variant="default" leftSection={<IconTrash size={15} />} onClick={ask}>
              {text.action.delete}
            </Button>
          )}
        </Confirm>
      </Group>
      {accepting && <Accept id={id} close={() => setAccepting(false)} />}
    </li>
  );
}

function Accept({ id, close }: { id: string; close: () => void }) {
  const [token, setToken] = useState('');
  const accept = useChange(
    () => acceptRegistration(id, token || undefined),
    () => text.registration.accepted(id),
  );
  return (
    <Modal
      opened
      onClose={close}
      title={text.registration.acceptTitle}
      centered
      closeButtonProps={{ 'aria-label': text.action.close }}
    >
      <Text size="sm" mb="sm">
        {text.registration.acceptHint(id)}
      </Text>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          accept.mutate(undefined, { onSuccess: close });
        }}
      >
        <TextInput
          label={text.registration.token}
          description={text.registration.tokenHint}
          value={token}
          onChange={(event) => setToken(event.currentTarget.value)}
        />
        <Group justify="flex-end" mt="lg">
          <Button variant="default" onClick={close}>
            {text.action.cancel}
          </Button>
          <Button type="submit" loading={accept.isPending} data-testid="registration-accept-yes">
            {text.registration.accept}
          </Button>
        </Group>
      </form>
    </Modal>
  );
}
