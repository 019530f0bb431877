// Command forms, generated from what the device says it supports.
import { Button, Group, JsonInput, SegmentedControl, Select, Stack, Text, TextInput } from '@mantine/core';
import { IconRefresh, IconSend, IconDroplet } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent, type ReactNode } from 'react';
import { mergeOperation } from '../api/merge';
import { createOperation } from '../api/operation';
import type { Device } from '../api/shape';
import { sayDone, sayFailed } from '../parts/Bits';
import { Confirm } from '../parts/Confirm';
import { sayName } from '../parts/say';
import { Empty } from '../parts/States';
import { text } from '../text';

interface Command {
  description: string;
  fragments: Record<string, unknown>;
}

function useSend(deviceId: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ description, fragments }: Command) => createOperation(deviceId, description, fragments),
    onSuccess: (operation) => {
      sayDone(text.control.sent);
      if (!operation?.id) return client.invalidateQueries({ queryKey: ['operations'] });
      return mergeOperation(client, 'CREATE', operation);
    },
    onError: (error) => sayFailed(error, 'ROLE_DEVICE_CONTROL_ADMIN'),
  });
}

type Send = ReturnType<typeof useSend>;

const OWN_FORM = new Set(['c8y_Restart', 'c8y_Command', 'c8y_Relay', 'c8y_RelayArray']);

/** Abilities the device lists, and those its own state shows. */
export function abilities(device: Device): string[] {
  const listed = Array.isArray(device.c8y_SupportedOperations) ? device.c8y_SupportedOperations : [];
  const shown = ['c8y_Relay', 'c8y_RelayArray'].filter((key) => device[key] !== undefined);
  return [...new Set([...listed, ...shown])];
}

export function Commands({ device }: { device: Device }) {
  const send = useSend(device.id);
  const able = abilities(device);
  if (!able.length) {
    return <Empty title={text.control.noAbility}>{text.control.noAbilityHint}</Empty>;
  }
  const others = able.filter((one) => !OWN_FORM.has(one));
  return (
    <Stack gap="md">
      {able.includes('c8y_Relay') && <Relay device={device} send={send} />}
      {able.includes('c8y_RelayArray') && <RelayArray device={device} send={send} />}
      {able.includes('c8y_Command') && <TextCommand send={send} />}
      {able.includes('c8y_Restart') && (
        <Confirm
          label={text.control.restart}
          question={text.control.restartAsk}
          onYes={() => send.mutate({ description: text.control.descriptions.restart, fragments: { c8y_Restart: {} } })}
        >
          {(ask) => (
            <div>
              <Button variant="default" leftSection={<IconRefresh size={17} />} onClick={ask} data-testid="restart">
                {text.control.restart}
              </Button>
            </div>
          )}
        </Confirm>
      )}
      {others.length > 0 && <Other kinds={others} send={send} />}
    </Stack>
  );
}

function Row({ label, children }: { label: ReactNode; children: ReactNode }) {
  return (
    <div role="group">
      <Text size="sm" fw={500} mb={6}>
        {label}
      </Text>
      {children}
    </div>
  );
}

function Relay({ device, send }: { device: Device; send: Send }) {
  const state = device.c8y_Relay?.relayState;
  const set = (relayState: 'OPEN' | 'CLOSED') => {
    const words = text.control.descriptions;
    send.mutate({ description: relayState === 'OPEN' ? words.open : words.close, fragments: { c8y_Relay: { relayState } } });
  };
  return (
    <Row
      label={
        <>
          {text.control.relay}
          {state && <span className="soft"> · {text.control.relayNow(state)}</span>}
        </>
      }
    >
      <Group gap="sm">
        <Button
          variant={state === 'OPEN' ? 'light' : 'filled'}
          leftSection={<IconDroplet size={18} />}
          loading={send.isPending}
          onClick={() => set('OPEN')}
          data-testid="relay-open"
        >
          {text.control.openValve}
        </Button>
        <Button
          variant={state === 'CLOSED' ? 'light' : 'filled'}
          leftSection={<IconDroplet size={18} />}
          loading={send.isPending}
          onClick={() => set('CLOSED')}
          data-testid="relay-closed"
        >
          {text.control.closeValve}
        </Button>
      </Group>
    </Row>
  );
}

