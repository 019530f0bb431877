import { IconChartLine } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { listChildren } from '../api/inventory';
import { nameOf } from '../fleet/DeviceRows';
import { Empty, Rows } from '../parts/States';
import { text } from '../text';

const SHOWN = 8;

/** Says where values are to be found when a device has none: a gateway speaks for its children. */
export function NoValues({ id }: { id: string }) {
  const query = useQuery({
    queryKey: ['children', id, 'childDevices'],
    queryFn: ({ signal }) => listChildren(id, 'childDevices', 100, signal),
    retry: false,
  });
  if (query.isPending) return <Rows count={2} />;
  const children = query.data ?? [];
  const icon = <IconChartLine size={34} stroke={1.4} aria-hidden="true" />;
  return (
    <div className="card">
      {children.length ? (
        <Empty icon={icon} title={text.device.noOwnValues}>
          {text.device.childrenSend(children.length)}
          <span className="links">
            {children.slice(0, SHOWN).map((child) => (
              <Link key={child.id} to={`/device/${child.id}`} data-testid="child-with-values">
                {nameOf(child)}
              </Link>
            ))}
            {children.length > SHOWN && (
              <Link to={`/device/${id}/children`}>{text.device.moreChildren(children.length - SHOWN)}</Link>
            )}
          </span>
        </Empty>
      ) : (
        <Empty icon={icon} title={text.device.noValues}>
          {text.device.noValuesHint}
        </Empty>
      )}
    </div>
  );
}
