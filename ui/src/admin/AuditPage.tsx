import { Button, Group, Select, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconHistory } from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { listAudit } from '../api/audit';
import type { AuditRecord } from '../api/shape';
import { Pager, Panel } from '../parts/Bits';
import { sayName, sayTime } from '../parts/say';
import { Empty, PageTitle, Shown } from '../parts/States';
import { text } from '../text';

const PAGE_SIZE = 25;
const KINDS = [
  'Alarm',
  'Application',
  'BulkOperation',
  'Event',
  'Group',
  'Inventory',
  'InventoryRole',
  'Operation',
  'Option',
  'SmartRule',
  'Tenant',
  'TrustedCertificates',
  'User',
  'UserAuthentication',
];

export function AuditPage() {
  const [search, setSearch] = useSearchParams();
  const type = search.get('type') ?? undefined;
  const user = search.get('user') ?? undefined;
  const filter = { type, user, page: Math.max(1, Number(search.get('page')) || 1), pageSize: PAGE_SIZE };
  const [typed, setTyped] = useState(user ?? '');
  const query = useQuery({
    queryKey: ['audit', filter],
    queryFn: ({ signal }) => listAudit(filter, signal),
    placeholderData: keepPreviousData,
    staleTime: 5000,
  });
  function set(key: string, value: string | null) {
    const next = new URLSearchParams(search);
    if (value) next.set(key, value);
    else next.delete(key);
    if (key !== 'page') next.delete('page');
    setSearch(next, { replace: key !== 'page' });
  }
  const setLater = useDebouncedCallback(set, 300);
  const clear = () => {
    setTyped('');
    setSearch({});
  };
  return (
    <>
      <PageTitle title={text.audit.title} sub={text.audit.sub} />
      <Group gap="sm" mb="md">
        <Select
          aria-label={text.audit.type}
          placeholder={text.audit.anyType}
          clearable
          clearButtonProps={{ 'aria-label': text.audit.anyType }}
          data={KINDS.map((value) => ({ value, label: sayName(value) }))}
          value={type ?? null}
          onChange={(value) => set('type', value)}
        />
        <TextInput
          aria-label={text.audit.user}
          placeholder={text.audit.user}
          value={typed}
          onChange={(event) => {
            setTyped(event.currentTarget.value);
            setLater('user', event.currentTarget.value.trim());
          }}
        />
      </Group>
      <Panel>
        <Shown query={query} need="ROLE_AUDIT_READ" rows={8}>
          {(page) =>
            page.items.length ? (
              <>
                <ul className="rows">
                  {page.items.map((record) => (
                    <Row key={record.id} record={record} />
                  ))}
                </ul>
                <Pager data={page} onPage={(to) => set('page', String(to))} />
              </>
            ) : (
              <Empty
                icon={<IconHistory size={34} stroke={1.4} aria-hidden="true" />}
                title={type || user ? text.audit.noMatch : text.audit.none}
                action={
                  type || user ? (
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
  return typeof value === 'string' ? value : value === undefined || value === null ? '–' : JSON.stringify(value);
}

function Row({ record }: { record: AuditRecord }) {
  // The source of an alarm's or operation's record is that alarm or operation.
  const device =
    record.com_cumulocity_model_event_AuditSourceDevice?.id ?? (record.type === 'Inventory' ? record.source?.id : '');
  return (
    <li data-testid="audit-row" style={{ display: 'flex', flexWrap: 'wrap', gap: '2px 20px' }}>
      <div style={{ flex: '1 1 300px', minWidth: 0 }}>
        <div className="break" style={{ fontWeight: 550 }}>
          {record.activity}
        </div>
        {record.text && record.text !== record.activity && <div className="break">{record.text}</div>}
        {record.changes?.map((change) => (
          <div key={change.attribute} className="soft break" style={{ fontSize: 13 }}>
            {text.audit.change(change.attribute, plain(change.previousValue), plain(change.newValue))}
          </div>
        ))}
      </div>
      <div className="soft" style={{ fontSize: 13, flex: '0 1 260px' }}>
        <div className="num">{sayTime(record.creationTime ?? record.time)}</div>
        <div className="break">
          {[record.user, sayName(record.type)].filter(Boolean).join(' · ')}
          {device && (
            <>
              {' · '}
              <Link to={`/device/${device}`} style={{ color: 'inherit' }}>
                {text.devices.unnamed(device)}
              </Link>
            </>
          )}
        </div>
      </div>
    </li>
  );
}
