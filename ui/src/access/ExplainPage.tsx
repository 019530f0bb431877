import './access.css';
import { ActionIcon, Button, CopyButton, SegmentedControl, Select, Text, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconCheck, IconLink, IconUserSearch } from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { ACTIONS, explain, OBJECT_SUBJECTS, SUBJECTS, whoMay, type Action, type Question, type Subject } from '../api/access';
import { Badge } from '../parts/Badges';
import { Pager, Panel } from '../parts/Bits';
import { Empty, PageTitle, Shown } from '../parts/States';
import { useCurrentUser, useHasRole, useTenant } from '../shell/session';
import { words } from '../text/access';
import { freshly } from './freshly';
import { sentence, Verdict } from './Verdict';
import { ObjectPicker, UserPicker } from './pickers';

const PAGE_SIZE = 25;
const MANAGES = ['ROLE_USER_MANAGEMENT_READ', 'ROLE_USER_MANAGEMENT_ADMIN', 'ROLE_USER_MANAGEMENT_CREATE'];

/** The question that an address holds; what it does not say has the commonest value. */
function questionFrom(search: URLSearchParams): Question {
  const type = search.get('type') as Subject;
  const action = search.get('action') as Action;
  return {
    action: ACTIONS.includes(action) ? action : 'read',
    type: SUBJECTS.includes(type) ? type : 'inventory',
    object: search.get('object') ?? undefined,
    fragments: search.get('fragments') ?? undefined,
  };
}

export function ExplainPage() {
  const [search, setSearch] = useSearchParams();
  const manages = useHasRole(...MANAGES);
  const me = useCurrentUser().data?.userName;
  const who = manages && search.get('ask') === 'who';
  const question = questionFrom(search);
  const user = (manages && search.get('user')) || me;
  function set(change: Record<string, string | undefined>) {
    const next = new URLSearchParams(search);
    next.delete('page');
    for (const [key, value] of Object.entries(change)) {
      if (value) next.set(key, value);
      else next.delete(key);
    }
    setSearch(next, { replace: true });
  }
  return (
    <>
      <PageTitle title={words.explain.title} sub={words.explain.sub}>
        <CopyButton value={location.href}>
          {({ copied, copy }) => (
            <ActionIcon
              variant="default"
              size="lg"
              onClick={copy}
              aria-label={copied ? words.explain.copied : words.explain.share}
              title={copied ? words.explain.copied : words.explain.share}
            >
              {copied ? <IconCheck size={17} /> : <IconLink size={17} />}
            </ActionIcon>
          )}
        </CopyButton>
      </PageTitle>
      {manages && (
        <SegmentedControl
          aria-label={words.explain.mode}
          mb="md"
          data={[
            { value: 'may', label: words.explain.may },
            { value: 'who', label: words.explain.who },
          ]}
          value={who ? 'who' : 'may'}
          onChange={(value) => set({ ask: value === 'who' ? 'who' : undefined })}
        />
      )}
      <div className="grid" style={{ gap: 16 }}>
        <Ask question={question} who={who} user={user} fixed={!manages} set={set} />
        {who ? (
          <Who question={question} search={search} setSearch={setSearch} />
        ) : user ? (
          <May user={user} question={question} />
        ) : (
          <Panel>
            <Empty icon={<IconUserSearch size={34} stroke={1.4} aria-hidden="true" />} title={words.explain.pick}>
              {words.explain.pickHint}
            </Empty>
          </Panel>
        )}
      </div>
    </>
  );
}

interface AskProps {
  question: Question;
  who: boolean;
  user?: string;
  /** Whether only questions about oneself are allowed. */
  fixed: boolean;
  set: (change: Record<string, string | undefined>) => void;
}

