import { useMutation, useQueryClient } from '@tanstack/react-query';
import { putAlarms } from '../api/alarm';
import { invalidateSoon, mergeAlarm } from '../api/merge';
import type { Alarm } from '../api/shape';
import { sayDone, sayFailed } from '../parts/Bits';
import { text } from '../text';

export type AlarmChange = 'ACKNOWLEDGED' | 'CLEARED';

/** Acknowledges or clears alarms; the lists follow at once, the server's own message confirms it. */
export function useAlarmChange() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async ({ alarms, status }: { alarms: Alarm[]; status: AlarmChange }) => {
      const failed = await putAlarms(
        alarms.map((alarm) => alarm.id),
        status,
      );
      return { alarms, status, failed };
    },
    onSuccess: ({ alarms, status, failed }) => {
      if (failed === 0) alarms.forEach((alarm) => mergeAlarm(client, { ...alarm, status }));
      else invalidateSoon(client, ['alarms'], 100);
      if (failed > 0) sayFailed(new Error(text.alarms.partly(failed)));
      else sayDone(text.alarms.done(alarms.length, status === 'CLEARED' ? text.alarms.cleared : text.alarms.acknowledged));
    },
    onError: (error) => sayFailed(error, 'ROLE_ALARM_ADMIN'),
  });
}
