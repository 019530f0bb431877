import { useSyncExternalStore } from 'react';
import { sayAge, sayTime } from './say';

const watchers = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function watch(watcher: () => void): () => void {
  watchers.add(watcher);
  timer ??= setInterval(() => watchers.forEach((one) => one()), 1000);
  return () => {
    watchers.delete(watcher);
    if (watchers.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** How long ago something was; only re-rendered when its words change. */
export function Age({ time }: { time: string | number | undefined }) {
  const words = useSyncExternalStore(watch, () => (time === undefined ? '–' : sayAge(time)));
  if (time === undefined) return <span>–</span>;
  return (
    <time className="num" dateTime={new Date(time).toISOString()} title={sayTime(time)} style={{ whiteSpace: 'nowrap' }}>
      {words}
    </time>
  );
}
