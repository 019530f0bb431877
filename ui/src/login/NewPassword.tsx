import { Alert, Button, Stack, Text, Title } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import { resetPassword, type Reset } from '../api/tenant';
import { putOwnPassword } from '../api/user';
import { text } from '../text';
import { Secret } from '../parts/Secret';

const SHORTEST = 8;

interface Props {
  /** The password just typed; asked for again when unknown. */
  known?: string;
  /** The one-time code just used; it stands in for the current password. */
  code?: string;
  /** The token of a mail or of a refused login; it stands in for a session. */
  reset?: Reset;
  onDone: (fresh: string) => void;
}

export function NewPassword({ known, code, reset, onDone }: Props) {
  const [current, setCurrent] = useState('');
  const [fresh, setFresh] = useState('');
  const [again, setAgain] = useState('');
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string>();
  const asksCurrent = known === undefined && code === undefined && reset === undefined;
  const tooShort = fresh.length < SHORTEST;
  const differ = fresh !== again;
  const hint = code ? text.login.resetOneTimeHint : reset?.email ? text.login.mailedHint : text.login.resetHint;

  async function submit(event: FormEvent) {
    event.preventDefault();
    setTried(true);
    if (tooShort || differ) return;
    setBusy(true);
    setFailure(undefined);
    try {
      await (reset ? resetPassword(reset, fresh) : putOwnPassword(asksCurrent ? current : (known ?? code), fresh));
      onDone(fresh);
    } catch (error) {
      setFailure(error instanceof Error ? error.message : String(error));
      setBusy(false);
    }
  }

  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <Title order={1} fz={18}>
          {text.login.reset}
        </Title>
        <Text size="sm" c="dimmed">
          {hint}
        </Text>
        {failure && (
          <Alert color="red" role="alert" styles={{ message: { color: 'var(--mantine-color-text)' } }}>
            {failure.charAt(0).toUpperCase() + failure.slice(1)}
          </Alert>
        )}
        {asksCurrent && <Secret label={text.login.current} autoFocus value={current} onValue={setCurrent} />}
        <Secret
          fresh
          label={text.login.fresh}
          autoFocus={!asksCurrent}
          data-testid="password-new"
          error={tried && tooShort ? text.login.tooShort : undefined}
          value={fresh}
          onValue={setFresh}
        />
        <Secret
          fresh
          label={text.login.again}
          data-testid="password-again"
          error={tried && !tooShort && differ ? text.login.differ : undefined}
          value={again}
          onValue={setAgain}
        />
        <Button type="submit" loading={busy} size="md" mt={4} data-testid="password-submit">
          {text.login.savePassword}
        </Button>
      </Stack>
    </form>
  );
}
