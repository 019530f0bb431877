// The last value of every series of a device, with a short history for the sparkline; kept current live.
import { useQuery } from '@tanstack/react-query';
import { useReducer, useRef } from 'react';
import { useChannel } from '../api/live';
import { supportedSeries } from '../api/inventory';
import { getSeries, lastReading, readings, type SeriesAnswer } from '../api/measurement';
import type { Measurement } from '../api/shape';

export interface LastValue {
  series: string;
  value?: number;
  unit?: string;
  time?: string;
  /** Time in ms and value, oldest first. */
  trace: [number, number][];
}

const TRACE_MS = 3600_000;
/** Series without a recent value are looked up one by one, hence the limit. */
const MOST_LOOKUPS = 24;
const MOST_TRACE = 240;

function fromAnswer(names: string[], answer: SeriesAnswer): Map<string, LastValue> {
  const values = new Map<string, LastValue>(names.map((series) => [series, { series, trace: [] }]));
  const columns = answer.series.map((one) => {
    const series = `${one.type}.${one.name}`;
    const entry: LastValue = values.get(series) ?? { series, trace: [] };
    values.set(series, entry);
    return { ...one, entry };
  });
  for (const time of Object.keys(answer.values).sort()) {
    answer.values[time].forEach((value, index) => {
      const column = columns[index];
      const number = value?.avg ?? value?.max;
      if (!column || number === undefined || number === null) return;
      Object.assign(column.entry, { value: number, unit: column.unit, time });
      column.entry.trace.push([Date.parse(time), number]);
    });
  }
  return values;
}

async function load(id: string, signal: AbortSignal): Promise<Map<string, LastValue>> {
  const names = await supportedSeries(id, signal);
  if (!names.length) return new Map();
  const now = Date.now();
  const dates = { dateFrom: new Date(now - TRACE_MS).toISOString(), dateTo: new Date(now + 60_000).toISOString() };
  const values = fromAnswer(names, await getSeries({ source: id, ...dates, interval: '1m' }, signal));
  const all = [...values.values()];
  // An aggregated point carries the start of its minute; the newest stored value tells the true time.
  await Promise.all(
    all.slice(0, MOST_LOOKUPS).map(async (entry) => {
      const last = await lastReading(id, entry.series, signal).catch(() => null);
      if (last) Object.assign(entry, { value: last.value, unit: last.unit ?? entry.unit, time: last.time });
    }),
  );
  return values;
}

/** The time of the newest value that the overview has loaded, without asking for any. */
export function useNewestValue(id: string): number {
  const { data } = useQuery<Map<string, LastValue>>({ queryKey: ['lastValues', id], enabled: false, structuralSharing: false });
  const times = [...(data?.values() ?? [])].map((value) => (value.time ? Date.parse(value.time) : 0));
  return Math.min(Date.now(), Math.max(0, ...times));
}

export function useLastValues(id: string) {
  const query = useQuery({
    queryKey: ['lastValues', id],
    queryFn: ({ signal }) => load(id, signal),
    staleTime: 0,
    structuralSharing: false,
  });
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const frame = useRef(0);
  useChannel(`/measurements/${id}`, (action, data) => {
    if (action !== 'CREATE' || !query.data) return;
    for (const reading of readings(data as Measurement)) {
      const old = query.data.get(reading.series);
      const trace = [...(old?.trace ?? []), [Date.parse(reading.time), reading.value] as [number, number]].slice(-MOST_TRACE);
      query.data.set(reading.series, { ...reading, unit: reading.unit ?? old?.unit, trace });
    }
    cancelAnimationFrame(frame.current);
    frame.current = requestAnimationFrame(redraw);
  });
  return query;
}
