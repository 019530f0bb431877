import { Button, Chip, Group, SegmentedControl, Text, TextInput } from '@mantine/core';
import { IconChartLine } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useMemo, useRef, useState } from 'react';
import { useSearchParams } from 'react-router';
import { supportedSeries } from '../api/inventory';
import { useChannel } from '../api/live';
import { getSeries, readings } from '../api/measurement';
import type { Measurement } from '../api/shape';
import { Panel, usePhone } from '../parts/Bits';
import { sayCount, sayNumber, saySeries, sayStep } from '../parts/say';
import { Empty, Rows, Shown } from '../parts/States';
import { text } from '../text';
import { Chart, MOST_LINES } from './Chart';
import { NoValues } from './NoValues';
import './values.css';
import { intervalFor, RANGE_MS, RANGES, SeriesModel, summaries, type Range } from './seriesModel';
import { ValueTable } from './ValueTable';

const DEFAULT_LINES = 2;
const CLOCK_MS = 1000;

export function Values({ id }: { id: string }) {
  const names = useQuery({
    queryKey: ['supportedSeries', id],
    queryFn: ({ signal }) => supportedSeries(id, signal),
    staleTime: 10_000,
  });
  return (
    <Shown query={names} need="ROLE_MEASUREMENT_READ">
      {(all) => (all.length ? <Explorer id={id} all={all} /> : <NoValues id={id} />)}
    </Shown>
  );
}

/** What the address says should be drawn. */
function useView(all: string[]) {
  const [search, setSearch] = useSearchParams();
  const asked = search
    .getAll('series')
    .filter((name) => all.includes(name))
    .slice(0, MOST_LINES);
  const series = search.has('series') ? asked : all.slice(0, DEFAULT_LINES);
  const range: Range = RANGES.find((one) => one === search.get('range')) ?? '1h';
  const from = search.get('from') ?? new Date(Date.now() - RANGE_MS['1d']).toISOString();
  const to = search.get('to') ?? new Date().toISOString();
  const table = search.get('as') === 'table';
  function set(change: Record<string, string | string[]>) {
    const next = new URLSearchParams(search);
    for (const [key, value] of Object.entries(change)) {
      next.delete(key);
      if (Array.isArray(value)) (value.length ? value : ['']).forEach((one) => next.append(key, one));
      else if (value) next.set(key, value);
    }
    setSearch(next, { replace: true });
  }
  return { series, range, from, to, table, set };
}

function Explorer({ id, all }: { id: string; all: string[] }) {
  const view = useView(all);
  const phone = usePhone();
  return (
    <div className="grid" style={{ gap: 16 }}>
      <Panel padded>
        <div className="grid" style={{ gap: 14 }}>
          <Chip.Group multiple value={view.series} onChange={(series) => view.set({ series: series.slice(-MOST_LINES) })}>
            <Group gap={8} role="group" aria-label={text.values.pick}>
              {all.map((name) => (
                <Chip key={name} value={name} variant="outline" size="sm" data-testid="series" data-series={name} title={name}>
                  {saySeries(name)}
                </Chip>
              ))}
            </Group>
          </Chip.Group>
          <Group gap="sm" justify="space-between">
            <div className="scroller">
              <SegmentedControl
                aria-label={text.values.range}
                size={phone ? 'xs' : 'sm'}
                value={view.range}
                onChange={(range) =>
                  view.set(range === 'custom' ? { range, from: view.from, to: view.to } : { range, from: '', to: '' })
                }
                data={RANGES.map((value) => ({ value, label: text.values.ranges[value] }))}
              />
            </div>
            <SegmentedControl
              aria-label={`${text.values.chart}, ${text.values.table}`}
              size={phone ? 'xs' : 'sm'}
              value={view.table ? 'table' : 'chart'}
              onChange={(value) => view.set({ as: value === 'table' ? 'table' : '' })}
              data={[
                { value: 'chart', label: text.values.chart },
                { value: 'table', label: text.values.table },
              ]}
            />
          </Group>
          {view.range === 'custom' && (
            <CustomRange from={view.from} to={view.to} onChange={(from, to) => view.set({ from, to })} />
          )}
        </div>
      </Panel>
      <Panel padded>
        {view.series.length ? (
          <Drawn id={id} series={view.series} range={view.range} from={view.from} to={view.to} table={view.table} />
        ) : (
          <Empty icon={<IconChartLine size={34} stroke={1.4} aria-hidden="true" />} title={text.values.none} />
        )}
      </Panel>
    </div>
  );
}

