import { ActionIcon, Anchor, Button, Group, Tabs, Text, TextInput, Title } from '@mantine/core';
import { IconPencil } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { lazy, Suspense, useEffect, useState } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import { ApiError } from '../api/http';
import { getDevice, putDevice } from '../api/inventory';
import { useLastHeard } from '../api/live';
import { mergedDevice } from '../api/merge';
import type { Device, Reference } from '../api/shape';
import { nameOf } from '../fleet/DeviceRows';
import { AlarmCounts, Reachable, Sends } from '../parts/Badges';
import { sayDone, sayFailed } from '../parts/Bits';
import { sayName } from '../parts/say';
import { Empty, Failed, Rows } from '../parts/States';
import { TabBar } from '../parts/TabBar';
import { useHasRole } from '../shell/session';
import { text } from '../text';
import { DeviceAlarms, DeviceEvents } from './Happenings';
import { useNewestValue } from './lastValues';
import { Overview } from './Overview';

const Values = lazy(async () => ({ default: (await import('./Values')).Values }));
const Control = lazy(async () => ({ default: (await import('./Control')).Control }));
const Properties = lazy(async () => ({ default: (await import('./Properties')).Properties }));
const Children = lazy(async () => ({ default: (await import('./Relations')).Children }));
const Identity = lazy(async () => ({ default: (await import('./Relations')).Identity }));

const TABS = ['overview', 'values', 'alarms', 'events', 'control', 'properties', 'children', 'identity'] as const;
type Tab = (typeof TABS)[number];

export function DevicePage() {
  const { id = '', tab } = useParams();
  const query = useQuery({ queryKey: ['device', id], queryFn: ({ signal }) => getDevice(id, signal) });
  if (query.data) {
    const gone = query.error instanceof ApiError && query.error.status === 404;
    return gone ? (
      <Empty title={text.device.deleted} action={<BackLink />} />
    ) : (
      <Loaded device={query.data} tab={TABS.find((one) => one === tab) ?? 'overview'} />
    );
  }
  if (query.isError) return <Failed error={query.error} retry={() => void query.refetch()} need="ROLE_INVENTORY_READ" />;
  return <Rows count={4} height={70} />;
}

function BackLink() {
  return (
    <Anchor component={Link} to="/devices" size="sm">
      {text.device.back}
    </Anchor>
  );
}

function Loaded({ device, tab }: { device: Device; tab: Tab }) {
  const navigate = useNavigate();
  useEffect(() => {
    document.title = `${nameOf(device)} · ${text.app.name}`;
  }, [device]);
  return (
    <>
      <Header device={device} />
      <Tabs
        value={tab}
        onChange={(value) => void navigate(`/device/${device.id}/${value}`, { replace: true })}
        keepMounted={false}
      >
        <TabBar label={text.device.tabsLabel} tabs={TABS} names={text.device.tabs} active={tab} />
        {TABS.map((one) => (
          <Tabs.Panel key={one} value={one}>
            <Suspense fallback={<Rows count={4} />}>{one === tab && <Content device={device} tab={tab} />}</Suspense>
          </Tabs.Panel>
        ))}
      </Tabs>
    </>
  );
}

function Content({ device, tab }: { device: Device; tab: Tab }) {
  switch (tab) {
    case 'values':
      return <Values id={device.id} />;
    case 'alarms':
      return <DeviceAlarms id={device.id} />;
    case 'events':
      return <DeviceEvents id={device.id} />;
    case 'control':
      return <Control device={device} />;
    case 'properties':
      return <Properties device={device} />;
    case 'children':
      return <Children id={device.id} />;
    case 'identity':
      return <Identity id={device.id} />;
    default:
      return <Overview device={device} />;
  }
}

