import './access.css';
import { Alert, Button, Group, Modal, PasswordInput, Stack, Text, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconBuildings, IconPlus, IconSearch } from '@tabler/icons-react';
import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { useSearchParams } from 'react-router';
import {
  createTenant,
  deleteTenant,
  listReceipts,
  listTenants,
  putTenant,
  type ManagedTenant,
  type NewTenant,
} from '../api/tenant';
import { Badge } from '../parts/Badges';
import { Code, Pager, Panel, sayDone, sayFailed } from '../parts/Bits';
import { Confirm } from '../parts/Confirm';
import { sayCount, sayTime } from '../parts/say';
import { Empty, PageTitle, Rows, Shown } from '../parts/States';
import { useHasRole, useTenant } from '../shell/session';
import { text } from '../text';
import { words } from '../text/access';
import { freshly } from './freshly';
import { Refusal } from './Refusal';

const PAGE_SIZE = 25;
const NEED = 'ROLE_TENANT_MANAGEMENT_ADMIN';
const MANAGEMENT = 'management';

export function TenantsPage() {
  const own = useTenant().data;
  const mayCreate = useHasRole(NEED, 'ROLE_TENANT_MANAGEMENT_CREATE');
  const [creating, setCreating] = useState(false);
  if (!own) return <Rows />;
  if (!own.allowCreateTenants)
    return (
      <>
        <PageTitle title={words.tenants.title} />
        <Panel>
          <Empty icon={<IconBuildings size={34} stroke={1.4} aria-hidden="true" />} title={words.tenants.notManagement} />
        </Panel>
      </>
    );
  return (
    <>
      <PageTitle title={words.tenants.title} sub={words.tenants.sub}>
        {mayCreate && (
          <Button leftSection={<IconPlus size={16} />} onClick={() => setCreating(true)} data-testid="tenant-new">
            {words.tenants.create}
          </Button>
        )}
      </PageTitle>
      <div className="grid" style={{ gap: 16 }}>
        <TenantList own={own.name} />
        {own.name === MANAGEMENT && <Receipts />}
      </div>
      {creating && <CreateTenant close={() => setCreating(false)} />}
    </>
  );
}

function TenantList({ own }: { own: string }) {
  const [search, setSearch] = useSearchParams();
  const company = search.get('q') ?? '';
  const page = Math.max(1, Number(search.get('page')) || 1);
  const [typed, setTyped] = useState(company);
  const find = useDebouncedCallback((value: string) => setSearch(value ? { q: value } : {}, { replace: true }), 250);
  const query = useQuery({
    queryKey: ['tenants', 'list', company, page],
    queryFn: ({ signal }) => listTenants(company, page, PAGE_SIZE, signal),
    placeholderData: keepPreviousData,
    ...freshly,
  });
  return (
    <div>
      <TextInput
        type="search"
        aria-label={words.tenants.search}
        placeholder={words.tenants.search}
        leftSection={<IconSearch size={16} aria-hidden="true" />}
        mb="md"
        maw={360}
        value={typed}
        onChange={(event) => {
          setTyped(event.currentTarget.value);
          find(event.currentTarget.value.trim());
        }}
      />
      <Panel>
        <Shown query={query} need="ROLE_TENANT_MANAGEMENT_READ">
          {(found) =>
            found.items.length ? (
              <>
                <ul className="rows">
                  {found.items.map((tenant) => (
                    <Row key={tenant.id} tenant={tenant} own={own} />
                  ))}
                </ul>
                <Pager data={found} onPage={(to) => setSearch({ ...(company ? { q: company } : {}), page: String(to) })} />
              </>
            ) : (
              <Empty icon={<IconBuildings size={34} stroke={1.4} aria-hidden="true" />} title={words.tenants.none} />
            )
          }
        </Shown>
      </Panel>
    </div>
  );
}

