import { ApiError, request } from './http';
import type { Measurement } from './shape';

export interface SeriesName {
  type: string;
  name: string;
  unit?: string;
}
export interface SeriesValue {
  min?: number;
  max?: number;
  avg?: number;
}
export interface SeriesAnswer {
  values: Record<string, (SeriesValue | null)[]>;
  series: SeriesName[];
  truncated: boolean;
}

export interface SeriesQuery {
  source: string;
  series?: string[];
  dateFrom: string;
  dateTo: string;
  /** Such as `1m` or `2h`; without it every stored value is returned. */
  interval?: string;
}

export async function getSeries(q: SeriesQuery, signal?: AbortSignal): Promise<SeriesAnswer> {
  const plain = { source: q.source, series: q.series, dateFrom: q.dateFrom, dateTo: q.dateTo, revert: false };
  const path = '/measurement/measurements/series';
  if (!q.interval) return request<SeriesAnswer>(path, { query: plain, signal });
  const query = { ...plain, aggregationInterval: q.interval };
  try {
    return await request<SeriesAnswer>(path, { query: { ...query, aggregationFunction: ['min', 'max', 'avg'] }, signal });
  } catch (error) {
    // A server without aggregation functions still knows minimum and maximum.
    if (!(error instanceof ApiError) || (error.status !== 400 && error.status !== 422)) throw error;
    return request<SeriesAnswer>(path, { query, signal });
  }
}

/** One value of one series. */
export interface Reading {
  series: string;
  value: number;
  unit?: string;
  time: string;
}

const META = new Set(['id', 'self', 'source', 'time', 'type']);

/** Flattens a measurement into its values; anything that is not `{value: number}` is skipped. */
export function readings(measurement: Measurement): Reading[] {
  const found: Reading[] = [];
  for (const [fragment, content] of Object.entries(measurement)) {
    if (META.has(fragment) || typeof content !== 'object' || content === null) continue;
    for (const [name, point] of Object.entries(content as Record<string, unknown>)) {
      const { value, unit } = (point ?? {}) as { value?: unknown; unit?: string };
      if (typeof value === 'number') found.push({ series: `${fragment}.${name}`, value, unit, time: measurement.time });
    }
  }
  return found;
}

/** The newest stored value of a series, however old. */
export async function lastReading(source: string, series: string, signal?: AbortSignal): Promise<Reading | null> {
  const dot = series.indexOf('.');
  const query = {
    source,
    valueFragmentType: series.slice(0, dot),
    valueFragmentSeries: series.slice(dot + 1),
    dateFrom: '1970-01-01T00:00:00.000Z',
    revert: true,
    pageSize: 1,
  };
  const body = await request<{ measurements?: Measurement[] }>('/measurement/measurements', { query, signal });
  const newest = body.measurements?.[0];
  return (newest && readings(newest).find((reading) => reading.series === series)) ?? null;
}
