import { useQueries } from '@tanstack/react-query';
import { Link } from 'react-router';
import { countAlarms, type StatusFilter } from '../api/alarm';
import { SEVERITIES, type Severity } from '../api/shape';
import { SeverityIcon } from '../parts/Badges';
import { sayCount } from '../parts/say';
import { text } from '../text';

interface Props {
  status: StatusFilter;
  chosen?: Severity;
  /** Without it the tiles lead to the alarm page. */
  /** The tiles join the grid around them. */
  flat?: boolean;
  onChoose?: (severity: Severity | undefined) => void;
}

export function SeverityTiles({ status, chosen, flat, onChoose }: Props) {
  const counts = useQueries({
    queries: SEVERITIES.map((severity) => ({
      queryKey: ['alarms', 'count', severity, status],
      queryFn: ({ signal }: { signal: AbortSignal }) => countAlarms(severity, status, signal),
    })),
  });
  return (
    <div className={flat ? 'flat' : 'severities'} role="group" aria-label={onChoose ? text.alarms.tiles : text.home.activeAlarms}>
      {SEVERITIES.map((severity, index) => {
        const count = counts[index].data;
        const face = (
          <>
            <span style={{ display: 'flex', alignItems: 'center', gap: 7, fontSize: 14, fontWeight: 600 }}>
              <SeverityIcon severity={severity} size={18} />
              {text.severity[severity]}
            </span>
            <span className="figure">{sayCount(count)}</span>
            <span className="soft" style={{ fontSize: 12, display: 'block' }}>
              {text.alarms.statuses[status].toLowerCase()}
            </span>
          </>
        );
        const look = {
          className: 'card pad tile',
          'data-testid': `severity-${severity.toLowerCase()}`,
          style: { color: !count ? 'var(--soft)' : `var(--${severity.toLowerCase()})` },
        };
        if (!onChoose) {
          return (
            <Link key={severity} to={`/alarms?severity=${severity}`} {...look}>
              {face}
            </Link>
          );
        }
        const pressed = chosen === severity;
        return (
          <button
            key={severity}
            type="button"
            aria-pressed={pressed}
            onClick={() => onChoose(pressed ? undefined : severity)}
            {...look}
          >
            {face}
          </button>
        );
      })}
    </div>
  );
}