function Header({ device }: { device: Device }) {
  const live = useLastHeard(device.id);
  const heard = Math.max(live, useNewestValue(device.id));
  const named = (references?: Reference[]) =>
    (references ?? []).map((reference) => reference.managedObject).filter((one) => one?.name);
  const groups = named(device.assetParents?.references);
  const parents = named(device.deviceParents?.references);
  const managesUsers = useHasRole('ROLE_USER_MANAGEMENT_READ', 'ROLE_USER_MANAGEMENT_ADMIN', 'ROLE_USER_MANAGEMENT_CREATE');
  const readsAudit = useHasRole('ROLE_AUDIT_READ');
  const hasAlarms = Object.values(device.c8y_ActiveAlarmsStatus ?? {}).some((count) => Number(count) > 0);
  return (
    <header style={{ marginBottom: 12 }}>
      <BackLink />
      <Name device={device} />
      <Group gap={8} mt={4}>
        <Sends device={device} heard={heard} />
        <Reachable device={device} />
        {hasAlarms && (
          <Link to={`/device/${device.id}/alarms`} replace className="plain" aria-label={text.device.moreAlarms}>
            <AlarmCounts device={device} />
          </Link>
        )}
        <Text size="sm" c="dimmed" className="break">
          {device.type && `${sayName(device.type)} · `}
          {text.device.id} {device.id}
          {parents.length > 0 && ` · ${text.device.partOf} `}
          <Names objects={parents} place="device" />
          {groups.length > 0 && ' · '}
          <Names objects={groups} place="groups" />
        </Text>
        {managesUsers && (
          <Link
            className="inline-link"
            style={{ fontSize: 14 }}
            to={`/explain?ask=who&object=${device.id}`}
            data-testid="who-may"
          >
            {text.device.who}
          </Link>
        )}
        {readsAudit && (
          <Link className="inline-link" style={{ fontSize: 14 }} to={`/audit?source=${device.id}`}>
            {text.device.audit}
          </Link>
        )}
      </Group>
    </header>
  );
}

function Names({ objects, place }: { objects: Device[]; place: 'device' | 'groups' }) {
  return objects.map((object, index) => (
    <span key={object.id}>
      {index > 0 && ', '}
      <Link to={`/${place}/${object.id}`} style={{ color: 'inherit' }}>
        {object.name}
      </Link>
    </span>
  ));
}

function Name({ device }: { device: Device }) {
  const client = useQueryClient();
  const [draft, setDraft] = useState<string>();
  const rename = useMutation({
    mutationFn: (name: string) => putDevice(device.id, { name }),
    onSuccess: (fresh) => {
      client.setQueryData<Device>(['device', device.id], (old) => mergedDevice(old, { ...device, ...fresh }));
      setDraft(undefined);
      sayDone(text.device.renamed);
    },
    onError: (error) => sayFailed(error, 'ROLE_INVENTORY_ADMIN'),
  });
  if (draft === undefined) {
    return (
      <Group gap={6} wrap="nowrap">
        <Title order={1} fz={26} className="break" style={{ minWidth: 0 }}>
          {nameOf(device)}
        </Title>
        <ActionIcon
          variant="subtle"
          color="gray"
          size="lg"
          aria-label={text.device.rename}
          onClick={() => setDraft(device.name ?? '')}
          data-testid="rename"
        >
          <IconPencil size={17} />
        </ActionIcon>
      </Group>
    );
  }
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (draft.trim()) rename.mutate(draft.trim());
      }}
    >
      <Group gap={8} my={2}>
        <TextInput
          aria-label={text.device.name}
          value={draft}
          autoFocus
          style={{ flex: '1 1 220px' }}
          maw={460}
          onChange={(event) => setDraft(event.currentTarget.value)}
          onKeyDown={(event) => event.key === 'Escape' && setDraft(undefined)}
        />
        <Button type="submit" loading={rename.isPending} disabled={!draft.trim()}>
          {text.action.save}
        </Button>
        <Button variant="default" onClick={() => setDraft(undefined)}>
          {text.action.cancel}
        </Button>
      </Group>
    </form>
  );
}
