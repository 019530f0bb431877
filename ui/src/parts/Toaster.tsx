import '@mantine/notifications/styles.css';
import { Notifications, notifications } from '@mantine/notifications';

export const show = notifications.show;

export function Toaster() {
  return <Notifications position="bottom-right" />;
}