function Ask({ question, who, user, fixed, set }: AskProps) {
  const tenant = useTenant().data?.name;
  const [fragments, setFragments] = useState(question.fragments ?? '');
  const setLater = useDebouncedCallback((value: string) => set({ fragments: value }), 400);
  const [more, setMore] = useState(Boolean(question.fragments));
  const about = OBJECT_SUBJECTS.includes(question.type);
  return (
    <Panel padded>
      <div className="ask" data-who={who} role="search" aria-label={words.explain.question}>
        {!who &&
          (fixed || !tenant ? (
            <TextInput className="ask-wide" label={words.person.label} value={user ?? ''} readOnly />
          ) : (
            <UserPicker
              className="ask-wide"
              key={user}
              tenant={tenant}
              label={words.person.label}
              value={user}
              onChange={(value) => set({ user: value })}
            />
          ))}
        <Select
          label={words.explain.action}
          allowDeselect={false}
          data={ACTIONS.map((value) => ({ value, label: words.explain.actions[value] }))}
          value={question.action}
          onChange={(value) => set({ action: value ?? undefined })}
        />
        <Select
          label={words.explain.type}
          allowDeselect={false}
          data={SUBJECTS.map((value) => ({ value, label: words.explain.types[value] }))}
          value={question.type}
          onChange={(value) =>
            set({ type: value ?? undefined, ...(OBJECT_SUBJECTS.includes(value as Subject) ? {} : { object: undefined }) })
          }
        />
        {about && (
          <ObjectPicker
            className="ask-wide"
            key={question.object}
            label={words.object.label}
            value={question.object}
            onChange={(value) => set({ object: value })}
          />
        )}
      </div>
      {about && question.object && (
        <div style={{ marginTop: 10 }}>
          {more ? (
            <TextInput
              label={words.explain.fragments}
              description={words.explain.fragmentsHint}
              value={fragments}
              maw={520}
              onChange={(event) => {
                setFragments(event.currentTarget.value);
                setLater(event.currentTarget.value.replace(/\s/g, ''));
              }}
            />
          ) : (
            <Button variant="subtle" size="compact-sm" ml={-8} onClick={() => setMore(true)}>
              {words.explain.more}
            </Button>
          )}
        </div>
      )}
    </Panel>
  );
}

function May({ user, question }: { user: string; question: Question }) {
  const query = useQuery({
    queryKey: ['explain', user, question],
    queryFn: ({ signal }) => explain(user, question, signal),
    staleTime: 0,
    ...freshly,
  });
  return (
    <Panel>
      <Shown query={query} need={MANAGES[0]} rows={2}>
        {(found) => <Verdict answer={found.answer} question={question} />}
      </Shown>
    </Panel>
  );
}

interface WhoProps {
  question: Question;
  search: URLSearchParams;
  setSearch: (next: URLSearchParams) => void;
}

function Who({ question, search, setSearch }: WhoProps) {
  const page = Math.max(1, Number(search.get('page')) || 1);
  const query = useQuery({
    queryKey: ['who', question, page],
    queryFn: ({ signal }) => whoMay(question, page, PAGE_SIZE, signal),
    placeholderData: keepPreviousData,
    staleTime: 0,
    // Every account is looked at for this, so not again and again.
    refetchOnWindowFocus: 'always',
  });
  const go = (to: number) => {
    const next = new URLSearchParams(search);
    next.set('page', String(to));
    setSearch(next);
  };
  const why = (user: string) => {
    const next = new URLSearchParams(search);
    next.delete('ask');
    next.delete('page');
    next.set('user', user);
    return `?${next}`;
  };
  return (
    <Panel>
      <Shown query={query} need={MANAGES[0]} rows={5}>
        {(found) =>
          found.items.length ? (
            <>
              <ul className="rows">
                {found.items.map((answer) => (
                  <li key={answer.user} className="line" data-testid="who-row">
                    <div>
                      <div className="line-title">
                        {answer.user} {answer.disabled && <Badge tone="quiet">{words.explain.disabled}</Badge>}
                      </div>
                      <Text size="sm" c="dimmed" className="break">
                        {sentence(answer)}
                      </Text>
                    </div>
                    <Button
                      component={Link}
                      to={why(answer.user)}
                      size="compact-md"
                      variant="default"
                      aria-label={words.explain.whyThis(answer.user)}
                    >
                      {words.explain.why}
                    </Button>
                  </li>
                ))}
              </ul>
              <Pager data={found} onPage={go} />
            </>
          ) : (
            <Empty title={words.explain.nobody}>{words.explain.nobodyHint}</Empty>
          )
        }
      </Shown>
    </Panel>
  );
}
