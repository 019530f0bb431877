import { encode } from 'uqr';

/** A QR code drawn here, so that what it holds goes to nobody; black on white in both schemes, because scanners want that. */
export function Qr({ value, label, size = 200 }: { value: string; label: string; size?: number }) {
  const { data, size: modules } = encode(value, { ecc: 'M', border: 3 });
  const path = data.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ''))).join('');
  return (
    <svg
      role="img"
      aria-label={label}
      viewBox={`0 0 ${modules} ${modules}`}
      shapeRendering="crispEdges"
      style={{ width: size, maxWidth: '100%', display: 'block', background: '#fff', borderRadius: 8 }}
      data-testid="qr"
    >
      <path d={path} fill="#000" />
    </svg>
  );
}
