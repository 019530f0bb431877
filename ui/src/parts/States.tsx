// The states every list and panel shares: loading, empty, failed, not allowed, stale.
import { Button, Skeleton, Stack, Text, Title } from '@mantine/core';
import { IconCloudOff, IconLock, IconMoodEmpty, IconRefresh } from '@tabler/icons-react';
import type { UseQueryResult } from '@tanstack/react-query';
import { useEffect, useState, type ReactNode } from 'react';
import { ApiError } from '../api/http';
import { text } from '../text';
import { Age } from './Age';

interface EmptyProps {
  icon?: ReactNode;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}

export function Empty({ icon, title, children, action }: EmptyProps) {
  return (
    <Stack align="center" gap="xs" py={36} px="md" ta="center" data-testid="empty">
      <span className="soft">{icon ?? <IconMoodEmpty size={34} stroke={1.4} aria-hidden="true" />}</span>
      <Text fw={600}>{title}</Text>
      {children && (
        <Text size="sm" c="dimmed" maw={460}>
          {children}
        </Text>
      )}
      {action}
    </Stack>
  );
}

/** Grey bars; they wait 150 ms so that fast answers do not flash. */
export function Rows({ count = 6, height = 44 }: { count?: number; height?: number }) {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 150);
    return () => clearTimeout(timer);
  }, []);
  return (
    <Stack gap="sm" p="md" role="status" aria-label={text.state.loading} style={{ minHeight: count * (height + 12) }}>
      {late && Array.from({ length: count }, (_, i) => <Skeleton key={i} height={height} radius="sm" />)}
    </Stack>
  );
}

export function Forbidden({ need }: { need?: string }) {
  return (
    <Empty icon={<IconLock size={34} stroke={1.4} aria-hidden="true" />} title={text.state.forbidden}>
      {need ? text.state.forbiddenNeed(need) : text.state.forbiddenAsk}
    </Empty>
  );
}

export function Failed({ error, retry, need }: { error: unknown; retry?: () => void; need?: string }) {
  const known = error instanceof ApiError ? error : undefined;
  if (known?.status === 403) return <Forbidden need={need} />;
  const offline = known?.status === 0;
  const button = retry && (
    <Button variant="light" leftSection={<IconRefresh size={16} />} onClick={retry} mt="xs">
      {text.state.retry}
    </Button>
  );
  const title = offline ? text.state.offline : known?.status === 404 ? text.state.notFound : text.state.failed;
  return (
    <div role="alert">
      <Empty icon={<IconCloudOff size={34} stroke={1.4} aria-hidden="true" />} title={title} action={button}>
        {offline ? text.state.offlineHint : (known?.message ?? String(error))}
        {known && known.status > 0 && ` (${known.status}${known.code ? `, ${known.code}` : ''})`}
      </Empty>
    </div>
  );
}

interface ShownProps<T> {
  query: UseQueryResult<T>;
  need?: string;
  rows?: number;
  children: (data: T) => ReactNode;
}

/** Renders a query in whatever state it is; data that could not be refreshed stays visible with its age. */
export function Shown<T>({ query, need, rows, children }: ShownProps<T>) {
  if (query.data !== undefined) {
    return (
      <>
        {query.isError && (
          <Text size="sm" role="status" px="md" py={6} style={{ background: 'var(--minor-tint)', color: 'var(--minor)' }}>
            {text.state.stale} <Age time={query.dataUpdatedAt} />
          </Text>
        )}
        {children(query.data)}
      </>
    );
  }
  if (query.isError) return <Failed error={query.error} retry={() => void query.refetch()} need={need} />;
  return <Rows count={rows} />;
}

export function PageTitle({ title, sub, children }: { title: string; sub?: ReactNode; children?: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · ${text.app.name}`;
  }, [title]);
  return (
    <header style={{ display: 'flex', gap: 12, alignItems: 'center', flexWrap: 'wrap', marginBottom: 16 }}>
      <div style={{ flex: '1 1 200px', minWidth: 0 }}>
        <Title order={1} fz={24} className="break">
          {title}
        </Title>
        {sub && (
          <Text size="sm" c="dimmed">
            {sub}
          </Text>
        )}
      </div>
      {children}
    </header>
  );
}
