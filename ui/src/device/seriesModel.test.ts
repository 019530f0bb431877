import { expect, test } from 'vitest';
import { intervalFor, RANGE_MS, SeriesModel, summaries } from './seriesModel';

const answer = {
  values: {
    '2026-02-03T04:00:00.000Z': [
      { min: 1.5, max: 2.5 },
      { min: 7, max: 7 },
    ],
    '2026-02-03T05:00:00.000Z': [{}, { min: 8, max: 9 }],
    '2026-02-03T06:00:00.000Z': [{ min: 3, max: 3 }],
  },
  series: [
    { type: 'acme_Flow', name: 'F', unit: 'l/s' },
    { type: 'acme_Count', name: 'N', unit: '#' },
  ],
  truncated: false,
};
const names = ['acme_Flow.F', 'acme_Count.N'];

test('a series answer with gaps keeps its gaps', () => {
  const model = SeriesModel.from(names, answer);
  expect(model.times).toHaveLength(3);
  expect(model.tracks[0].middle).toEqual([2, null, 3]);
  expect(model.tracks[1].high).toEqual([7, 9, null]);
  expect(model.points).toBe(4);
});

test('a live value is appended, and adding it twice changes nothing', () => {
  const model = SeriesModel.from(names, answer);
  const time = Date.parse('2026-02-03T06:00:05.000Z');
  model.add('acme_Flow.F', time, 4, 'l/s');
  model.add('acme_Flow.F', time, 4, 'l/s');
  expect(model.points).toBe(5);
  expect(model.tracks[0].middle.at(-1)).toBe(4);
});

test('a late value goes where its time belongs', () => {
  const model = SeriesModel.from(names, answer);
  model.add('acme_Count.N', Date.parse('2026-02-03T04:30:00.000Z'), 7.5);
  expect(model.tracks[1].middle).toEqual([7, 7.5, 8.5, null]);
});

test('live values of one step widen the band', () => {
  const model = new SeriesModel(['a.b'], 60_000);
  model.add('a.b', 61_000, 5);
  model.add('a.b', 65_000, 9);
  expect(model.times).toEqual([60]);
  expect([model.tracks[0].low[0], model.tracks[0].middle[0], model.tracks[0].high[0]]).toEqual([5, 9, 9]);
});

test('old rows leave the window', () => {
  const model = SeriesModel.from(names, answer);
  model.prune(Date.parse('2026-02-03T05:30:00.000Z'));
  expect(model.times).toHaveLength(1);
  expect(model.tracks[0].low).toEqual([3]);
});

test('the summary tells last, lowest and highest', () => {
  const [flow] = summaries(SeriesModel.from(names, answer));
  expect(flow).toEqual({ series: 'acme_Flow.F', unit: 'l/s', last: 3, low: 1.5, high: 3, count: 2 });
});

test('the aggregation keeps a chart below a thousand points', () => {
  for (const span of Object.values(RANGE_MS)) {
    const interval = intervalFor(span);
    if (interval) expect(span / interval.ms).toBeLessThan(1000);
  }
  expect(intervalFor(RANGE_MS['15m'])).toBeUndefined();
});