function Row({ tenant, own }: { tenant: ManagedTenant; own: string }) {
  const client = useQueryClient();
  const [deleting, setDeleting] = useState(false);
  const mayChange = useHasRole(NEED, 'ROLE_TENANT_MANAGEMENT_UPDATE');
  const mayDelete = useHasRole(NEED) && own === MANAGEMENT;
  const name = tenant.company ?? tenant.id;
  const suspended = tenant.status === 'SUSPENDED';
  const change = useMutation({
    mutationFn: () => putTenant(tenant.id, { status: suspended ? 'ACTIVE' : 'SUSPENDED' }),
    onSuccess: () => sayDone(suspended ? words.tenants.activated(name) : words.tenants.suspended(name)),
    onError: (error) => sayFailed(error, NEED),
    onSettled: () => client.invalidateQueries({ queryKey: ['tenants', 'list'] }),
  });
  const verb = suspended ? words.tenants.activate : words.tenants.suspend;
  const button = (onClick: () => void) => (
    <Button
      size="compact-md"
      variant="default"
      onClick={onClick}
      loading={change.isPending}
      aria-label={words.tenants.row(verb, name)}
      data-testid="tenant-status"
    >
      {verb}
    </Button>
  );
  return (
    <li className="line" data-testid="tenant-row" data-id={tenant.id} data-status={tenant.status}>
      <div>
        <div className="line-title">
          {name}{' '}
          <Badge tone={tenant.status === 'ACTIVE' ? 'good' : 'major'}>
            {words.tenants.status[tenant.status ?? ''] ?? tenant.status}
          </Badge>
        </div>
        <div className="soft small break">
          {[
            tenant.id,
            tenant.domain,
            tenant.adminEmail,
            tenant.creationTime && `${words.tenants.since} ${sayTime(tenant.creationTime)}`,
          ]
            .filter(Boolean)
            .join(' · ')}
        </div>
      </div>
      {mayChange && tenant.id !== own && (
        <Group gap={6}>
          {suspended ? (
            button(() => change.mutate())
          ) : (
            <Confirm label={words.tenants.suspend} question={words.tenants.suspendAsk(name)} onYes={() => change.mutate()}>
              {button}
            </Confirm>
          )}
          {mayDelete && (
            <Button
              size="compact-md"
              variant="default"
              onClick={() => setDeleting(true)}
              aria-label={words.tenants.row(words.tenants.delete, name)}
              data-testid="tenant-delete"
            >
              {text.action.delete}
            </Button>
          )}
        </Group>
      )}
      {deleting && <DeleteTenant tenant={tenant} close={() => setDeleting(false)} />}
    </li>
  );
}

function DeleteTenant({ tenant, close }: { tenant: ManagedTenant; close: () => void }) {
  const client = useQueryClient();
  const [typed, setTyped] = useState('');
  const remove = useMutation({
    mutationFn: () => deleteTenant(tenant.id),
    onSuccess: () => {
      sayDone(words.tenants.deleted(tenant.company ?? tenant.id));
      void client.invalidateQueries({ queryKey: ['tenants'] });
      close();
    },
  });
  return (
    <Modal opened onClose={close} title={words.tenants.delete} centered closeButtonProps={{ 'aria-label': text.action.close }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (typed === tenant.id) remove.mutate();
        }}
      >
        <Text size="sm" mb="sm">
          {words.tenants.deleteAsk}
        </Text>
        <TextInput
          label={words.tenants.deleteConfirm(tenant.id)}
          value={typed}
          autoComplete="off"
          data-autofocus
          data-testid="tenant-confirm"
          onChange={(event) => setTyped(event.currentTarget.value.trim())}
        />
        <Refusal error={remove.error} need={NEED} />
        <Group justify="flex-end" mt="lg">
          <Button variant="default" onClick={close}>
            {text.action.cancel}
          </Button>
          <Button type="submit" color="red" loading={remove.isPending} disabled={typed !== tenant.id} data-testid="tenant-erase">
            {words.tenants.delete}
          </Button>
        </Group>
      </form>
    </Modal>
  );
}

type Field = { key: keyof NewTenant; label: string; hint?: string; type?: string; pattern?: string; optional?: boolean };
const FIELDS: Field[] = [
  { key: 'company', label: words.tenants.company },
  {
    key: 'domain',
    label: words.tenants.domain,
    hint: words.tenants.domainHint,
    pattern: '[a-z][a-z0-9\\-]*[a-z0-9](\\.[a-z0-9\\-]+)*',
  },
  { key: 'adminName', label: words.tenants.adminName },
  { key: 'adminEmail', label: words.tenants.adminEmail, type: 'email' },
  { key: 'contactName', label: words.tenants.contact, optional: true },
];

