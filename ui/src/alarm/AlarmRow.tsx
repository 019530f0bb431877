import { Button, Checkbox, Group } from '@mantine/core';
import { IconCheck, IconEye } from '@tabler/icons-react';
import { Link } from 'react-router';
import type { Alarm } from '../api/shape';
import { Age } from '../parts/Age';
import { AlarmStatusBadge, SeverityBadge } from '../parts/Badges';
import { text } from '../text';
import { useAlarmChange } from './actions';

interface Props {
  alarm: Alarm;
  /** Without actions, for the home page. */
  compact?: boolean;
  /** On the device page the device is known. */
  hideSource?: boolean;
  selected?: boolean;
  onSelect?: (selected: boolean) => void;
}

export function AlarmRow({ alarm, compact, hideSource, selected, onSelect }: Props) {
  const change = useAlarmChange();
  const open = alarm.status !== 'CLEARED';
  return (
    <li
      data-testid="alarm-row"
      data-id={alarm.id}
      data-severity={alarm.severity}
      data-status={alarm.status}
      data-type={alarm.type}
      style={{ display: 'flex', gap: 12, alignItems: 'flex-start' }}
    >
      {onSelect && (
        <Checkbox
          mt={3}
          aria-label={text.alarms.select(alarm.text)}
          checked={Boolean(selected)}
          disabled={!open}
          onChange={(event) => onSelect(event.currentTarget.checked)}
        />
      )}
      <div style={{ flex: 1, minWidth: 0, display: 'flex', flexWrap: 'wrap', gap: '8px 12px', alignItems: 'center' }}>
        <div style={{ flex: '1 1 260px', minWidth: 0 }}>
          <div className="break" style={{ fontWeight: 550 }}>
            {alarm.text}
          </div>
          <div className="soft" style={{ fontSize: 13, display: 'flex', gap: '0 8px', flexWrap: 'wrap' }}>
            {!hideSource && (
              <Link to={`/device/${alarm.source.id}/alarms`} className="plain break">
                {alarm.source.name ?? text.devices.unnamed(alarm.source.id)}
              </Link>
            )}
            {!compact && <span className="break">{alarm.type}</span>}
            <Age time={alarm.time} />
            {(alarm.count ?? 1) > 1 && <span>{text.alarms.times(alarm.count ?? 1)}</span>}
          </div>
        </div>
        <Group gap={6}>
          <SeverityBadge severity={alarm.severity} />
          {(!compact || alarm.status !== 'ACTIVE') && <AlarmStatusBadge status={alarm.status} />}
        </Group>
        {!compact && open && (
          <Group gap={6}>
            {alarm.status === 'ACTIVE' && (
              <Button
                size="compact-md"
                variant="default"
                leftSection={<IconEye size={15} />}
                data-testid="alarm-acknowledge"
                loading={change.isPending}
                onClick={() => change.mutate({ alarms: [alarm], status: 'ACKNOWLEDGED' })}
              >
                {text.alarms.acknowledge}
              </Button>
            )}
            <Button
              size="compact-md"
              variant="default"
              leftSection={<IconCheck size={15} />}
              data-testid="alarm-clear"
              loading={change.isPending}
              onClick={() => change.mutate({ alarms: [alarm], status: 'CLEARED' })}
            >
              {text.alarms.clear}
            </Button>
          </Group>
        )}
      </div>
    </li>
  );
}
