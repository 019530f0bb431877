// Alarms and events of one device.
import { Button, Collapse, Group, SegmentedControl } from '@mantine/core';
import { IconTimelineEvent } from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useSearchParams } from 'react-router';
import { listEvents } from '../api/event';
import { useLiveEvents } from '../api/live';
import type { StatusFilter } from '../api/alarm';
import type { DeviceEvent } from '../api/shape';
import { AlarmList } from '../alarm/AlarmList';
import { Age } from '../parts/Age';
import { Badge } from '../parts/Badges';
import { Code, Pager, Panel } from '../parts/Bits';
import { sayTime } from '../parts/say';
import { Empty, Shown } from '../parts/States';
import { text } from '../text';

const PAGE_SIZE = 25;

export function DeviceAlarms({ id }: { id: string }) {
  const [search, setSearch] = useSearchParams();
  const status = (search.get('status') as StatusFilter | null) ?? 'open';
  const page = Math.max(1, Number(search.get('page')) || 1);
  return (
    <div className="grid">
      <SegmentedControl
        aria-label={text.alarms.status}
        value={status}
        onChange={(value) => setSearch(value === 'open' ? {} : { status: value }, { replace: true })}
        style={{ justifySelf: 'start' }}
        data={(['open', 'CLEARED', 'all'] as const).map((value) => ({ value, label: text.alarms.statuses[value] }))}
      />
      <Panel>
        <AlarmList
          filter={{ source: id, status, page, pageSize: PAGE_SIZE }}
          hideSource
          onPage={(to) => setSearch({ status, page: String(to) })}
          onClearFilters={status === 'CLEARED' ? () => setSearch({}) : undefined}
        />
      </Panel>
    </div>
  );
}

export function DeviceEvents({ id }: { id: string }) {
  useLiveEvents(id);
  const [search, setSearch] = useSearchParams();
  const type = search.get('type') ?? undefined;
  const page = Math.max(1, Number(search.get('page')) || 1);
  const filter = { source: id, type, page, pageSize: PAGE_SIZE };
  const query = useQuery({
    queryKey: ['events', filter],
    queryFn: ({ signal }) => listEvents(filter, signal),
    placeholderData: keepPreviousData,
  });
  const clear = (
    <Button variant="light" size="compact-md" onClick={() => setSearch({})}>
      {text.state.clearFilters}
    </Button>
  );
  return (
    <div className="grid">
      {type && (
        <Group gap="sm">
          <Badge tone="quiet">
            {text.events.type}: {type}
          </Badge>
          {clear}
        </Group>
      )}
      <Panel>
        <Shown query={query} need="ROLE_EVENT_READ">
          {(data) =>
            data.items.length ? (
              <>
                <ul className="rows">
                  {data.items.map((event) => (
                    <EventRow key={event.id} event={event} onType={type ? undefined : () => setSearch({ type: event.type })} />
                  ))}
                </ul>
                <Pager data={data} onPage={(to) => setSearch({ ...(type ? { type } : {}), page: String(to) })} />
              </>
            ) : (
              <Empty
                icon={<IconTimelineEvent size={34} stroke={1.4} aria-hidden="true" />}
                title={type ? text.events.noMatch : text.events.none}
                action={type ? clear : undefined}
              >
                {type ? undefined : text.events.noneHint}
              </Empty>
            )
          }
        </Shown>
      </Panel>
    </div>
  );
}

function EventRow({ event, onType }: { event: DeviceEvent; onType?: () => void }) {
  const [open, setOpen] = useState(false);
  return (
    <li data-testid="event-row" data-type={event.type}>
      <div style={{ display: 'flex', flexWrap: 'wrap', gap: '6px 12px', alignItems: 'center' }}>
        <div style={{ flex: '1 1 240px', minWidth: 0 }}>
          <div className="break">{event.text}</div>
          <div className="soft break" style={{ fontSize: 13 }}>
            {event.type} · <span className="num">{sayTime(event.time)}</span> · <Age time={event.time} />
          </div>
        </div>
        <Group gap={6}>
          {onType && (
            <Button size="compact-md" variant="subtle" onClick={onType}>
              {text.events.filter}
            </Button>
          )}
          <Button size="compact-md" variant="subtle" aria-expanded={open} onClick={() => setOpen(!open)}>
            {text.events.details}
          </Button>
        </Group>
      </div>
      <Collapse expanded={open}>
        <div style={{ paddingTop: 10 }}>
          <Code>{JSON.stringify(event, null, 2)}</Code>
        </div>
      </Collapse>
    </li>
  );
}
