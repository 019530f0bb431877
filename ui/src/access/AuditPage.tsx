import './access.css';
import { Button, Group, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconChevronDown, IconChevronRight, IconHistory, IconX } from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { listAudit } from '../api/audit';
import type { AuditRecord } from '../api/shape';
import { Age } from '../parts/Age';
import { Pager, Panel } from '../parts/Bits';
import { sayName, sayTime } from '../parts/say';
import { Empty, PageTitle, Shown } from '../parts/States';
import { text } from '../text';
import { words } from '../text/access';
import { ObjectLink } from './pickers';
import { AnyOf } from '../parts/AnyOf';

const PAGE_SIZE = 25;
const RECHECK_MS = 4000;
const KINDS = [
  'Alarm',
  'Application',
  'Audit',
  'BulkOperation',
  'Event',
  'Group',
  'Inventory',
  'InventoryRole',
  'Operation',
  'Option',
  'SmartRule',
  'Tenant',
  'TenantAuthConfig',
  'TrustedCertificates',
  'User',
  'UserAuthentication',
];
const HOUR_MS = 3_600_000;
const SPANS: Record<string, number> = { hour: HOUR_MS, day: 24 * HOUR_MS, week: 7 * 24 * HOUR_MS, month: 30 * 24 * HOUR_MS };

export function AuditPage() {
  const [search, setSearch] = useSearchParams();
  const [user, type, source, time] = ['user', 'type', 'source', 'time'].map((key) => search.get(key) ?? undefined);
  const page = Math.max(1, Number(search.get('page')) || 1);
  const [typed, setTyped] = useState(user ?? '');
  const query = useQuery({
    queryKey: ['audit', { type, user, source, time, page }],
    queryFn: ({ signal }) => {
      const span = time && SPANS[time];
      const from = span ? new Date(Date.now() - span).toISOString() : undefined;
      return listAudit({ type, user, source, from, page, pageSize: PAGE_SIZE }, signal);
    },
    placeholderData: keepPreviousData,
    staleTime: 1000,
    // Nothing tells of new records, so the newest page looks for them.
    refetchInterval: page === 1 ? RECHECK_MS : false,
  });
  function set(key: string, value: string | null) {
    const next = new URLSearchParams(search);
    if (value) next.set(key, value);
    else next.delete(key);
    if (key !== 'page') next.delete('page');
    setSearch(next, { replace: key !== 'page' });
  }
  const setLater = useDebouncedCallback(set, 300);
  const filtered = Boolean(type || user || source || time);
  const clear = () => {
    setTyped('');
    setSearch({});
  };
  return (
    <>
      <PageTitle title={text.audit.title} sub={text.audit.sub} />
      <Group gap="sm" mb="md" role="search" aria-label={text.devices.filters}>
        <AnyOf
          label={text.audit.type}
          any={text.audit.anyType}
          style={{ flex: '1 1 150px' }}
          maw={240}
          data={KINDS.map((value) => ({ value, label: sayName(value) }))}
          value={type ?? null}
          onChange={(value) => set('type', value)}
        />
        <TextInput
          aria-label={text.audit.user}
          placeholder={text.audit.user}
          style={{ flex: '1 1 130px' }}
          maw={240}
          value={typed}
          onChange={(event) => {
            setTyped(event.currentTarget.value);
            setLater('user', event.currentTarget.value.trim());
          }}
        />
        <AnyOf
          label={words.audit.time}
          any={words.audit.anyTime}
          style={{ flex: '1 1 130px' }}
          maw={200}
          data={Object.keys(SPANS).map((value) => ({ value, label: words.audit.times[value] }))}
          value={time ?? null}
          onChange={(value) => set('time', value)}
        />
        {source && (
          <Button
            variant="light"
            rightSection={<IconX size={15} />}
            onClick={() => set('source', null)}
            aria-label={`${words.audit.clearSource}: ${source}`}
          >
            {words.audit.source(source)}
          </Button>
        )}
      </Group>
      <Panel>
        <Shown query={query} need="ROLE_AUDIT_READ" rows={8}>
          {(found) =>
            found.items.length ? (
              <>
                <ul className="rows">
                  {found.items.map((record) => (
                    <Row key={record.id} record={record} />
                  ))}
                </ul>
                <Pager data={found} onPage={(to) => set('page', String(to))} />
              </>
            ) : (
              <Empty
                icon={<IconHistory size={34} stroke={1.4} aria-hidden="true" />}
                title={filtered ? text.audit.noMatch : text.audit.none}
                action={
                  filtered ? (
                    <Button variant="light" onClick={clear}>
                      {text.state.clearFilters}
                    </Button>
                  ) : undefined
                }
              />
            )
          }
        </Shown>
      </Panel>
    </>
  );
}

function plain(value: unknown): string {
  if (value === undefined || value === null || value === '') return '–';
  if (Array.isArray(value) && value.every((one) => typeof one !== 'object')) return value.join(', ') || '–';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The object a record is about; the source of an alarm's or operation's record is that alarm or operation. */
function objectOf(record: AuditRecord): string | undefined {
  const device = record.com_cumulocity_model_event_AuditSourceDevice?.id;
  return device ?? (record.type === 'Inventory' ? record.source?.id : undefined);
}

function Row({ record }: { record: AuditRecord }) {
  const [open, setOpen] = useState(false);
  const changes = record.changes ?? [];
  // Many texts begin with the activity, which stands there already.
  const more = record.text?.startsWith(record.activity)
    ? record.text.slice(record.activity.length).replace(/^[:\s]+/, '')
    : record.text;
  const Chevron = open ? IconChevronDown : IconChevronRight;
  const time = record.creationTime ?? record.time;
  return (
    <li data-testid="audit-row" data-id={record.id}>
      <button type="button" className="audit-head" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Chevron size={17} aria-hidden="true" />
        <span>
          <span className="line-title">{record.activity}</span>
          {more && <span className="break"> {more}</span>}
          <span className="soft small audit-facts">
            {[record.user, sayName(record.type), changes.length > 0 && words.audit.show(changes.length)]
              .filter(Boolean)
              .join(' · ')}
          </span>
        </span>
        <span className="soft small num" title={sayTime(time)}>
          <Age time={time} />
        </span>
      </button>
      {open && <Details record={record} />}
    </li>
  );
}

function Details({ record }: { record: AuditRecord }) {
  const object = objectOf(record);
  const changes = record.changes ?? [];
  const facts: [string, React.ReactNode][] = [
    [words.audit.time, sayTime(record.time ?? record.creationTime)],
    [
      words.audit.user,
      record.user && (
        <Link className="inline-link" to={`/users/${encodeURIComponent(record.user)}`}>
          {record.user}
        </Link>
      ),
    ],
    [words.object.label, object && <ObjectLink id={object} />],
    [words.audit.application, record.application],
    [words.audit.severity, record.severity && sayName(record.severity.toLowerCase())],
    [words.audit.id, record.id],
  ];
  return (
    <div className="audit-details">
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
      {changes.length > 0 && (
        <table className="compare" data-testid="audit-changes">
          <thead>
            <tr>
              <th scope="col">{words.audit.what}</th>
              <th scope="col">{words.audit.before}</th>
              <th scope="col">{words.audit.after}</th>
            </tr>
          </thead>
          <tbody>
            {changes.map((change) => (
              <tr key={change.attribute}>
                <th scope="row">{change.attribute}</th>
                <td className="was">{plain(change.previousValue)}</td>
                <td>{plain(change.newValue)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}
