import { Button, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { getUserFactor, revokeFactor } from '../api/access';
import type { User } from '../api/shape';
import { Age } from '../parts/Age';
import { Badge } from '../parts/Badges';
import { Panel, sayDone } from '../parts/Bits';
import { Confirm } from '../parts/Confirm';
import { Shown } from '../parts/States';
import { words } from '../text/access';
import { Refusal } from './Refusal';

interface Props {
  tenant: string;
  user: User;
  self: boolean;
  mayChange: boolean;
}

/** The second factor of somebody else, who may have lost the phone. */
export function UserFactorPanel({ tenant, user, self, mayChange }: Props) {
  const client = useQueryClient();
  const query = useQuery({
    queryKey: ['users', 'factor', user.id],
    queryFn: ({ signal }) => getUserFactor(tenant, user.id, signal),
    staleTime: 0,
    refetchOnWindowFocus: 'always',
  });
  const revoke = useMutation({
    mutationFn: () => revokeFactor(tenant, user.id),
    onSuccess: () => {
      sayDone(words.factor.revoked);
      void client.invalidateQueries({ queryKey: ['users'] });
    },
  });
  return (
    <Panel title={words.factor.title} padded>
      <Shown query={query} need="ROLE_USER_MANAGEMENT_READ" rows={1}>
        {(factor) => (
          <>
            <Badge tone={factor.tfaEnabled ? 'good' : 'quiet'}>{factor.tfaEnabled ? words.factor.on : words.factor.off}</Badge>{' '}
            {factor.tfaEnforced && <Badge tone="warning">{words.factor.enforced}</Badge>}
            {factor.lastTfaRequestTime && (
              <Text size="sm" c="dimmed" mt={6}>
                {words.factor.lastUsed} <Age time={factor.lastTfaRequestTime} />
              </Text>
            )}
            {factor.tfaEnabled && mayChange && !self && (
              <div style={{ marginTop: 12 }}>
                <Confirm
                  label={words.factor.revoke}
                  question={words.factor.revokeAsk(user.userName)}
                  onYes={() => revoke.mutate()}
                >
                  {(ask) => (
                    <Button variant="default" onClick={ask} loading={revoke.isPending} data-testid="factor-revoke">
                      {words.factor.revoke}
                    </Button>
                  )}
                </Confirm>
              </div>
            )}
            <Refusal error={revoke.error} need="ROLE_USER_MANAGEMENT_ADMIN" />
          </>
        )}
      </Shown>
    </Panel>
  );
}
