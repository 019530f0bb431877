import { Button, Text } from '@mantine/core';
import { IconDeviceDesktop } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { endSession, listSessions, type Session } from '../api/access';
import { goToLogin } from '../api/http';
import { Age } from '../parts/Age';
import { Badge } from '../parts/Badges';
import { Panel, sayDone, sayFailed } from '../parts/Bits';
import { Confirm } from '../parts/Confirm';
import { sayTime } from '../parts/say';
import { Empty, Shown } from '../parts/States';
import { words } from '../text/access';
import { sayAgent } from './agent';

const RECHECK_MS = 15_000;

/** The open sessions of a user, or, without one, of the caller, each with a button that ends it. */
export function SessionList({ user }: { user?: string }) {
  const query = useQuery({
    queryKey: ['sessions', user ?? ''],
    queryFn: ({ signal }) => listSessions(user, signal),
    staleTime: 0,
    refetchInterval: RECHECK_MS,
    refetchOnWindowFocus: 'always',
  });
  return (
    <Panel title={words.sessions.title}>
      <Shown query={query} need="ROLE_USER_MANAGEMENT_READ" rows={2}>
        {(sessions) =>
          sessions.length ? (
            <ul className="rows">
              {[...sessions]
                .sort((a, b) => Number(b.current ?? false) - Number(a.current ?? false) || b.created.localeCompare(a.created))
                .map((session) => (
                  <Row key={session.id} session={session} />
                ))}
            </ul>
          ) : (
            <Empty icon={<IconDeviceDesktop size={30} stroke={1.4} aria-hidden="true" />} title={words.sessions.none}>
              {words.sessions.noneHint}
            </Empty>
          )
        }
      </Shown>
    </Panel>
  );
}

function Row({ session }: { session: Session }) {
  const client = useQueryClient();
  const what = sayAgent(session.userAgent) ?? words.sessions.kinds[session.kind] ?? words.sessions.unknown;
  const end = useMutation({
    mutationFn: () => endSession(session.id),
    onSuccess: () => {
      if (session.current) goToLogin();
      else sayDone(words.sessions.ended);
    },
    onError: (error) => sayFailed(error, 'ROLE_USER_MANAGEMENT_ADMIN'),
    onSettled: () => client.invalidateQueries({ queryKey: ['sessions'] }),
  });
  const button = (onClick: () => void) => (
    <Button
      size="compact-md"
      variant="default"
      onClick={onClick}
      loading={end.isPending}
      aria-label={words.sessions.endLabel(what)}
      data-testid="session-end"
    >
      {words.sessions.end}
    </Button>
  );
  return (
    <li className="line" data-testid="session-row" data-current={session.current}>
      <div>
        <div className="line-title" title={session.userAgent}>
          {what} {session.current && <Badge tone="good">{words.sessions.current}</Badge>}
        </div>
        <Text size="sm" c="dimmed" className="break">
          {words.sessions.seen} <Age time={session.lastSeen ?? session.created} />
          {session.address && ` · ${words.sessions.from(session.address.replace(/:\d+$/, ''))}`}
          {` · ${words.sessions.since} ${sayTime(session.created)}`}
        </Text>
      </div>
      {session.current ? (
        <Confirm label={words.sessions.end} question={words.sessions.endOwnAsk} onYes={() => end.mutate()}>
          {button}
        </Confirm>
      ) : (
        button(() => end.mutate())
      )}
    </li>
  );
}
