import 'uplot/dist/uPlot.min.css';
import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import { sayNumber, saySeries, sayTime } from '../parts/say';
import type { SeriesModel } from './seriesModel';

/** Distinct in both colour schemes and for the common colour blindnesses; dashes repeat the difference. */
export const LINES = {
  light: ['#0b6f86', '#c2500a', '#5f3dc4', '#2b8a3e', '#a61e4d', '#5c5f66'],
  dark: ['#45c4e0', '#ffa94d', '#b197fc', '#69db7c', '#faa2c1', '#ced4da'],
};
const DASHES: number[][] = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 5], [1, 2]];
export const MOST_LINES = LINES.light.length;

interface Props {
  model: SeriesModel;
  /** Grows with every change of the model. */
  version: number;
  label: string;
  /** The window in ms; the right edge moves with the clock while live. */
  window: () => [number, number];
  height?: number;
}

function dataOf(model: SeriesModel): uPlot.AlignedData {
  return [model.times, ...model.tracks.flatMap((track) => [track.middle, track.low, track.high])] as uPlot.AlignedData;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const clockSeconds = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const DAY_SECONDS = 86_400;

/** Time of day; the first tick and midnight carry the date below. */
function sayTick(seconds: number, step: number, first: boolean): string {
  const date = new Date(seconds * 1000);
  if (step >= DAY_SECONDS) return day.format(date);
  const time = (step < 60 ? clockSeconds : clock).format(date);
  const midnight = date.getHours() === 0 && date.getMinutes() === 0;
  return first || midnight ? `${time}\n${day.format(date)}` : time;
}

function optionsFor(
  model: SeriesModel,
  scheme: 'light' | 'dark',
  width: number,
  height: number,
  window: () => [number, number],
): uPlot.Options {
  const soft = scheme === 'dark' ? '#9fb0ba' : '#52626c';
  const line = scheme === 'dark' ? '#26333b' : '#e3e9ed';
  const units = [...new Set(model.tracks.map((track) => track.unit))];
  const scaleOf = (unit: string) => `y${Math.max(0, units.indexOf(unit))}`;
  const font = "12px 'Inter Variable', system-ui, sans-serif";
  const series: uPlot.Series[] = [{}];
  const bands: uPlot.Band[] = [];
  model.tracks.forEach((track, index) => {
    const stroke = LINES[scheme][index % MOST_LINES];
    const scale = scaleOf(track.unit);
    const at = series.length;
    series.push({
      label: saySeries(track.series),
      scale,
      stroke,
      width: 1.8,
      dash: DASHES[index % MOST_LINES],
      spanGaps: true,
      points: { show: model.times.length < 60, size: 5, fill: stroke },
    });
    const edge: uPlot.Series = { scale, stroke: 'transparent', width: 0, spanGaps: true, points: { show: false } };
    series.push(edge, { ...edge });
    bands.push({ series: [at + 2, at + 1], fill: `${stroke}2e` });
  });
  const axis = { stroke: soft, font, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
  const narrow = width < 480;
  const axes: uPlot.Axis[] = [
    {
      ...axis,
      space: narrow ? 55 : 70,
      values: (_plot, splits, _axis, _space, step) => splits.map((value, index) => sayTick(value, step, index === 0)),
    },
  ];
  units.slice(0, 2).forEach((unit, index) => {
    const size = (_plot: uPlot, values: string[] | null) =>
      22 + 7.2 * Math.max(3, ...(values ?? []).map((value) => value.length));
    axes.push({
      ...axis,
      scale: `y${index}`,
      side: index === 0 ? 3 : 1,
      grid: { ...axis.grid, show: index === 0 },
      size,
      label: narrow ? undefined : unit || undefined,
      labelFont: font,
      labelSize: 18,
      labelGap: 0,
      values: (_plot, splits) => splits.map((value) => sayNumber(value)),
    });
  });
  const scales: uPlot.Scales = { x: { time: true, range: () => window().map((ms) => ms / 1000) as [number, number] } };
  units.forEach((_unit, index) => {
    scales[`y${index}`] = {
      range: (_plot, low, high) =>
        low === null || high === null ? [0, 1] : uPlot.rangeNum(low, high === low ? high + 1 : high, 0.12, false),
    };
  });
  return {
    width,
    height,
    series,
    bands,
    axes,
    scales,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    padding: [10, 12, 0, 4],
  };
}

export function Chart({ model, version, label, window, height = 340 }: Props) {
  const holder = useRef<HTMLDivElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const range = useRef(window);
  const scheme = useComputedColorScheme('light');
  const units = model.tracks.map((track) => track.unit).join('|');
  useEffect(() => {
    range.current = window;
  });

  useEffect(() => {
    const element = holder.current;
    if (!element) return undefined;
    const options = optionsFor(model, scheme, element.clientWidth, height, () => range.current());
    const made = new uPlot(
      { ...options, hooks: { setCursor: [(self) => showTip(self, model, scheme, tip.current)] } },
      dataOf(model),
      element,
    );
    plot.current = made;
    const resize = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    resize.observe(element);
    return () => {
      resize.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [model, scheme, height, units]);

  useEffect(() => plot.current?.setData(dataOf(model)), [model, version]);

  return (
    <div
      data-testid="chart"
      data-points={model.points}
      role="img"
      aria-label={label}
      style={{ position: 'relative', minHeight: height }}
    >
      <div ref={holder} style={{ width: '100%', overflow: 'hidden' }} />
      <div ref={tip} className="chart-tip" aria-hidden="true" />
    </div>
  );
}

/** The values under the pointer. */
function showTip(plot: uPlot, model: SeriesModel, scheme: 'light' | 'dark', tip: HTMLDivElement | null): void {
  if (!tip) return;
  const { idx, left = -1 } = plot.cursor;
  const shown = idx !== null && idx !== undefined && left >= 0;
  tip.style.display = shown ? 'block' : 'none';
  if (!shown) return;
  tip.replaceChildren(tipLine(sayTime(model.times[idx] * 1000)));
  model.tracks.forEach((track, index) => {
    const value = track.middle[idx];
    if (value === null || value === undefined) return;
    tip.append(tipLine(`${saySeries(track.series)}: ${sayNumber(value)} ${track.unit}`, LINES[scheme][index % MOST_LINES]));
  });
  const half = plot.width / 2;
  tip.style.left = left < half ? 'auto' : '64px';
  tip.style.right = left < half ? '16px' : 'auto';
}

function tipLine(words: string, color?: string): HTMLElement {
  const line = document.createElement('div');
  line.textContent = words;
  if (color) line.style.color = color;
  return line;
}
