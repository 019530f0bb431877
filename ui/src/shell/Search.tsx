import { Kbd, Popover, Text, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState, type KeyboardEvent } from 'react';
import { Link, useLocation, useNavigate } from 'react-router';
import { listDevices } from '../api/inventory';
import { sayName } from '../parts/say';
import { text } from '../text';

const MOST = 8;

function isTyping(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  return Boolean(element && (element.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName)));
}

/** Search over device names; `/` or Ctrl-K brings the focus here. */
export function Search() {
  const [words, setWords] = useState('');
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(0);
  const [settled] = useDebouncedValue(words.trim(), 200);
  const input = useRef<HTMLInputElement>(null);
  const navigate = useNavigate();
  const { pathname } = useLocation();
  const filter = { name: settled, page: 1, pageSize: MOST };
  const found = useQuery({
    queryKey: ['devices', 'search', settled],
    queryFn: ({ signal }) => listDevices(filter, signal),
    enabled: open && settled.length > 0,
    staleTime: 10_000,
  });

  useEffect(() => {
    const onKey = (event: globalThis.KeyboardEvent) => {
      const slash = event.key === '/' && !isTyping(event.target) && !event.ctrlKey && !event.metaKey;
      const palette = event.key.toLowerCase() === 'k' && (event.ctrlKey || event.metaKey);
      if (!slash && !palette) return;
      event.preventDefault();
      input.current?.focus();
      input.current?.select();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);
  useEffect(() => setOpen(false), [pathname]);
  useEffect(() => setActive(0), [settled]);

  const items = found.data?.items ?? [];
  const targets = [...items.map((device) => `/device/${device.id}`), `/devices?q=${encodeURIComponent(words.trim())}`];

  function onKeyDown(event: KeyboardEvent) {
    if (event.key === 'Escape') setOpen(false);
    else if (event.key === 'ArrowDown') setActive((active + 1) % targets.length);
    else if (event.key === 'ArrowUp') setActive((active + targets.length - 1) % targets.length);
    else if (event.key === 'Enter' && words.trim()) {
      setOpen(false);
      void navigate(settled === words.trim() ? targets[active] : targets[targets.length - 1]);
    } else return;
    event.preventDefault();
  }

  const shown = open && words.trim().length > 0;
  return (
    <div className="shell-search" role="search">
      <Popover
        opened={shown}
        width="target"
        position="bottom-start"
        shadow="md"
        trapFocus={false}
        withRoles={false}
        onDismiss={() => setOpen(false)}
      >
        <Popover.Target>
          <TextInput
            ref={input}
            type="search"
            data-testid="search"
            aria-label={text.shell.searchHint}
            placeholder={text.shell.search}
            leftSection={<IconSearch size={17} aria-hidden="true" />}
            rightSection={
              <Kbd size="xs" className="wide" aria-hidden="true">
                /
              </Kbd>
            }
            value={words}
            onChange={(event) => {
              setWords(event.currentTarget.value);
              setOpen(true);
            }}
            onFocus={() => setOpen(true)}
            onKeyDown={onKeyDown}
            autoComplete="off"
          />
        </Popover.Target>
        <Popover.Dropdown p={6}>
          {found.isFetching && !found.data && (
            <Text size="sm" p="xs">
              {text.shell.searching}
            </Text>
          )}
          {found.data && items.length === 0 && (
            <Text size="sm" p="xs">
              {text.shell.searchNone}
            </Text>
          )}
          <ul className="results" data-words={settled}>
            {items.map((device, index) => (
              <li key={device.id}>
                <Link to={targets[index]} data-active={index === active} onClick={() => setOpen(false)}>
                  <span className="break">{device.name ?? text.devices.unnamed(device.id)}</span>
                  <span className="soft">{device.type && sayName(device.type)}</span>
                </Link>
              </li>
            ))}
            <li>
              <Link to={targets[targets.length - 1]} data-active={active === targets.length - 1} onClick={() => setOpen(false)}>
                <span className="soft break">{text.shell.searchAll(words.trim())}</span>
              </Link>
            </li>
          </ul>
        </Popover.Dropdown>
      </Popover>
    </div>
  );
}