function RelayArray({ device, send }: { device: Device; send: Send }) {
  const current = Array.isArray(device.c8y_RelayArray) ? device.c8y_RelayArray : ['CLOSED'];
  const [wanted, setWanted] = useState<string[]>(current);
  return (
    <Row label={text.control.relays}>
      <Stack gap={8}>
        {wanted.map((state, index) => (
          <Group key={index} gap="sm">
            <Text size="sm" w={70} id={`relay-${index}`}>
              {text.control.relayOne(index + 1)}
            </Text>
            <SegmentedControl
              aria-labelledby={`relay-${index}`}
              value={state}
              onChange={(value) => setWanted(wanted.with(index, value))}
              data={[
                { value: 'OPEN', label: text.control.relayOpen },
                { value: 'CLOSED', label: text.control.relayClosed },
              ]}
            />
          </Group>
        ))}
        <div>
          <Button
            leftSection={<IconSend size={16} />}
            loading={send.isPending}
            onClick={() => send.mutate({ description: text.control.descriptions.relays, fragments: { c8y_RelayArray: wanted } })}
          >
            {text.action.send}
          </Button>
        </div>
      </Stack>
    </Row>
  );
}

function TextCommand({ send }: { send: Send }) {
  const [command, setCommand] = useState('');
  function submit(event: FormEvent) {
    event.preventDefault();
    if (!command.trim()) return;
    const fragments = { c8y_Command: { text: command } };
    send.mutate(
      { description: text.control.descriptions.command(command.trim()), fragments },
      { onSuccess: () => setCommand('') },
    );
  }
  return (
    <form onSubmit={submit}>
      <Group align="end" gap="sm">
        <TextInput
          label={text.control.command}
          placeholder={text.control.commandPlace}
          style={{ flex: '1 1 200px' }}
          maw={560}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          value={command}
          onChange={(event) => setCommand(event.currentTarget.value)}
          data-testid="command-text"
        />
        <Button
          type="submit"
          leftSection={<IconSend size={16} />}
          disabled={!command.trim()}
          loading={send.isPending}
          data-testid="command-send"
        >
          {text.action.send}
        </Button>
      </Group>
    </form>
  );
}

function Other({ kinds, send }: { kinds: string[]; send: Send }) {
  const [kind, setKind] = useState<string | null>(null);
  const [json, setJson] = useState('{}');
  let body: { value: unknown } | undefined;
  try {
    body = { value: JSON.parse(json) };
  } catch {
    body = undefined;
  }
  return (
    <Row label={text.control.other}>
      <Stack gap="sm" maw={660}>
        <Select
          aria-label={text.control.otherKind}
          placeholder={text.control.otherKind}
          data={kinds.map((value) => ({ value, label: sayName(value) }))}
          value={kind}
          onChange={setKind}
          clearable
          clearButtonProps={{ 'aria-label': text.action.remove }}
          maw={340}
        />
        {kind && (
          <>
            <JsonInput
              label={text.control.otherBody}
              value={json}
              onChange={setJson}
              autosize
              minRows={3}
              maxRows={12}
              error={body ? undefined : text.control.badJson}
            />
            <div>
              <Button
                leftSection={<IconSend size={16} />}
                disabled={!body}
                loading={send.isPending}
                onClick={() =>
                  send.mutate({ description: text.control.descriptions.other(sayName(kind)), fragments: { [kind]: body?.value } })
                }
              >
                {text.action.send}
              </Button>
            </div>
          </>
        )}
      </Stack>
    </Row>
  );
}
