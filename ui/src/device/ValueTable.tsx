import { Text } from '@mantine/core';
import { sayNumber, saySeries, sayTime } from '../parts/say';
import { text } from '../text';
import type { SeriesModel } from './seriesModel';

const MOST_ROWS = 200;

/** The chart's numbers as a table, newest first. */
export function ValueTable({ model }: { model: SeriesModel }) {
  const all = model.times.length;
  const rows = Array.from({ length: Math.min(all, MOST_ROWS) }, (_, i) => all - 1 - i);
  return (
    <>
      <div
        className="scroller"
        tabIndex={0}
        role="region"
        aria-label={text.values.table}
        style={{ maxHeight: 460 }}
        data-testid="value-table"
      >
        <table className="list num">
          <thead>
            <tr>
              <th scope="col">{text.values.time}</th>
              {model.tracks.map((track) => (
                <th scope="col" key={track.series}>
                  {saySeries(track.series)} {track.unit && `(${track.unit})`}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={model.times[row]}>
                <td style={{ whiteSpace: 'nowrap' }}>{sayTime(model.times[row] * 1000)}</td>
                {model.tracks.map((track) => (
                  <td key={track.series}>{sayNumber(track.middle[row])}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Text size="xs" c="dimmed" mt={4}>
        {text.values.shownRows(rows.length, all)}
      </Text>
    </>
  );
}
