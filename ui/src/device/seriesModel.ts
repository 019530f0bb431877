// The data behind a chart: one shared time axis, and low/middle/high per series. Pure, so that it can be tested.
import type { SeriesAnswer } from '../api/measurement';

export const RANGES = ['15m', '1h', '6h', '1d', '1w', '30d', 'custom'] as const;
export type Range = (typeof RANGES)[number];

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export const RANGE_MS: Record<Exclude<Range, 'custom'>, number> = {
  '15m': 15 * MINUTE,
  '1h': HOUR,
  '6h': 6 * HOUR,
  '1d': DAY,
  '1w': 7 * DAY,
  '30d': 30 * DAY,
};

export interface Interval {
  word: string;
  ms: number;
}

/** About 300-700 points per chart; short ranges show every stored value. */
const STEPS: { upTo: number; interval?: Interval }[] = [
  { upTo: HOUR },
  { upTo: 8 * HOUR, interval: { word: '1m', ms: MINUTE } },
  { upTo: 36 * HOUR, interval: { word: '5m', ms: 5 * MINUTE } },
  { upTo: 8 * DAY, interval: { word: '30m', ms: 30 * MINUTE } },
  { upTo: 45 * DAY, interval: { word: '2h', ms: 2 * HOUR } },
  { upTo: Infinity, interval: { word: '1d', ms: DAY } },
];

export function intervalFor(spanMs: number): Interval | undefined {
  return STEPS.find((step) => spanMs <= step.upTo)?.interval;
}

type Cell = number | null;

export interface Track {
  series: string;
  unit: string;
  low: Cell[];
  middle: Cell[];
  high: Cell[];
}

/** Rows past this are dropped at the old end, so that a wall display does not grow for ever. */
const MOST_ROWS = 20_000;

export class SeriesModel {
  /** Seconds since 1970, ascending. */
  times: number[] = [];
  tracks: Track[];
  private stepMs: number;

  constructor(names: string[], stepMs = 0) {
    this.stepMs = stepMs;
    this.tracks = names.map((series) => ({ series, unit: '', low: [], middle: [], high: [] }));
  }

  static from(names: string[], answer: SeriesAnswer, stepMs = 0): SeriesModel {
    const model = new SeriesModel(names, stepMs);
    const columns = answer.series.map((one) => {
      const track = model.tracks.find((candidate) => candidate.series === `${one.type}.${one.name}`);
      if (track && one.unit) track.unit = one.unit;
      return track;
    });
    const times = Object.keys(answer.values)
      .map((key) => [Date.parse(key), key] as const)
      .sort((a, b) => a[0] - b[0]);
    for (const [ms, key] of times) {
      const row = model.row(ms / 1000);
      answer.values[key].forEach((value, index) => {
        const track = columns[index];
        if (!track || typeof value?.max !== 'number') return;
        const low = value.min ?? value.max;
        track.low[row] = low;
        track.high[row] = value.max;
        track.middle[row] = value.avg ?? (low + value.max) / 2;
      });
    }
    return model;
  }

  /** Adds a live value; values of one aggregation step widen the step's band. */
  add(series: string, ms: number, value: number, unit?: string): boolean {
    const track = this.tracks.find((one) => one.series === series);
    if (!track || !Number.isFinite(ms)) return false;
    if (unit) track.unit = unit;
    const row = this.row((this.stepMs ? Math.floor(ms / this.stepMs) * this.stepMs : ms) / 1000);
    const low = track.low[row];
    const high = track.high[row];
    track.low[row] = low === null || !this.stepMs ? value : Math.min(low, value);
    track.high[row] = high === null || !this.stepMs ? value : Math.max(high, value);
    track.middle[row] = value;
    return true;
  }

  /** Drops what is older than the window. */
  prune(fromMs: number): void {
    const from = fromMs / 1000;
    let gone = 0;
    while (gone < this.times.length && this.times[gone] < from) gone++;
    gone = Math.max(gone, this.times.length - MOST_ROWS);
    if (gone > 0) this.columns().forEach((column) => column.splice(0, gone));
  }

  /** How many values are drawn, over all series. */
  get points(): number {
    return this.tracks.reduce(
      (sum, track) => sum + track.middle.reduce<number>((count, cell) => (cell === null ? count : count + 1), 0),
      0,
    );
  }

  private columns(): Cell[][] {
    return [this.times as Cell[], ...this.tracks.flatMap((track) => [track.low, track.middle, track.high])];
  }

  /** The row of a time, inserted in order when it is new. */
  private row(seconds: number): number {
    let at = this.times.length;
    while (at > 0 && this.times[at - 1] >= seconds) at--;
    if (this.times[at] === seconds) return at;
    this.columns().forEach((column, index) => column.splice(at, 0, index === 0 ? seconds : null));
    return at;
  }
}

export interface Summary {
  series: string;
  unit: string;
  last: number;
  low: number;
  high: number;
  count: number;
}

export function summaries(model: SeriesModel): Summary[] {
  const found: Summary[] = [];
  for (const { series, unit, low, middle, high } of model.tracks) {
    const values = middle.filter((cell): cell is number => cell !== null);
    if (!values.length) continue;
    const lows = low.filter((cell): cell is number => cell !== null);
    const highs = high.filter((cell): cell is number => cell !== null);
    const least = lows.reduce((a, b) => Math.min(a, b), Infinity);
    const most = highs.reduce((a, b) => Math.max(a, b), -Infinity);
    found.push({ series, unit, last: values[values.length - 1], low: least, high: most, count: values.length });
  }
  return found;
}