function CreateTenant({ close }: { close: () => void }) {
  const client = useQueryClient();
  const [tenant, setTenant] = useState<NewTenant>({ company: '', domain: '', adminName: 'admin', adminEmail: '' });
  const set = (key: keyof NewTenant) => (event: { currentTarget: { value: string } }) => {
    const { value } = event.currentTarget;
    setTenant((old) => ({ ...old, [key]: value }));
  };
  const create = useMutation({
    mutationFn: () =>
      createTenant({ ...tenant, adminPass: tenant.adminPass || undefined, contactName: tenant.contactName || undefined }),
    onSuccess: (made) => {
      sayDone(words.tenants.created(tenant.company));
      void client.invalidateQueries({ queryKey: ['tenants'] });
      if (!made?.adminOneTimeLogin) close();
    },
  });
  const link = create.data?.adminOneTimeLogin;
  function submit(event: FormEvent) {
    event.preventDefault();
    create.mutate();
  }
  return (
    <Modal opened onClose={close} title={words.tenants.create} centered closeButtonProps={{ 'aria-label': text.action.close }}>
      {link ? (
        <Stack gap="sm">
          <Alert
            color="teal"
            title={words.tenants.created(tenant.company)}
            styles={{ message: { color: 'var(--mantine-color-text)' } }}
          >
            {words.tenants.onceHint}
          </Alert>
          <Code label={words.tenants.once}>{link}</Code>
          <Group justify="flex-end">
            <Button onClick={close}>{words.tenants.done}</Button>
          </Group>
        </Stack>
      ) : (
        <form onSubmit={submit}>
          <Stack gap="sm">
            {FIELDS.map((field, index) => (
              <TextInput
                key={field.key}
                label={field.label}
                description={field.hint}
                type={field.type}
                pattern={field.pattern}
                required={!field.optional}
                data-autofocus={index === 0 || undefined}
                data-testid={`tenant-${field.key}`}
                autoComplete="off"
                value={tenant[field.key] ?? ''}
                onChange={set(field.key)}
              />
            ))}
            <PasswordInput
              label={words.tenants.adminPass}
              description={words.tenants.adminPassHint}
              autoComplete="new-password"
              value={tenant.adminPass ?? ''}
              onChange={set('adminPass')}
            />
          </Stack>
          <Refusal error={create.error} need={NEED} />
          <Group justify="flex-end" mt="lg">
            <Button variant="default" onClick={close}>
              {text.action.cancel}
            </Button>
            <Button type="submit" loading={create.isPending} data-testid="tenant-create">
              {text.action.create}
            </Button>
          </Group>
        </form>
      )}
    </Modal>
  );
}

function Receipts() {
  const query = useQuery({ queryKey: ['tenants', 'receipts'], queryFn: ({ signal }) => listReceipts(signal), staleTime: 0 });
  return (
    <Panel title={words.tenants.receipts}>
      <Text size="sm" c="dimmed" px="md" pb="xs">
        {words.tenants.receiptsHint}
      </Text>
      <Shown query={query} need="ROLE_TENANT_MANAGEMENT_READ" rows={2}>
        {(receipts) =>
          receipts.length ? (
            <ul className="rows">
              {receipts.map((receipt) => (
                <li key={receipt.sha256 ?? receipt.tenant} data-testid="receipt-row">
                  <div className="line-title">{[receipt.company, receipt.tenant].filter(Boolean).join(' · ')}</div>
                  <dl className="facts" style={{ marginTop: 6 }}>
                    <dt>{words.tenants.erasedAt}</dt>
                    <dd>
                      {sayTime(receipt.erasedAt)}
                      {receipt.by && ` · ${receipt.by}`}
                    </dd>
                    <dt>{words.tenants.counts}</dt>
                    <dd>
                      {Object.entries(receipt.counts ?? {})
                        .filter(([, count]) => count > 0)
                        .map(([what, count]) => `${what} ${sayCount(count)}`)
                        .join(' · ') || '–'}
                    </dd>
                    {receipt.sha256 && (
                      <>
                        <dt>{words.tenants.fingerprint}</dt>
                        <dd className="num" style={{ fontFamily: 'var(--mantine-font-family-monospace)', fontSize: 12.5 }}>
                          {receipt.sha256}
                        </dd>
                      </>
                    )}
                  </dl>
                </li>
              ))}
            </ul>
          ) : (
            <Empty title={words.tenants.noReceipts} />
          )
        }
      </Shown>
    </Panel>
  );
}
