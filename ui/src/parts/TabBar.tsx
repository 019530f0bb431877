// The row of tabs of a page: one line, moved sideways where it does not fit, with a hint at the ends that hide something.
import { Tabs } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';

/** Which ends of a row hide something; a pixel is let pass, since browsers round. */
export function hidden(row: { scrollLeft: number; clientWidth: number; scrollWidth: number }): string {
  const left = Math.abs(row.scrollLeft);
  const ends = [left > 1 && 'start', left + row.clientWidth < row.scrollWidth - 1 && 'end'];
  return ends.filter(Boolean).join(' ');
}

export function TabBar<T extends string>({
  label,
  tabs,
  names,
  active,
}: {
  label: string;
  tabs: readonly T[];
  names: Record<T, string>;
  active: T;
}) {
  const row = useRef<HTMLDivElement>(null);
  const [more, setMore] = useState('');
  useEffect(() => {
    row.current?.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
  }, [active]);
  useEffect(() => {
    const element = row.current;
    if (!element) return;
    const look = () => setMore(hidden(element));
    look();
    element.addEventListener('scroll', look, { passive: true });
    const size = new ResizeObserver(look);
    size.observe(element);
    return () => {
      element.removeEventListener('scroll', look);
      size.disconnect();
    };
  }, []);
  return (
    <div className="tab-bar" data-more={more}>
      <div ref={row} className="scroller">
        <Tabs.List aria-label={label} style={{ flexWrap: 'nowrap', minWidth: 'max-content' }}>
          {tabs.map((one) => (
            <Tabs.Tab key={one} value={one} data-testid={`tab-${one}`}>
              {names[one]}
            </Tabs.Tab>
          ))}
        </Tabs.List>
      </div>
    </div>
  );
}
