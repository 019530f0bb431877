import { Button, Group, Text } from '@mantine/core';
import { IconAlertTriangle, IconMinus, IconPlus } from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useDebouncedValue } from '@mantine/hooks';
import { useState } from 'react';
import { whatIf, type Draft, type Effect } from '../api/access';
import { useCurrentUser } from '../shell/session';
import { text } from '../text';
import { words } from '../text/access';
import { ObjectLink } from './pickers';
import { Refusal } from './Refusal';
import { sayRight, scopedRight, summary } from './rights';

const PAUSE_MS = 300;
const SHOWN = 20;
const ADMIN = 'ROLE_USER_MANAGEMENT_ADMIN';

interface SaveProps {
  /** What would be saved, for those who hold the role now; undefined for a new one, which nobody has. */
  draft?: Draft;
  onSave: () => void;
  onDiscard: () => void;
  saving: boolean;
  /** Why the last try failed. */
  error?: unknown;
  invalid?: boolean;
}

/** Says who would gain and lose what, beside the button that saves. */
export function SavePanel({ draft, onSave, onDiscard, saving, error, invalid }: SaveProps) {
  const key = draft && JSON.stringify(draft);
  const [settled] = useDebouncedValue(key, PAUSE_MS);
  const query = useQuery({
    queryKey: ['whatif', settled],
    queryFn: ({ signal }) => whatIf(JSON.parse(settled ?? '') as Draft, signal),
    enabled: Boolean(settled) && !invalid,
    placeholderData: keepPreviousData,
    staleTime: 0,
    gcTime: 0,
  });
  const busy = Boolean(draft) && !invalid && (query.isFetching || settled !== key);
  return (
    <div className="sticky" data-testid="whatif" data-busy={busy}>
      <section className="card pad whatif" aria-label={words.whatIf.title}>
        <Text fw={600} size="sm" mb={8}>
          {words.whatIf.title}
        </Text>
        <div aria-live="polite">
          {!draft ? (
            <Text size="sm">{words.whatIf.nobody}</Text>
          ) : query.isError && !query.data ? (
            <Refusal error={query.error} />
          ) : query.data ? (
            <div style={{ opacity: busy ? 0.65 : 1 }}>
              <Effects effects={query.data.effects} affected={query.data.affected} />
            </div>
          ) : (
            <Text size="sm" c="dimmed">
              {words.whatIf.asking}
            </Text>
          )}
        </div>
        <Refusal error={error} />
        <Group gap="xs" mt="md">
          <Button onClick={onSave} loading={saving} disabled={invalid} data-testid="role-save">
            {text.action.save}
          </Button>
          <Button variant="default" onClick={onDiscard} disabled={saving}>
            {text.action.cancel}
          </Button>
        </Group>
      </section>
    </div>
  );
}

function Effects({ effects, affected }: { effects: Effect[]; affected: number }) {
  const [open, setOpen] = useState(false);
  const me = useCurrentUser().data?.id;
  const mine = effects.find((effect) => effect.user === me);
  if (!effects.length) return <Text size="sm">{words.whatIf.none}</Text>;
  const { gain, lose } = summary(effects);
  return (
    <>
      <ul style={{ display: 'grid', gap: 6 }}>
        {gain && (
          <li className="whatif-line" data-tone="gain" data-testid="whatif-gain">
            <IconPlus size={17} stroke={2.4} aria-hidden="true" />
            <span>{gain}</span>
          </li>
        )}
        {lose && (
          <li className="whatif-line" data-tone="lose" data-testid="whatif-lose">
            <IconMinus size={17} stroke={2.4} aria-hidden="true" />
            <span>{lose}</span>
          </li>
        )}
        {mine && mine.lost.length > 0 && (
          <li className="whatif-line" data-tone="lose">
            <IconAlertTriangle size={17} aria-hidden="true" />
            <span>{mine.lost.includes(ADMIN) ? words.whatIf.selfAdmin : words.whatIf.self}</span>
          </li>
        )}
      </ul>
      <Button variant="subtle" size="compact-sm" mt="xs" ml={-8} onClick={() => setOpen(!open)} aria-expanded={open}>
        {open ? words.whatIf.hide : words.whatIf.details}
      </Button>
      {open && (
        <ul style={{ display: 'grid', gap: 10, marginTop: 8 }}>
          {effects.slice(0, SHOWN).map((effect) => (
            <li key={effect.user}>
              <div className="line-title">{effect.user}</div>
              <Rights rights={effect.gained} sign="+" />
              <Rights rights={effect.lost} sign="−" />
            </li>
          ))}
          {affected > SHOWN && <li className="soft small">{words.whatIf.more(affected - SHOWN)}</li>}
        </ul>
      )}
    </>
  );
}

function Rights({ rights, sign }: { rights: string[]; sign: string }) {
  return rights.map((right) => {
    const scoped = scopedRight(right);
    return (
      <div key={right} className="small break" title={right}>
        <span className="num">{sign}</span>{' '}
        {scoped ? (
          <>
            {scoped.below ? words.whatIf.onBelow(scoped.text, '') : words.whatIf.on(scoped.text, '')}
            <ObjectLink id={scoped.object} />
          </>
        ) : (
          sayRight(right)
        )}
      </div>
    );
  });
}
