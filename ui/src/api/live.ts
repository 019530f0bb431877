// React side of the realtime client.
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { mergeAlarm, mergeDevice, mergeEvent, mergeOperation } from './merge';
import { realtime, type Handler, type LiveState } from './realtime';
import type { Alarm, RealtimeAction } from './shape';

export function useLiveState(): LiveState {
  return useSyncExternalStore(realtime.watch, () => realtime.state);
}

/** Listens to a channel while the component is mounted; the newest handler is always the one called. */
export function useChannel(channel: string | undefined, handler: Handler): void {
  const newest = useRef(handler);
  useEffect(() => {
    newest.current = handler;
  });
  useEffect(() => {
    if (!channel) return undefined;
    return realtime.on(channel, (action, data) => newest.current(action, data));
  }, [channel]);
}

/** What every page needs: devices and alarms, and one refetch after a gap. */
export function useLiveBasics(): void {
  const client = useQueryClient();
  useEffect(() => {
    realtime.start();
    return realtime.onReconnect(() => void client.invalidateQueries());
  }, [client]);
  useChannel('/managedobjects/*', (action, data) => mergeDevice(client, action, data));
  useChannel('/alarms/*', (_action, data) => mergeAlarm(client, data));
}

export function useLiveEvents(source: string): void {
  const client = useQueryClient();
  useChannel(`/events/${source}`, (action, data) => mergeEvent(client, action, data));
}

export function useLiveOperations(deviceId: string): void {
  const client = useQueryClient();
  useChannel(`/operations/${deviceId}`, (action, data) => mergeOperation(client, action, data));
}

const HEARD_STEP_MS = 1000;
/** Raised by the server, so no sign of life. */
const SILENCE = 'c8y_UnavailabilityAlarm';

/** When something of the device last arrived here. The server tells its own time of that only every half minute. */
export function useLastHeard(id: string): number {
  const [heard, setHeard] = useState({ id, at: 0 });
  const hear = (action: RealtimeAction) => {
    if (action !== 'CREATE') return;
    const at = Date.now();
    setHeard((old) => (old.id === id && at - old.at < HEARD_STEP_MS ? old : { id, at }));
  };
  useChannel(`/measurements/${id}`, hear);
  useChannel(`/events/${id}`, hear);
  useChannel('/alarms/*', (action, data) => {
    const alarm = data as Alarm;
    if (alarm?.source?.id === id && alarm.type !== SILENCE) hear(action);
  });
  return heard.id === id ? heard.at : 0;
}
