// Small shared controls: card, pager, code with copy, confirmation.
import { ActionIcon, CopyButton, Group, Text, Title } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconCheck, IconChevronLeft, IconChevronRight, IconCopy } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { ApiError, type Page } from '../api/http';
import { text } from '../text';
import { sayCount } from './say';

export function usePhone(): boolean {
  return useMediaQuery('(max-width: 699px)', window.matchMedia?.('(max-width: 699px)').matches ?? false);
}

export function Panel({
  title,
  action,
  children,
  padded,
}: {
  title?: string;
  action?: ReactNode;
  children: ReactNode;
  padded?: boolean;
}) {
  return (
    <section className="card" aria-label={title} style={{ minWidth: 0, overflow: 'hidden' }}>
      {title && (
        <Group justify="space-between" px={16} pt={14} pb={padded ? 0 : 8} gap="xs" wrap="nowrap">
          <Title order={2} fz={15}>
            {title}
          </Title>
          {action}
        </Group>
      )}
      {padded ? <div className="pad">{children}</div> : children}
    </section>
  );
}

export function Pager<T>({ data, onPage }: { data: Page<T>; onPage: (page: number) => void }) {
  if (data.page === 1 && !data.hasMore) return null;
  const first = (data.page - 1) * data.pageSize + 1;
  const last = first + data.items.length - 1;
  return (
    <Group
      component="nav"
      aria-label={text.pager.label}
      justify="space-between"
      px="md"
      py="xs"
      style={{ borderTop: '1px solid var(--line)' }}
    >
      <Text size="sm" c="dimmed" className="num">
        {data.items.length
          ? text.pager.range(sayCount(first), sayCount(last), data.total === undefined ? undefined : sayCount(data.total))
          : text.pager.none}
      </Text>
      <Group gap={6}>
        <ActionIcon
          variant="default"
          size="lg"
          aria-label={text.pager.previous}
          disabled={data.page <= 1}
          onClick={() => onPage(data.page - 1)}
        >
          <IconChevronLeft size={18} />
        </ActionIcon>
        <ActionIcon
          variant="default"
          size="lg"
          aria-label={text.pager.next}
          disabled={!data.hasMore}
          onClick={() => onPage(data.page + 1)}
        >
          <IconChevronRight size={18} />
        </ActionIcon>
      </Group>
    </Group>
  );
}

export function Code({ children, label }: { children: string; label?: string }) {
  return (
    <div style={{ position: 'relative' }}>
      <pre className="code" tabIndex={0} aria-label={label ?? text.code.label} style={{ paddingRight: 48 }}>
        {children}
      </pre>
      <CopyButton value={children}>
        {({ copied, copy }) => (
          <ActionIcon
            variant="default"
            aria-label={copied ? text.code.copied : text.code.copy}
            title={copied ? text.code.copied : text.code.copy}
            onClick={copy}
            style={{ position: 'absolute', right: 8, top: 8 }}
          >
            {copied ? <IconCheck size={16} /> : <IconCopy size={16} />}
          </ActionIcon>
        )}
      </CopyButton>
    </div>
  );
}

// The notification code is fetched with the first message, to keep the first load small.
const toaster = () => import('./Toaster');

export function sayDone(message: string): void {
  void toaster().then(({ show }) => show({ message, color: 'teal', autoClose: 3000 }));
}

export function sayFailed(error: unknown, need?: string): void {
  const forbidden = error instanceof ApiError && error.status === 403;
  const message = forbidden && need ? text.state.forbiddenNeed(need) : error instanceof Error ? error.message : String(error);
  const title = forbidden ? text.state.forbidden : text.state.notDone;
  void toaster().then(({ show }) => show({ title, message, color: 'red', autoClose: 8000 }));
}
