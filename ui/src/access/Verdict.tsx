import { Button, Text } from '@mantine/core';
import { IconCheck, IconX } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import type { AccessGrant, Answer, Missing, Question } from '../api/access';
import { listGroups } from '../api/user';
import { Badge } from '../parts/Badges';
import { useHasRole, useTenant } from '../shell/session';
import { words } from '../text/access';
import { ObjectLink } from './pickers';
import { sayPermission, sayScoped } from './rights';

/** Where what is missing can be given. */
export function remedy(missing: Missing, user: string, object: string | undefined): string {
  const person = `/users/${encodeURIComponent(user)}`;
  switch (missing.kind) {
    case 'GLOBAL_ROLE':
      return `${person}/roles?role=${encodeURIComponent(missing.name)}`;
    case 'INVENTORY_ROLE': {
      const search = new URLSearchParams({ assign: object ?? '', role: missing.name });
      return `${person}/objects?${search}`;
    }
    case 'PERMISSION':
      return `/roles?permission=${encodeURIComponent(missing.name)}`;
    case 'FRAGMENTS':
      return '/inventory-roles';
    default:
      return `/device/${object}/properties`;
  }
}

/** The server's sentence without the yes or no, which is said already, and with names of objects instead of their ids. */
export function sentence(answer: Answer): string {
  let said = answer.text.replace(/^(Yes|No)[.:]\s*/, '');
  for (const { path } of answer.grants ?? []) {
    if (path[0]?.name) said = said.replace(new RegExp(` on ${path[0].id}(?=[.,])`, 'g'), ` on “${path[0].name}”`);
  }
  return said.charAt(0).toUpperCase() + said.slice(1);
}

/** A clear yes or no, the reason, and for a no what would change it. */
export function Verdict({ answer, question }: { answer: Answer; question: Question }) {
  const Icon = answer.allowed ? IconCheck : IconX;
  return (
    <div data-testid="verdict" data-allowed={answer.allowed}>
      <div className="verdict" data-allowed={answer.allowed}>
        <span className="verdict-mark">
          <Icon size={28} stroke={2.4} aria-hidden="true" />
        </span>
        <div>
          <h2 style={{ margin: 0, fontSize: 20 }}>
            {answer.allowed ? words.explain.yes : words.explain.no}
            {answer.disabled && (
              <>
                {' '}
                <Badge tone="major">{words.explain.disabled}</Badge>
              </>
            )}
          </h2>
          <div className="break">{sentence(answer)}</div>
        </div>
      </div>
      {answer.allowed ? <Reason answer={answer} question={question} /> : <Nearest answer={answer} question={question} />}
    </div>
  );
}

function Reason({ answer, question }: { answer: Answer; question: Question }) {
  return (
    <div style={{ padding: '0 16px 16px', display: 'grid', gap: 12 }}>
      {answer.permission && (
        <dl className="facts">
          <dt>{words.explain.through}</dt>
          <dd title={answer.permission}>
            {sayPermission(answer.permission)} <span className="soft">({answer.permission})</span>
          </dd>
          <dt>{words.explain.held}</dt>
          <dd>{answer.globalRoles?.length ? <RoleLinks names={answer.globalRoles} /> : words.explain.direct}</dd>
        </dl>
      )}
      {answer.layer === 'OWNERSHIP' && question.object && (
        <dl className="facts">
          <dt>{words.explain.owner}</dt>
          <dd>{answer.user}</dd>
        </dl>
      )}
      {answer.layer === 'C8Y_GLOBAL' && <Text size="sm">{words.explain.global}</Text>}
      {answer.grants?.map((grant, index) => (
        <Grant key={index} grant={grant} />
      ))}
    </div>
  );
}

function Grant({ grant }: { grant: AccessGrant }) {
  const title = grant.inventoryRole
    ? words.explain.from(grant.inventoryRole)
    : grant.globalRole
      ? words.explain.fromGroup(grant.globalRole)
      : words.explain.fromDevice;
  return (
    <section className="card pad" data-testid="grant">
      <div className="line-title">{title}</div>
      <Text size="sm" c="dimmed">
        {sayScoped(grant.scope, grant.type, grant.permission)}
      </Text>
      <ol className="crumbs" aria-label={words.explain.path}>
        {grant.path.map((object) => (
          <li key={object.id}>
            <ObjectLink id={object.id} name={object.name} />
          </li>
        ))}
      </ol>
    </section>
  );
}

/** Names of global roles, as links where their ids can be read. */
function RoleLinks({ names }: { names: string[] }) {
  const tenant = useTenant().data?.name;
  const may = useHasRole('ROLE_USER_MANAGEMENT_READ', 'ROLE_USER_MANAGEMENT_ADMIN', 'ROLE_USER_MANAGEMENT_CREATE');
  const all = useQuery({
    queryKey: ['userGroups', 'all'],
    queryFn: ({ signal }) => listGroups(tenant ?? '', signal),
    enabled: may && Boolean(tenant),
  });
  return names.map((name, index) => {
    const id = all.data?.find((group) => group.name === name)?.id;
    return (
      <span key={name}>
        {index > 0 && ', '}
        {id === undefined ? (
          name
        ) : (
          <Link className="inline-link" to={`/roles/${id}`}>
            {name}
          </Link>
        )}
      </span>
    );
  });
}

function Nearest({ answer, question }: { answer: Answer; question: Question }) {
  const mayGive = useHasRole('ROLE_USER_MANAGEMENT_ADMIN');
  if (!answer.missing?.length) return null;
  return (
    <section aria-label={words.explain.nearest} style={{ borderTop: '1px solid var(--line)' }}>
      <Text fw={600} size="sm" px="md" pt="sm">
        {words.explain.nearest}
      </Text>
      <ul className="rows">
        {answer.missing.map((missing) => (
          <li key={`${missing.kind} ${missing.name}`} className="line" data-testid="missing-row" data-kind={missing.kind}>
            <div>
              <div className="break">{words.explain.missing[missing.kind]?.(missing.name) ?? missing.name}</div>
              {missing.alsoGrants !== undefined && <div className="soft small">{words.explain.extra(missing.alsoGrants)}</div>}
              {missing.kind === 'PERMISSION' && <div className="soft small">{sayPermission(missing.name)}</div>}
            </div>
            {mayGive && (
              <Button
                component={Link}
                to={remedy(missing, answer.user, question.object)}
                size="compact-md"
                variant="light"
                aria-label={`${words.explain.give[missing.kind]}: ${missing.name}`}
              >
                {words.explain.give[missing.kind]}
              </Button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
