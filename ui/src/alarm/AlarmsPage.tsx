import { SegmentedControl } from '@mantine/core';
import { useSearchParams } from 'react-router';
import type { StatusFilter } from '../api/alarm';
import { SEVERITIES, type Severity } from '../api/shape';
import { Panel } from '../parts/Bits';
import { PageTitle } from '../parts/States';
import { text } from '../text';
import { AlarmList } from './AlarmList';
import { SeverityTiles } from './SeverityTiles';

const PAGE_SIZE = 25;
const STATUSES: StatusFilter[] = ['open', 'ACTIVE', 'ACKNOWLEDGED', 'CLEARED', 'all'];

export function AlarmsPage() {
  const [search, setSearch] = useSearchParams();
  const status = STATUSES.find((one) => one === search.get('status')) ?? 'open';
  const severity = SEVERITIES.find((one) => one === search.get('severity'));
  const page = Math.max(1, Number(search.get('page')) || 1);

  function go(change: { status?: StatusFilter; severity?: Severity | ''; page?: number }) {
    const next = { status, severity: severity ?? '', page: 1, ...change };
    const params = new URLSearchParams();
    if (next.status !== 'open') params.set('status', next.status);
    if (next.severity) params.set('severity', next.severity);
    if (next.page > 1) params.set('page', String(next.page));
    setSearch(params, { replace: change.page === undefined });
  }

  const filtered = severity !== undefined || status !== 'open';
  return (
    <>
      <PageTitle title={text.alarms.title} />
      <div className="grid" style={{ gap: 16 }}>
        <SeverityTiles status={status} chosen={severity} onChoose={(chosen) => go({ severity: chosen ?? '' })} />
        <div className="scroller">
          <SegmentedControl
            aria-label={text.alarms.status}
            value={status}
            onChange={(value) => go({ status: value as StatusFilter })}
            data={STATUSES.map((value) => ({ value, label: text.alarms.statuses[value] }))}
          />
        </div>
        <Panel>
          <AlarmList
            filter={{ status, severity, page, pageSize: PAGE_SIZE }}
            onPage={(to) => go({ page: to })}
            onClearFilters={filtered ? () => setSearch(new URLSearchParams()) : undefined}
          />
        </Panel>
      </div>
    </>
  );
}
