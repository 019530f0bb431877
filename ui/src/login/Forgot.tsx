import { Alert, Button, Stack, Text, TextInput, Title } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import { requestReset } from '../api/tenant';
import { text } from '../text';
import { refusalOf } from './flow';

/** Asks for a mail with a link. What is answered never tells whether the address is known. */
export function Forgot({ tenant, back }: { tenant?: string; back: () => void }) {
  const [email, setEmail] = useState('');
  const [busy, setBusy] = useState(false);
  const [sent, setSent] = useState(false);
  const [failure, setFailure] = useState<string>();

  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setFailure(undefined);
    try {
      await requestReset(tenant, email.trim());
      setSent(true);
    } catch (error) {
      setFailure(refusalOf(error, false).message);
    }
    setBusy(false);
  }

  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <Title order={1} fz={18}>
          {text.login.forgotTitle}
        </Title>
        {sent ? (
          <Alert color="teal" role="status" styles={{ message: { color: 'var(--mantine-color-text)' } }}>
            {text.login.linkSent}
          </Alert>
        ) : (
          <>
            <Text size="sm" c="dimmed">
              {text.login.forgotHint}
            </Text>
            {failure && (
              <Alert color="red" role="alert" styles={{ message: { color: 'var(--mantine-color-text)' } }}>
                {failure}
              </Alert>
            )}
            <TextInput
              label={text.login.email}
              type="email"
              required
              withAsterisk={false}
              autoFocus
              autoComplete="email"
              size="md"
              value={email}
              onChange={(event) => setEmail(event.currentTarget.value)}
            />
            <Button type="submit" size="md" loading={busy}>
              {text.login.sendLink}
            </Button>
          </>
        )}
        <Button variant="subtle" size="compact-sm" onClick={back}>
          {text.login.back}
        </Button>
      </Stack>
    </form>
  );
}
