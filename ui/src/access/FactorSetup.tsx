import { Alert, Button, Group, Loader, Stack, Text, TextInput } from '@mantine/core';
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { activateFactor, createFactor, type FactorSecret } from '../api/access';
import { ApiError } from '../api/http';
import { Code } from '../parts/Bits';
import { Qr } from '../parts/Qr';
import { text } from '../text';
import { words } from '../text/access';

interface Props {
  /** Called with the code that was accepted. */
  onDone: (code: string) => void;
  onCancel: () => void;
}

/** Shows a new key as a picture and as text, and switches the second factor on with the first right code. */
export function FactorSetup({ onDone, onCancel }: Props) {
  const [secret, setSecret] = useState<FactorSecret>();
  const [code, setCode] = useState('');
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string>();
  const started = useRef(false);
  useEffect(() => {
    if (started.current) return;
    started.current = true;
    createFactor().then(setSecret, (error) => setFailure(error instanceof Error ? error.message : String(error)));
  }, []);

  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setFailure(undefined);
    try {
      await activateFactor(code);
      onDone(code);
    } catch (error) {
      const wrong = error instanceof ApiError && error.status === 403;
      setFailure(wrong ? words.factor.wrong : error instanceof Error ? error.message : String(error));
      setBusy(false);
    }
  }

  return (
    <form onSubmit={submit} data-testid="factor-setup">
      <Stack gap="sm">
        {failure && (
          <Alert color="red" role="alert" styles={{ message: { color: 'var(--mantine-color-text)' } }}>
            {failure}
          </Alert>
        )}
        {!secret && !failure && <Loader size="sm" />}
        {secret && (
          <>
            <Text size="sm">{words.factor.scan}</Text>
            <Qr value={secret.otpauthUrl} label={words.factor.picture} />
            <Code label={words.factor.key}>{secret.rawSecret}</Code>
            <TextInput
              label={words.factor.code}
              description={words.factor.codeHint}
              required
              withAsterisk={false}
              inputMode="numeric"
              autoComplete="one-time-code"
              pattern="[0-9]{6}"
              maxLength={6}
              data-testid="factor-code"
              value={code}
              onChange={(event) => setCode(event.currentTarget.value.replace(/\D/g, ''))}
            />
          </>
        )}
        <Group gap="xs">
          <Button type="submit" loading={busy} disabled={!secret} data-testid="factor-verify">
            {words.factor.verify}
          </Button>
          <Button variant="default" onClick={onCancel} disabled={busy}>
            {text.action.cancel}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
