import { Alert } from '@mantine/core';
import { IconAlertCircle } from '@tabler/icons-react';
import { ApiError } from '../api/http';
import { text } from '../text';
import { words } from '../text/access';

/** What the server said when it refused, beside what was refused; a bare denial becomes the permission that is needed. */
export function Refusal({ error, need }: { error: unknown; need?: string }) {
  if (!error) return null;
  let message = error instanceof Error ? error.message : String(error);
  if (error instanceof ApiError && error.status === 403 && /^access is denied/i.test(message)) {
    const named = /\bROLE_\w+/.exec(message)?.[0] ?? need;
    if (named) message = text.state.forbiddenNeed(named);
  }
  return (
    <Alert
      color="red"
      role="alert"
      data-testid="refusal"
      icon={<IconAlertCircle size={18} />}
      title={words.refused.title}
      mt="sm"
      styles={{ message: { color: 'var(--mantine-color-text)', overflowWrap: 'anywhere' } }}
    >
      {message.charAt(0).toUpperCase() + message.slice(1)}
    </Alert>
  );
}
