import { Button, Group, JsonInput, Text, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { putDevice } from '../api/inventory';
import { mergedDevice } from '../api/merge';
import type { Device } from '../api/shape';
import { Code, Panel, sayDone, sayFailed } from '../parts/Bits';
import { sayName } from '../parts/say';
import { text } from '../text';

const HIDDEN = new Set([
  'id',
  'self',
  'name',
  'type',
  'owner',
  'creationTime',
  'lastUpdated',
  'childDevices',
  'childAssets',
  'childAdditions',
  'deviceParents',
  'assetParents',
  'additionParents',
]);

/** Rows of the readable form: nested values become "key path" and value. */
export function flatten(value: unknown, path: string[] = []): [string, string][] {
  if (Array.isArray(value) && value.every((one) => typeof one !== 'object')) return [[path.join(' '), value.join(', ') || '–']];
  if (typeof value !== 'object' || value === null) return [[path.join(' '), String(value)]];
  if (Object.keys(value).length === 0) return [[path.join(' '), text.properties.yes]];
  return Object.entries(value).flatMap(([key, inner]) => flatten(inner, [...path, sayName(key)]));
}

export function Properties({ device }: { device: Device }) {
  const fragments = Object.entries(device).filter(([key]) => !HIDDEN.has(key));
  const readable = fragments.map(([key, value]) => ({ key, rows: flatten(value) }));
  return (
    <div className="grid" style={{ gap: 16 }}>
      <Panel title={text.properties.form} padded>
        {readable.length === 0 && <Text size="sm">{text.properties.none}</Text>}
        <div className="grid" style={{ gap: 18 }}>
          {readable.map(({ key, rows }) => (
            <section key={key} aria-label={sayName(key)}>
              <Text fw={600} size="sm" mb={4} title={key}>
                {sayName(key)}
              </Text>
              <dl className="facts">
                {rows.map(([label, value], index) => (
                  <div key={index} style={{ display: 'contents' }}>
                    <dt>{label || text.properties.isSet}</dt>
                    <dd>{value}</dd>
                  </div>
                ))}
              </dl>
            </section>
          ))}
        </div>
      </Panel>
      <ChangeFragment device={device} />
      <Panel title={text.properties.raw} padded>
        <Code label={text.properties.raw}>{JSON.stringify(device, null, 2)}</Code>
      </Panel>
    </div>
  );
}

function parsed(json: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(json) };
  } catch {
    return undefined;
  }
}

function ChangeFragment({ device }: { device: Device }) {
  const client = useQueryClient();
  const [key, setKey] = useState('');
  const [json, setJson] = useState('{}');
  const [tried, setTried] = useState(false);
  const badKey = key === '' || /[\s.,*[\]()@$/']/.test(key);
  const content = parsed(json);
  const save = useMutation({
    mutationFn: () => putDevice(device.id, { [key]: content?.value } as Partial<Device>),
    onSuccess: (fresh) => {
      client.setQueryData<Device>(['device', device.id], (old) => mergedDevice(old, fresh));
      sayDone(text.properties.saved);
      setTried(false);
    },
    onError: (error) => sayFailed(error, 'ROLE_INVENTORY_ADMIN'),
  });
  function submit(event: FormEvent) {
    event.preventDefault();
    setTried(true);
    if (!badKey && content) save.mutate();
  }
  function choose(name: string) {
    setKey(name);
    if (device[name] !== undefined && !HIDDEN.has(name)) setJson(JSON.stringify(device[name], null, 2));
  }
  return (
    <Panel title={text.properties.addTitle} padded>
      <Text size="sm" c="dimmed" mb="sm">
        {text.properties.addHint}
      </Text>
      <form onSubmit={submit}>
        <TextInput
          label={text.properties.addKey}
          value={key}
          onChange={(event) => choose(event.currentTarget.value)}
          error={tried && badKey ? text.properties.badKey : undefined}
          list="fragment-names"
          autoCapitalize="none"
          spellCheck={false}
        />
        <datalist id="fragment-names">
          {Object.keys(device)
            .filter((name) => !HIDDEN.has(name))
            .map((name) => (
              <option key={name} value={name} />
            ))}
        </datalist>
        <JsonInput
          label={text.properties.value}
          value={json}
          onChange={setJson}
          autosize
          minRows={3}
          maxRows={16}
          mt="sm"
          error={tried && !content ? text.control.badJson : undefined}
        />
        <Group justify="flex-end" mt="sm">
          <Button type="submit" loading={save.isPending}>
            {text.action.save}
          </Button>
        </Group>
      </form>
    </Panel>
  );
}
