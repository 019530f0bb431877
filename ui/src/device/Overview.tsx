import { Text } from '@mantine/core';
import { IconCircleCheck, IconTerminal2 } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { listAlarms } from '../api/alarm';
import { useLiveOperations } from '../api/live';
import { listOperations } from '../api/operation';
import type { Device } from '../api/shape';
import { AlarmRow } from '../alarm/AlarmRow';
import { Age } from '../parts/Age';
import { Panel } from '../parts/Bits';
import { sayName, sayNumber, saySeries, sayTime } from '../parts/say';
import { Sparkline } from '../parts/Sparkline';
import { Empty, Shown } from '../parts/States';
import { text } from '../text';
import { useLastValues, type LastValue } from './lastValues';
import { NoValues } from './NoValues';
import { OperationRow } from './OperationRow';

export function Overview({ device }: { device: Device }) {
  return (
    <div className="grid" style={{ gap: 16 }}>
      <LastValues id={device.id} />
      <div className="split">
        <OpenAlarms id={device.id} />
        <LastOperations id={device.id} />
      </div>
      <Facts device={device} />
    </div>
  );
}

function LastValues({ id }: { id: string }) {
  const query = useLastValues(id);
  return (
    <section aria-label={text.device.lastValues}>
      <Shown query={query} need="ROLE_MEASUREMENT_READ" rows={2}>
        {(values) =>
          values.size ? (
            <div className="tiles">
              {[...values.values()].map((value) => (
                <Tile key={value.series} id={id} value={value} />
              ))}
            </div>
          ) : (
            <NoValues id={id} />
          )
        }
      </Shown>
    </section>
  );
}

function Tile({ id, value }: { id: string; value: LastValue }) {
  const name = saySeries(value.series);
  return (
    <Link
      to={`/device/${id}/values?series=${encodeURIComponent(value.series)}`}
      replace
      className="card pad tile"
      data-testid="value-tile"
      data-series={value.series}
      aria-label={text.device.openChart(name)}
    >
      <Text size="sm" c="dimmed" truncate>
        {name}
      </Text>
      <div className="num" style={{ fontSize: 26, fontWeight: 650, lineHeight: 1.3 }}>
        {sayNumber(value.value)} <span style={{ fontSize: 15, fontWeight: 500 }}>{value.unit}</span>
      </div>
      <Sparkline trace={value.trace} />
      <Text size="xs" c="dimmed">
        {value.time ? <Age time={value.time} /> : text.device.unknownValue}
      </Text>
    </Link>
  );
}

function OpenAlarms({ id }: { id: string }) {
  const filter = { source: id, status: 'open' as const, page: 1, pageSize: 5 };
  const query = useQuery({ queryKey: ['alarms', 'list', filter], queryFn: ({ signal }) => listAlarms(filter, signal) });
  return (
    <Panel title={text.device.openAlarms}>
      <Shown query={query} need="ROLE_ALARM_READ" rows={2}>
        {(page) =>
          page.items.length ? (
            <ul className="rows">
              {page.items.map((alarm) => (
                <AlarmRow key={alarm.id} alarm={alarm} hideSource compact />
              ))}
            </ul>
          ) : (
            <Empty icon={<IconCircleCheck size={34} stroke={1.4} aria-hidden="true" />} title={text.device.noAlarms} />
          )
        }
      </Shown>
    </Panel>
  );
}

function LastOperations({ id }: { id: string }) {
  useLiveOperations(id);
  const filter = { deviceId: id, page: 1, pageSize: 5 };
  const query = useQuery({ queryKey: ['operations', filter], queryFn: ({ signal }) => listOperations(filter, signal) });
  return (
    <Panel title={text.device.lastOperations}>
      <Shown query={query} need="ROLE_DEVICE_CONTROL_READ" rows={2}>
        {(page) =>
          page.items.length ? (
            <ul className="rows">
              {page.items.map((operation) => (
                <OperationRow key={operation.id} operation={operation} compact />
              ))}
            </ul>
          ) : (
            <Empty icon={<IconTerminal2 size={34} stroke={1.4} aria-hidden="true" />} title={text.device.noOperations}>
              {text.device.noOperationsHint}
            </Empty>
          )
        }
      </Shown>
    </Panel>
  );
}

function Facts({ device }: { device: Device }) {
  const words = text.device.facts;
  const { c8y_Hardware: hardware, c8y_Firmware: firmware, c8y_Position: position } = device;
  const interval = device.c8y_RequiredAvailability?.responseInterval;
  const facts: [string, string | undefined][] = [
    [words.type, device.type && sayName(device.type)],
    [words.model, hardware?.model],
    [words.serial, hardware?.serialNumber],
    [words.firmware, firmware && [firmware.name, firmware.version].filter(Boolean).join(' ')],
    [
      words.position,
      position?.lat === undefined || position.lng === undefined
        ? undefined
        : `${position.lat.toFixed(5)}, ${position.lng.toFixed(5)}`,
    ],
    [words.interval, interval && interval > 0 ? words.minutes(interval) : undefined],
    [words.owner, device.owner],
    [words.created, device.creationTime && sayTime(device.creationTime)],
    [words.updated, device.lastUpdated && sayTime(device.lastUpdated)],
  ];
  return (
    <Panel title={text.device.summary} padded>
      <dl className="facts">
        {facts
          .filter(([, value]) => value)
          .map(([label, value]) => (
            <div key={label} style={{ display: 'contents' }}>
              <dt>{label}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
    </Panel>
  );
}
