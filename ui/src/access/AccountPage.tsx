import './access.css';
import { Anchor, Button, Group, Tabs, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import { getUserFactor, listAssignments } from '../api/access';
import type { CurrentUser } from '../api/shape';
import { getTenantFactors } from '../api/tenant';
import { putCurrentUser, putOwnPassword } from '../api/user';
import { Badge } from '../parts/Badges';
import { Panel, sayDone } from '../parts/Bits';
import { PageTitle, Rows, Shown } from '../parts/States';
import { TabBar } from '../parts/TabBar';
import { useCurrentUser, useTenant } from '../shell/session';
import { text } from '../text';
import { words } from '../text/access';
import { FactorSetup } from './FactorSetup';
import { ObjectLink } from './pickers';
import { Refusal } from './Refusal';
import { RoleMatrix } from './RoleMatrix';
import { SessionList } from './SessionList';
import { Secret } from '../parts/Secret';

const TABS = ['profile', 'security', 'rights'] as const;

export function AccountPage() {
  const { tab } = useParams();
  const navigate = useNavigate();
  const user = useCurrentUser().data;
  const tenant = useTenant().data?.name;
  if (!user) return <Rows count={4} />;
  const active = TABS.find((one) => one === tab) ?? 'profile';
  return (
    <>
      <PageTitle title={words.account.title} sub={[user.userName, tenant].filter(Boolean).join(' · ')} />
      <Tabs value={active} onChange={(value) => void navigate(`/account/${value}`, { replace: true })} keepMounted={false}>
        <TabBar label={words.account.tabsLabel} tabs={TABS} names={words.account.tabs} active={active} />
        <Tabs.Panel value="profile">
          <Profile user={user} />
        </Tabs.Panel>
        <Tabs.Panel value="security">
          <div className="split" style={{ alignItems: 'start' }}>
            <div className="grid" style={{ gap: 16 }}>
              <Password user={user} />
              {tenant && <Factor tenant={tenant} user={user.id} />}
            </div>
            <SessionList />
          </div>
        </Tabs.Panel>
        <Tabs.Panel value="rights">
          <Rights user={user} tenant={tenant} />
        </Tabs.Panel>
      </Tabs>
    </>
  );
}

const FIELDS = ['firstName', 'lastName', 'email', 'phone'] as const;

function Profile({ user }: { user: CurrentUser }) {
  const client = useQueryClient();
  const [draft, setDraft] = useState<Partial<CurrentUser>>({});
  const labels = {
    firstName: words.account.firstName,
    lastName: words.account.lastName,
    email: words.users.email,
    phone: words.users.phone,
  };
  const dirty = FIELDS.some((field) => field in draft && draft[field] !== (user[field] ?? ''));
  const save = useMutation({
    mutationFn: () => putCurrentUser(draft),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ['currentUser'] });
      setDraft({});
      sayDone(words.account.saved);
    },
  });
  function submit(event: FormEvent) {
    event.preventDefault();
    save.mutate();
  }
  return (
    <Panel padded>
      <form onSubmit={submit} style={{ maxWidth: 480 }}>
        <div className="grid">
          {FIELDS.map((field) => (
            <TextInput
              key={field}
              label={labels[field]}
              type={field === 'email' ? 'email' : field === 'phone' ? 'tel' : 'text'}
              value={draft[field] ?? user[field] ?? ''}
              onChange={(event) => {
                const { value } = event.currentTarget;
                setDraft((old) => ({ ...old, [field]: value }));
              }}
            />
          ))}
        </div>
        <Refusal error={save.error} need="ROLE_USER_MANAGEMENT_OWN_ADMIN" />
        <Button type="submit" mt="md" loading={save.isPending} disabled={!dirty}>
          {text.action.save}
        </Button>
      </form>
    </Panel>
  );
}

