const WIDTH = 160;
const HEIGHT = 32;

/** A small line of recent values; the words beside it carry the meaning. */
export function Sparkline({ trace }: { trace: [number, number][] }) {
  if (trace.length < 2) return <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width="100%" height={HEIGHT} aria-hidden="true" />;
  const [start] = trace[0];
  const span = trace[trace.length - 1][0] - start || 1;
  const values = trace.map(([, value]) => value);
  const low = Math.min(...values);
  const range = Math.max(...values) - low;
  const points = trace.map(([time, value]) => {
    const x = ((time - start) / span) * WIDTH;
    const y = range === 0 ? HEIGHT / 2 : HEIGHT - 3 - ((value - low) / range) * (HEIGHT - 6);
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  return (
    <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width="100%" height={HEIGHT} preserveAspectRatio="none" aria-hidden="true">
      <polyline
        points={points.join(' ')}
        fill="none"
        stroke="var(--accent)"
        strokeWidth="1.6"
        vectorEffect="non-scaling-stroke"
        strokeLinejoin="round"
      />
    </svg>
  );
}
