import { Text } from '@mantine/core';
import { IconTerminal2 } from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useSearchParams } from 'react-router';
import { useLiveOperations } from '../api/live';
import { listOperations } from '../api/operation';
import type { Device } from '../api/shape';
import { Pager, Panel } from '../parts/Bits';
import { Empty, Shown } from '../parts/States';
import { text } from '../text';
import { Commands } from './Commands';
import { OperationRow } from './OperationRow';

const PAGE_SIZE = 20;

export function Control({ device }: { device: Device }) {
  useLiveOperations(device.id);
  const [search, setSearch] = useSearchParams();
  const page = Math.max(1, Number(search.get('page')) || 1);
  const filter = { deviceId: device.id, page, pageSize: PAGE_SIZE };
  const query = useQuery({
    queryKey: ['operations', filter],
    queryFn: ({ signal }) => listOperations(filter, signal),
    placeholderData: keepPreviousData,
  });
  return (
    <div className="grid" style={{ gap: 16 }}>
      <Panel title={text.control.send} padded>
        {device.c8y_Connection?.status === 'DISCONNECTED' && (
          <Text size="sm" mb="sm" style={{ color: 'var(--minor)' }}>
            {text.control.noAgent}
          </Text>
        )}
        <Commands device={device} />
      </Panel>
      <Panel title={text.control.history}>
        <Shown query={query} need="ROLE_DEVICE_CONTROL_READ">
          {(data) =>
            data.items.length ? (
              <>
                <ul className="rows">
                  {data.items.map((operation) => (
                    <OperationRow key={operation.id} operation={operation} />
                  ))}
                </ul>
                <Pager data={data} onPage={(to) => setSearch({ page: String(to) })} />
              </>
            ) : (
              <Empty icon={<IconTerminal2 size={34} stroke={1.4} aria-hidden="true" />} title={text.device.noOperations}>
                {text.device.noOperationsHint}
              </Empty>
            )
          }
        </Shown>
      </Panel>
    </div>
  );
}