function Password({ user }: { user: CurrentUser }) {
  const client = useQueryClient();
  const [current, setCurrent] = useState('');
  const [fresh, setFresh] = useState('');
  const [again, setAgain] = useState('');
  const [tried, setTried] = useState(false);
  const change = useMutation({
    mutationFn: () => putOwnPassword(current, fresh),
    onSuccess: () => {
      setCurrent('');
      setFresh('');
      setAgain('');
      setTried(false);
      sayDone(words.account.changed);
      void client.invalidateQueries({ queryKey: ['sessions'] });
    },
  });
  const origin = user.customProperties?.userOrigin;
  if (origin && origin !== 'BASIC')
    return (
      <Panel title={words.account.password} padded>
        <Text size="sm">{words.account.remotePassword}</Text>
      </Panel>
    );
  const differ = fresh !== again;
  function submit(event: FormEvent) {
    event.preventDefault();
    setTried(true);
    if (!differ) change.mutate();
  }
  return (
    <Panel title={words.account.password} padded>
      <form onSubmit={submit}>
        <input type="text" autoComplete="username" value={user.userName} readOnly hidden />
        <div className="grid">
          <Secret label={words.account.current} data-testid="password-current" value={current} onValue={setCurrent} />
          <Secret
            fresh
            label={words.account.fresh}
            description={words.users.policy}
            data-testid="password-new"
            value={fresh}
            onValue={setFresh}
          />
          <Secret
            fresh
            label={words.account.again}
            data-testid="password-again"
            error={tried && differ ? words.account.differ : undefined}
            value={again}
            onValue={setAgain}
          />
        </div>
        <Refusal error={change.error} need="ROLE_USER_MANAGEMENT_OWN_ADMIN" />
        <Button type="submit" mt="md" loading={change.isPending} data-testid="password-submit">
          {words.account.change}
        </Button>
      </form>
    </Panel>
  );
}

function Factor({ tenant, user }: { tenant: string; user: string }) {
  const client = useQueryClient();
  const [setting, setSetting] = useState(false);
  const own = useQuery({
    queryKey: ['currentUser', 'factor'],
    queryFn: ({ signal }) => getUserFactor(tenant, user, signal),
    staleTime: 0,
  });
  const rules = useQuery({ queryKey: ['tenantFactors', tenant], queryFn: ({ signal }) => getTenantFactors(tenant, signal) });
  const offered = rules.data?.enabledOnTenantLevel !== false;
  return (
    <Panel title={words.factor.title} padded>
      <Shown query={own} rows={1}>
        {({ tfaEnabled: active, tfaEnforced }) =>
          setting && !active ? (
            <FactorSetup
              onDone={() => {
                setSetting(false);
                sayDone(words.factor.done);
                void client.invalidateQueries({ queryKey: ['currentUser'] });
              }}
              onCancel={() => setSetting(false)}
            />
          ) : (
            <>
              <Badge tone={active ? 'good' : 'quiet'}>{active ? words.factor.on : words.factor.off}</Badge>{' '}
              {tfaEnforced && <Badge tone="warning">{words.factor.enforced}</Badge>}
              <Text size="sm" mt={8}>
                {active ? words.factor.onHint : offered ? words.factor.offHint : words.factor.notOffered}
              </Text>
              {!active && offered && (
                <Button mt="md" variant="light" onClick={() => setSetting(true)} data-testid="factor-start">
                  {words.factor.setUp}
                </Button>
              )}
            </>
          )
        }
      </Shown>
    </Panel>
  );
}

function Rights({ user, tenant }: { user: CurrentUser; tenant?: string }) {
  const held = user.effectiveRoles?.map((role) => role.name ?? role.id) ?? [];
  const groups = user.groups?.references?.map((reference) => reference.group.name) ?? [];
  const assignments = useQuery({
    queryKey: ['assignments', user.id],
    queryFn: ({ signal }) => listAssignments(tenant ?? '', user.id, signal),
    enabled: Boolean(tenant) && held.some((role) => role.startsWith('ROLE_USER_MANAGEMENT_') && !role.includes('_OWN_')),
    retry: false,
  });
  return (
    <div className="beside">
      <Panel title={words.account.rights}>
        <Text size="sm" c="dimmed" px="md" pb="xs">
          {words.account.rightsHint}
        </Text>
        <RoleMatrix roles={held} held={new Set(held)} />
      </Panel>
      <div className="side">
        <Panel title={words.account.roles} padded>
          {groups.length ? groups.map((name) => <div key={name}>{name}</div>) : <Text size="sm">{words.account.noRoles}</Text>}
          <Group mt="md">
            <Anchor component={Link} to="/explain" size="sm">
              {words.account.ask}
            </Anchor>
          </Group>
        </Panel>
        {Boolean(assignments.data?.length) && (
          <Panel title={words.account.objects} padded>
            {assignments.data?.map((one) => (
              <div key={one.id} style={{ marginBottom: 6 }}>
                <ObjectLink id={one.managedObject} />
                <div className="soft small">{one.roles.map((role) => role.name).join(', ')}</div>
              </div>
            ))}
          </Panel>
        )}
      </div>
    </div>
  );
}
