// React side of the realtime client.
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useSyncExternalStore } from 'react';
import { mergeAlarm, mergeDevice, mergeEvent, mergeOperation } from './merge';
import { realtime, type Handler, type LiveState } from './realtime';

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
