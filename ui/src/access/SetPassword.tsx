import { Button, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import type { User } from '../api/shape';
import { setPassword } from '../api/user';
import { Panel, sayDone } from '../parts/Bits';
import { words } from '../text/access';
import { Refusal } from './Refusal';
import { Secret } from '../parts/Secret';

/** Gives somebody a new password, for who has forgotten the old one where no mail is sent. */
export function SetPassword({ tenant, user }: { tenant: string; user: User }) {
  const client = useQueryClient();
  const [fresh, setFresh] = useState('');
  const [own, setOwn] = useState('');
  const save = useMutation({
    mutationFn: () => setPassword(tenant, user.id, fresh, own),
    onSuccess: () => {
      setFresh('');
      setOwn('');
      sayDone(words.users.passwordSet(user.userName));
      void client.invalidateQueries({ queryKey: ['users'] });
      void client.invalidateQueries({ queryKey: ['sessions'] });
    },
  });
  const origin = user.customProperties?.userOrigin;
  if (origin && origin !== 'BASIC') return null;
  function submit(event: FormEvent) {
    event.preventDefault();
    save.mutate();
  }
  return (
    <Panel title={words.users.setPassword} padded>
      <form onSubmit={submit}>
        <Text size="sm" c="dimmed" mb="sm">
          {words.users.setPasswordHint}
        </Text>
        <div className="grid">
          <Secret
            fresh
            label={words.account.fresh}
            description={words.users.policy}
            data-testid="set-password-new"
            value={fresh}
            onValue={setFresh}
          />
          <Secret label={words.users.ownPassword} data-testid="set-password-own" value={own} onValue={setOwn} />
        </div>
        <Refusal error={save.error} need="ROLE_USER_MANAGEMENT_ADMIN" />
        <Button type="submit" mt="md" variant="light" loading={save.isPending} data-testid="set-password">
          {words.users.setPassword}
        </Button>
      </form>
    </Panel>
  );
}
