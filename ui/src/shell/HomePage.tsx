import { Anchor, Text } from '@mantine/core';
import { IconCircleCheck } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from 'react-router';
import { listAlarms } from '../api/alarm';
import { listEvents } from '../api/event';
import { countDevices } from '../api/inventory';
import { useChannel } from '../api/live';
import { mergeEvent } from '../api/merge';
import { AlarmRow } from '../alarm/AlarmRow';
import { SeverityTiles } from '../alarm/SeverityTiles';
import { Age } from '../parts/Age';
import { Code, Panel } from '../parts/Bits';
import { sayCount } from '../parts/say';
import { Empty, PageTitle, Shown } from '../parts/States';
import { text } from '../text';
import { useCurrentUser, useHasRole, useTenant } from './session';

const RECENT = 6;
const RECHECK_MS = 60_000;

export function HomePage() {
  const all = useQuery({
    queryKey: ['devices', 'count', 'all'],
    queryFn: ({ signal }) => countDevices({}, signal),
    refetchInterval: RECHECK_MS,
  });
  const connected = useQuery({
    queryKey: ['devices', 'count', 'connected'],
    queryFn: ({ signal }) => countDevices({ connection: 'connected' }, signal),
    refetchInterval: RECHECK_MS,
  });
  const connecting = useQuery({
    queryKey: ['devices', 'count', 'connecting'],
    queryFn: ({ signal }) => countDevices({ connection: 'connecting' }, signal),
    refetchInterval: RECHECK_MS,
  });
  const may = useHasRole('ROLE_INVENTORY_READ', 'ROLE_INVENTORY_ADMIN', 'ROLE_INVENTORY_CREATE');
  const fresh = may && all.data === 0;
  return (
    <>
      <PageTitle title={text.home.title} />
      <div className="grid" style={{ gap: 16 }}>
        {fresh && <ConnectCard first />}
        <div className="figures">
          <Figure label={text.home.devices} value={may ? all.data : undefined} to="/devices" sub={text.home.devicesSub} />
          <Figure
            label={text.home.connected}
            value={may ? connected.data : undefined}
            hint={text.home.connectedHint}
            to="/devices?connection=connected"
            sub={!may || connecting.data === undefined ? ' ' : text.home.connectedOf(sayCount(connecting.data))}
          />
          <SeverityTiles status="open" flat />
        </div>
        <div className="split">
          <RecentAlarms />
          <RecentEvents />
        </div>
        {!fresh && may && <ConnectCard />}
      </div>
    </>
  );
}

function Figure({ label, value, to, sub, hint }: { label: string; value?: number; to: string; sub: string; hint?: string }) {
  return (
    <Link to={to} className="card pad tile" title={hint}>
      <Text size="sm" c="dimmed">
        {label}
      </Text>
      <span className="figure">{sayCount(value)}</span>
      <Text size="xs" c="dimmed">
        {sub}
      </Text>
    </Link>
  );
}

function RecentAlarms() {
  const filter = { status: 'open' as const, page: 1, pageSize: RECENT };
  const query = useQuery({ queryKey: ['alarms', 'list', filter], queryFn: ({ signal }) => listAlarms(filter, signal) });
  return (
    <Panel
      title={text.home.recentAlarms}
      action={
        <Anchor component={Link} to="/alarms" size="sm">
          {text.home.allAlarms}
        </Anchor>
      }
    >
      <Shown query={query} need="ROLE_ALARM_READ" rows={4}>
        {(page) =>
          page.items.length ? (
            <ul className="rows">
              {page.items.map((alarm) => (
                <AlarmRow key={alarm.id} alarm={alarm} compact />
              ))}
            </ul>
          ) : (
            <Empty icon={<IconCircleCheck size={34} stroke={1.4} aria-hidden="true" />} title={text.home.noAlarms}>
              {text.home.noAlarmsHint}
            </Empty>
          )
        }
      </Shown>
    </Panel>
  );
}

function RecentEvents() {
  const client = useQueryClient();
  useChannel('/events/*', (action, data) => mergeEvent(client, action, data));
  const filter = { page: 1, pageSize: RECENT };
  const query = useQuery({ queryKey: ['events', filter], queryFn: ({ signal }) => listEvents(filter, signal) });
  return (
    <Panel title={text.home.recentEvents}>
      <Shown query={query} need="ROLE_EVENT_READ" rows={4}>
        {(page) =>
          page.items.length ? (
            <ul className="rows">
              {page.items.map((event) => (
                <li key={event.id} style={{ display: 'flex', justifyContent: 'space-between', gap: 12 }}>
                  <div style={{ minWidth: 0 }}>
                    <div className="break">{event.text}</div>
                    <Link to={`/device/${event.source.id}/events`} className="soft plain" style={{ fontSize: 13 }}>
                      {event.source.name ?? text.devices.unnamed(event.source.id)}
                    </Link>
                  </div>
                  <span className="soft" style={{ fontSize: 13 }}>
                    <Age time={event.time} />
                  </span>
                </li>
              ))}
            </ul>
          ) : (
            <Empty title={text.home.noEvents}>{text.home.noEventsHint}</Empty>
          )
        }
      </Shown>
    </Panel>
  );
}

function ConnectCard({ first }: { first?: boolean }) {
  const user = useCurrentUser().data?.userName ?? 'user';
  const tenant = useTenant().data?.name ?? 'tenant';
  const command = [
    `mosquitto_pub -h ${location.hostname.replace(/^\[|\]$/g, '')} -p 1883 -i my-device \\`,
    `  -u '${tenant}/${user}' -P '<password>' \\`,
    `  -t s/us -m '200,c8y_Temperature,T,21.5,C'`,
  ].join('\n');
  return (
    <Panel title={first ? text.home.connectFirst : text.home.connect} padded>
      <Text size="sm" c="dimmed" mb="sm">
        {text.home.connectHint}
      </Text>
      <Code label={text.home.connect}>{command}</Code>
      <Text size="sm" c="dimmed" mt="sm">
        {text.home.connectPort} {text.home.connectMore}{' '}
        <Anchor component={Link} to="/registration" size="sm" inherit underline="always">
          {text.home.openRegistration}
        </Anchor>
      </Text>
    </Panel>
  );
}
