import { Autocomplete, Button, Group, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconCpu, IconSearch } from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { listDevices, type AlarmFilterWord, type ConnectionFilter, type DeviceFilter } from '../api/inventory';
import { Pager, Panel, usePhone } from '../parts/Bits';
import { sayCount } from '../parts/say';
import { Empty, Forbidden, PageTitle, Shown } from '../parts/States';
import { useHasRole } from '../shell/session';
import { text } from '../text';
import { DeviceCards, DeviceTable } from './DeviceRows';
import { AnyOf } from '../parts/AnyOf';

const PAGE_SIZE = 25;

function filterFrom(search: URLSearchParams): DeviceFilter {
  return {
    name: search.get('q') ?? undefined,
    connection: (search.get('connection') as ConnectionFilter | null) ?? undefined,
    alarms: (search.get('alarms') as AlarmFilterWord | null) ?? undefined,
    type: search.get('type') ?? undefined,
    page: Math.max(1, Number(search.get('page')) || 1),
    pageSize: PAGE_SIZE,
  };
}

export function DevicesPage() {
  const [search, setSearch] = useSearchParams();
  const filter = filterFrom(search);
  const phone = usePhone();
  const may = useHasRole('ROLE_INVENTORY_READ', 'ROLE_INVENTORY_ADMIN');
  const query = useQuery({
    queryKey: ['devices', 'list', filter],
    queryFn: ({ signal }) => listDevices(filter, signal),
    placeholderData: keepPreviousData,
  });
  const filtered = Boolean(filter.name || filter.connection || filter.alarms || filter.type);

  function set(key: string, value: string | null) {
    const next = new URLSearchParams(search);
    if (value) next.set(key, value);
    else next.delete(key);
    if (key !== 'page') next.delete('page');
    setSearch(next, { replace: key !== 'page' });
  }

  const types = [
    ...new Set(query.data?.items.map((device) => device.type).filter((type): type is string => Boolean(type))),
  ].sort();
  return (
    <>
      <PageTitle
        title={text.devices.title}
        sub={query.data?.total === undefined ? undefined : text.devices.count(sayCount(query.data.total))}
      />
      <Filters key={filtered ? 'some' : 'none'} filter={filter} types={types} set={set} />
      <Panel>
        <Shown query={query} need="ROLE_INVENTORY_READ" rows={8}>
          {(page) => {
            // A server may answer with what the user owns, which is nothing, instead of a refusal.
            if (!page.items.length && !may) return <Forbidden need="ROLE_INVENTORY_READ" />;
            if (!page.items.length && page.page === 1)
              return <NoDevices filtered={filtered} clear={() => setSearch(new URLSearchParams())} />;
            return (
              <>
                {phone ? <DeviceCards devices={page.items} /> : <DeviceTable devices={page.items} />}
                <Pager data={page} onPage={(to) => set('page', to > 1 ? String(to) : null)} />
              </>
            );
          }}
        </Shown>
      </Panel>
    </>
  );
}

interface FilterProps {
  filter: DeviceFilter;
  types: string[];
  set: (key: string, value: string | null) => void;
}

function Filters({ filter, types, set }: FilterProps) {
  const [name, setName] = useState(filter.name ?? '');
  const [type, setType] = useState(filter.type ?? '');
  const setLater = useDebouncedCallback(set, 250);
  useEffect(() => setName((now) => (now.trim() === (filter.name ?? '') ? now : (filter.name ?? ''))), [filter.name]);
  const options = (words: Record<string, string>) => Object.entries(words).map(([value, label]) => ({ value, label }));
  return (
    <Group gap="sm" mb="md" role="search" aria-label={text.devices.filters}>
      <TextInput
        type="search"
        data-testid="device-search"
        aria-label={text.devices.search}
        placeholder={text.devices.search}
        title={text.devices.searchHint}
        leftSection={<IconSearch size={16} aria-hidden="true" />}
        style={{ flex: '1 1 220px' }}
        value={name}
        onChange={(event) => {
          setName(event.currentTarget.value);
          setLater('q', event.currentTarget.value.trim());
        }}
      />
      <AnyOf
        label={text.devices.connection}
        any={text.devices.connectionAny}
        style={{ flex: '1 1 150px' }}
        maw={260}
        data={options(text.devices.connectionWords)}
        value={filter.connection ?? null}
        onChange={(value) => set('connection', value)}
      />
      <AnyOf
        label={text.devices.alarms}
        any={text.devices.alarmsAny}
        style={{ flex: '1 1 150px' }}
        maw={260}
        data={options(text.devices.alarmWords)}
        value={filter.alarms ?? null}
        onChange={(value) => set('alarms', value)}
      />
      <Autocomplete
        aria-label={text.devices.type}
        placeholder={text.devices.anyType}
        style={{ flex: '1 1 150px' }}
        maw={260}
        data={types}
        value={type}
        onChange={(value) => {
          setType(value);
          setLater('type', value.trim());
        }}
      />
    </Group>
  );
}

function NoDevices({ filtered, clear }: { filtered: boolean; clear: () => void }) {
  const icon = <IconCpu size={34} stroke={1.4} aria-hidden="true" />;
  if (filtered) {
    return (
      <Empty
        icon={icon}
        title={text.devices.noMatch}
        action={
          <Button variant="light" onClick={clear}>
            {text.state.clearFilters}
          </Button>
        }
      >
        {text.devices.noMatchHint}
      </Empty>
    );
  }
  return (
    <Empty
      icon={icon}
      title={text.devices.none}
      action={
        <Button component={Link} to="/registration">
          {text.devices.noneAction}
        </Button>
      }
    >
      {text.devices.noneHint}
    </Empty>
  );
}
