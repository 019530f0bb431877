import { useLiveState } from '../api/live';
import { text } from '../text';

export function Live() {
  const state = useLiveState();
  return (
    <span className="live" data-testid="live" data-state={state} role="status" title={text.shell.liveHint[state]}>
      <span className="dot" data-busy={state === 'connecting' || state === 'reconnecting'} aria-hidden="true" />
      <span className={state === 'live' ? 'live-word' : undefined}>{text.shell.live[state]}</span>
      {state === 'live' && <span className="hidden">{text.shell.live.live}</span>}
    </span>
  );
}