/** `datetime-local` fields speak local time without a zone. */
function toLocal(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return '';
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function CustomRange({ from, to, onChange }: { from: string; to: string; onChange: (from: string, to: string) => void }) {
  const [start, setStart] = useState(toLocal(from));
  const [end, setEnd] = useState(toLocal(to));
  const valid = start !== '' && end !== '' && start < end;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (valid) onChange(new Date(start).toISOString(), new Date(end).toISOString());
      }}
    >
      <Group align="end" gap="sm">
        <TextInput
          type="datetime-local"
          label={text.values.from}
          value={start}
          max={end}
          onChange={(event) => setStart(event.currentTarget.value)}
        />
        <TextInput
          type="datetime-local"
          label={text.values.to}
          value={end}
          min={start}
          onChange={(event) => setEnd(event.currentTarget.value)}
        />
        <Button type="submit" variant="light" disabled={!valid}>
          {text.values.show}
        </Button>
      </Group>
    </form>
  );
}

interface DrawnProps {
  id: string;
  series: string[];
  range: Range;
  from: string;
  to: string;
  table: boolean;
}

function Drawn({ id, series, range, from, to, table }: DrawnProps) {
  const live = range !== 'custom';
  const span = live ? RANGE_MS[range] : Date.parse(to) - Date.parse(from);
  const interval = intervalFor(span);
  const { model, version, query, truncated } = useSeries({
    id,
    series,
    range,
    from,
    to,
    span,
    live,
    interval: interval?.word,
    stepMs: interval?.ms ?? 0,
  });
  const phone = usePhone();
  const window = (): [number, number] => (live ? [Date.now() - span, Date.now()] : [Date.parse(from), Date.parse(to)]);
  if (query.isError && !query.data)
    return (
      <Shown query={query} need="ROLE_MEASUREMENT_READ">
        {() => null}
      </Shown>
    );
  if (!model) return <Rows count={6} />;
  const facts = summaries(model);
  const label = text.values.chartLabel(series.map(saySeries).join(', '));
  return (
    <>
      {truncated && (
        <Text size="sm" mb="xs" style={{ color: 'var(--minor)' }}>
          {text.values.truncated}
        </Text>
      )}
      {table ? (
        <ValueTable model={model} />
      ) : (
        <Chart model={model} version={version} label={label} window={window} height={phone ? 260 : 360} />
      )}
      {facts.length === 0 && <Empty title={text.values.empty}>{text.values.emptyHint}</Empty>}
      <ul className="value-facts">
        {facts.map((fact) => (
          <li key={fact.series} className="num">
            <span className="value-line" data-line={series.indexOf(fact.series)} aria-hidden="true" />
            {text.values.summary(
              saySeries(fact.series),
              `${sayNumber(fact.last)} ${fact.unit}`.trim(),
              sayNumber(fact.low),
              sayNumber(fact.high),
              sayCount(fact.count),
            )}
          </li>
        ))}
      </ul>
      <Text size="xs" c="dimmed" mt={4}>
        {interval ? text.values.aggregated(sayStep(interval.word)) : text.values.raw}
      </Text>
    </>
  );
}

interface SeriesOptions {
  id: string;
  series: string[];
  range: Range;
  from: string;
  to: string;
  span: number;
  live: boolean;
  interval?: string;
  stepMs: number;
}

/** Loads the history, then appends what arrives; returns a version that grows with every change. */
function useSeries(options: SeriesOptions) {
  const { id, series, range, from, to, span, live, interval, stepMs } = options;
  const key = series.join('|');
  const query = useQuery({
    queryKey: ['series', id, key, range, live ? '' : from, live ? '' : to],
    queryFn: ({ signal }) => {
      const now = Date.now();
      const dates = live
        ? { dateFrom: new Date(now - span).toISOString(), dateTo: new Date(now + 60_000).toISOString() }
        : { dateFrom: from, dateTo: to };
      return getSeries({ source: id, series, ...dates, interval }, signal);
    },
    staleTime: 0,
    gcTime: 0,
  });
  // Values that arrive while the history is on its way must not be lost.
  const early = useRef<Measurement[]>([]);
  const model = useMemo(
    () => (query.data ? SeriesModel.from(key.split('|'), query.data, stepMs) : undefined),
    [query.data, key, stepMs],
  );
  const [version, setVersion] = useState(0);
  const frame = useRef(0);

  useChannel(live ? `/measurements/${id}` : undefined, (action, data) => {
    if (action !== 'CREATE') return;
    early.current.push(data as Measurement);
    cancelAnimationFrame(frame.current);
    frame.current = requestAnimationFrame(() => setVersion((count) => count + 1));
  });
  useEffect(() => {
    early.current = [];
  }, [id, key, range]);
  useEffect(() => {
    if (!live) return undefined;
    const timer = setInterval(() => setVersion((count) => count + 1), Math.max(CLOCK_MS, span / 2000));
    return () => clearInterval(timer);
  }, [live, span]);

  if (model) {
    // Adding the same value twice is harmless, so this may run in any render.
    for (const measurement of early.current) {
      for (const reading of readings(measurement))
        model.add(reading.series, Date.parse(reading.time), reading.value, reading.unit);
    }
    early.current = [];
    if (live) model.prune(Date.now() - span);
  }
  return { model, version, query, truncated: Boolean(query.data?.truncated) };
}
