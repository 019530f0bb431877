import { Button, Checkbox, Group, Text } from '@mantine/core';
import { IconBellOff, IconCheck, IconEye } from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { listAlarms, type AlarmFilter } from '../api/alarm';
import type { Alarm } from '../api/shape';
import { Pager } from '../parts/Bits';
import { Empty, Shown } from '../parts/States';
import { text } from '../text';
import { AlarmRow } from './AlarmRow';
import { useAlarmChange } from './actions';

interface Props {
  filter: AlarmFilter;
  onPage: (page: number) => void;
  /** Given when filters hide something. */
  onClearFilters?: () => void;
  hideSource?: boolean;
}

export function AlarmList({ filter, onPage, onClearFilters, hideSource }: Props) {
  const query = useQuery({
    queryKey: ['alarms', 'list', filter],
    queryFn: ({ signal }) => listAlarms(filter, signal),
    placeholderData: keepPreviousData,
  });
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  return (
    <Shown query={query} need="ROLE_ALARM_READ">
      {(page) => {
        if (!page.items.length && filter.page === 1) return <NoAlarms onClearFilters={onClearFilters} />;
        const open = page.items.filter((alarm) => alarm.status !== 'CLEARED');
        const picked = open.filter((alarm) => chosen.has(alarm.id));
        return (
          <>
            {open.length > 0 && <BulkBar open={open} picked={picked} setChosen={setChosen} />}
            <ul className="rows">
              {page.items.map((alarm) => (
                <AlarmRow
                  key={alarm.id}
                  alarm={alarm}
                  hideSource={hideSource}
                  selected={chosen.has(alarm.id)}
                  onSelect={(on) => {
                    const next = new Set(chosen);
                    if (on) next.add(alarm.id);
                    else next.delete(alarm.id);
                    setChosen(next);
                  }}
                />
              ))}
            </ul>
            <Pager data={page} onPage={onPage} />
          </>
        );
      }}
    </Shown>
  );
}

function NoAlarms({ onClearFilters }: { onClearFilters?: () => void }) {
  const icon = <IconBellOff size={34} stroke={1.4} aria-hidden="true" />;
  if (!onClearFilters) {
    return (
      <Empty icon={icon} title={text.alarms.none}>
        {text.alarms.noneHint}
      </Empty>
    );
  }
  const action = (
    <Button variant="light" onClick={onClearFilters}>
      {text.state.clearFilters}
    </Button>
  );
  return (
    <Empty icon={icon} title={text.alarms.noMatch} action={action}>
      {text.alarms.noMatchHint}
    </Empty>
  );
}

interface BulkProps {
  open: Alarm[];
  picked: Alarm[];
  setChosen: (chosen: ReadonlySet<string>) => void;
}

function BulkBar({ open, picked, setChosen }: BulkProps) {
  const change = useAlarmChange();
  const act = (status: 'ACKNOWLEDGED' | 'CLEARED') =>
    change.mutate({ alarms: picked, status }, { onSuccess: () => setChosen(new Set()) });
  return (
    <Group px={16} py={8} gap="sm" style={{ borderBottom: '1px solid var(--line)', minHeight: 48 }}>
      <Checkbox
        label={picked.length ? text.alarms.selected(picked.length) : text.alarms.selectAll}
        checked={picked.length === open.length}
        indeterminate={picked.length > 0 && picked.length < open.length}
        onChange={(event) => setChosen(new Set(event.currentTarget.checked ? open.map((alarm) => alarm.id) : []))}
      />
      {picked.length > 0 && (
        <Group gap={6} role="group" aria-label={text.alarms.selected(picked.length)}>
          <Button
            size="compact-md"
            variant="light"
            leftSection={<IconEye size={15} />}
            loading={change.isPending}
            onClick={() => act('ACKNOWLEDGED')}
          >
            {text.alarms.acknowledge}
          </Button>
          <Button
            size="compact-md"
            variant="light"
            leftSection={<IconCheck size={15} />}
            loading={change.isPending}
            onClick={() => act('CLEARED')}
          >
            {text.alarms.clear}
          </Button>
        </Group>
      )}
      {picked.length === 0 && <Text size="sm" c="dimmed" />}
    </Group>
  );
}
