// REST routes of the mock: [method, path pattern, handler].
import { evaluate } from './query.mjs';
import { publish } from './realtime.mjs';
import { run, setAlarm, touch } from './simulate.mjs';
import { addAudit, addObject, childrenOf, history, link, nextId, unitOf, unlink, valueAt, world } from './world.mjs';

const UNITS = { s: 1000, m: 60_000, h: 3600_000, d: 86400_000 };

function page(send, name, items, query) {
  const pageSize = Number(query.get('pageSize') ?? 5);
  const currentPage = Number(query.get('currentPage') ?? 1);
  const totals =
    query.get('withTotalElements') === 'true'
      ? { totalElements: items.length, totalPages: Math.ceil(items.length / pageSize) }
      : {};
  send(200, {
    [name]: items.slice((currentPage - 1) * pageSize, currentPage * pageSize),
    statistics: { currentPage, pageSize, ...totals },
    self: '',
    next: '',
  });
}

const gone = (send, what) =>
  send(404, { error: 'inventory/Not Found', message: `Finding device data from database failed : No ${what}!` });

function alarms(query) {
  const list = (key) => query.get(key)?.split(',');
  const resolved = query.get('resolved');
  return world.alarms.filter(
    (one) =>
      (!query.get('source') || one.source.id === query.get('source')) &&
      (!list('severity') || list('severity').includes(one.severity)) &&
      (resolved === null
        ? !list('status') || list('status').includes(one.status)
        : (one.status === 'CLEARED') === (resolved === 'true')),
  );
}

function logIn({ send, body }) {
  const cookies = (user) => ({
    'Set-Cookie': [`authorization=${user}; Path=/; HttpOnly; Max-Age=1209600`, 'XSRF-TOKEN=mock-xsrf; Path=/; Max-Age=1209600'],
  });
  const refuse = (message) => send(401, { error: 'security/Unauthorized', message });
  if (body.grant_type === 'ONE_TIME')
    return body.code === 'first' ? send(200, undefined, cookies('reset')) : refuse('Invalid code');
  if (body.username === 'flood')
    return send(429, { error: 'security/Too Many', message: 'Too many attempts' }, { 'Retry-After': '12' });
  if (body.username === 'locked') return refuse('Authentication failed! : User account is locked');
  if (body.username === 'totp' && body.tfa_code !== '123456') return refuse('TOTP code required');
  if (body.password !== body.username && body.password !== 'admin') return refuse('Invalid credentials! : Bad credentials');
  return send(200, undefined, cookies(body.username));
}

const ROLES = ['INVENTORY', 'ALARM', 'EVENT', 'MEASUREMENT', 'DEVICE_CONTROL', 'IDENTITY', 'USER_MANAGEMENT', 'AUDIT'];
const changed = new Set();

function currentUser({ send, user }) {
  const known = world.users.find((one) => one.id === user);
  const names = user === 'reader' ? ['ROLE_INVENTORY_READ'] : ROLES.flatMap((one) => [`ROLE_${one}_READ`, `ROLE_${one}_ADMIN`]);
  send(200, {
    id: user,
    userName: user,
    firstName: known?.firstName,
    lastName: known?.lastName,
    shouldResetPassword: user === 'reset' && !changed.has(user),
    effectiveRoles: names.map((name) => ({ id: name, name })),
  });
}

const withGroups = (user) => ({
  ...user,
  held: undefined,
  groups: { references: user.held.map((id) => ({ group: world.groups.find((one) => one.id === id) })) },
});

const MO = '/inventory/managedObjects';
const route = (method, path, handle) => [method, new RegExp(`^${path}/?$`), handle];

export const routes = [
  route('GET', '/tenant/loginOptions', ({ send }) =>
    send(200, {
      loginOptions: [
        { type: 'OAUTH2_INTERNAL', visibleOnLoginPage: true },
        { type: 'BASIC', visibleOnLoginPage: false },
      ],
    }),
  ),
  route('POST', '/tenant/oauth', logIn),
  route('POST', '/user/logout', ({ send }) =>
    send(200, undefined, { 'Set-Cookie': ['authorization=; Path=/; Max-Age=0', 'XSRF-TOKEN=; Path=/; Max-Age=0'] }),
  ),
  route('GET', '/user/currentUser', currentUser),
  route('PUT', '/user/currentUser/password', ({ send, user }) => {
    changed.add(user);
    send(200, {});
  }),
  route('GET', '/tenant/currentTenant', ({ send }) => send(200, { name: 't100', domainName: 'harbour.example' })),

  route('GET', MO, ({ send, query, user }) => {
    if (user === 'nobody') return send(403, { error: 'security/Forbidden', message: 'Access is denied' });
    const all = [...world.objects.values()];
    const q = query.get('q');
    return page(
      send,
      'managedObjects',
      q === null
        ? evaluate(all, query.get('query') ?? '')
        : evaluate(
            all.filter((one) => one.c8y_IsDevice),
            q,
          ),
      query,
    );
  }),
  route('POST', MO, ({ send, body }) => {
    const made = addObject(body);
    publish('managedobjects', made.id, 'CREATE', made);
    send(201, made);
  }),
  route('GET', `${MO}/(\\d+)`, ({ send, args }) =>
    world.objects.has(args[0]) ? send(200, world.objects.get(args[0])) : gone(send, `managedObject for id '${args[0]}'`),
  ),
  route('PUT', `${MO}/(\\d+)`, ({ send, args, body }) => {
    const object = world.objects.get(args[0]);
    for (const [key, value] of Object.entries(body)) {
      if (value === null) delete object[key];
      else object[key] = value;
    }
    addAudit('Inventory', 'Managed object updated', Object.keys(body).join(', '), undefined, {
      source: { id: object.id, name: object.name },
    });
    touch(object);
    send(200, object);
  }),
  route('DELETE', `${MO}/(\\d+)`, ({ send, args }) => {
    world.objects.delete(args[0]);
    publish('managedobjects', args[0], 'DELETE', args[0]);
    send(204);
  }),
  route('GET', `${MO}/(\\d+)/supportedSeries`, ({ send, args }) =>
    send(200, { c8y_SupportedSeries: world.measurements.get(args[0])?.series ?? [] }),
  ),
  route('GET', `${MO}/(\\d+)/(child\\w+)`, ({ send, args, query }) =>
    page(
      send,
      'references',
      childrenOf(...args).map((managedObject) => ({ managedObject })),
      query,
    ),
  ),
  route('POST', `${MO}/(\\d+)/(child\\w+)`, ({ send, args, body }) => {
    const child = body.managedObject ? world.objects.get(body.managedObject.id) : addObject(body);
    link(args[0], args[1], child.id);
    send(201, child);
  }),
  route('DELETE', `${MO}/(\\d+)/(child\\w+)/(\\d+)`, ({ send, args }) => {
    unlink(...args);
    send(204);
  }),

  route('GET', '/measurement/measurements/series', ({ send, query }) => {
    const [, count, unit] = /^(\d+)([smhd])$/.exec(query.get('aggregationInterval') ?? '') ?? [];
    send(
      200,
      history(
        query.get('source'),
        query.getAll('series'),
        Date.parse(query.get('dateFrom')),
        Date.parse(query.get('dateTo')),
        count ? Number(count) * UNITS[unit] : 0,
      ),
    );
  }),
  route('GET', '/measurement/measurements', ({ send, query }) => {
    const entry = world.measurements.get(query.get('source'));
    const [fragment, name] = [query.get('valueFragmentType'), query.get('valueFragmentSeries')];
    const time = Math.floor((Date.now() - (entry?.silent ? 5 * 3600_000 : 0)) / 1000) * 1000;
    const series = `${fragment}.${name}`;
    const found = entry?.series.includes(series)
      ? [
          {
            id: '1',
            source: { id: query.get('source') },
            time: new Date(time).toISOString(),
            [fragment]: { [name]: { value: valueAt(series, time, entry.seed), unit: unitOf(series) } },
          },
        ]
      : [];
    send(200, { measurements: found });
  }),

  route('GET', '/alarm/alarms/count', ({ send, query, user }) =>
    user === 'reader' ? send(403, { error: 'security/Forbidden', message: 'Access is denied' }) : send(200, alarms(query).length),
  ),
  route('GET', '/alarm/alarms', ({ send, query, user }) =>
    user === 'reader'
      ? send(403, { error: 'security/Forbidden', message: 'Access is denied' })
      : page(send, 'alarms', alarms(query), query),
  ),
  route('PUT', '/alarm/alarms/(\\d+)', ({ send, args, body }) => {
    const alarm = world.alarms.find((one) => one.id === args[0]);
    setAlarm(alarm, body.status);
    send(200, alarm);
  }),
  route('GET', '/event/events', ({ send, query, user }) => {
    if (user === 'reader') return send(403, { error: 'security/Forbidden', message: 'Access is denied' });
    return page(
      send,
      'events',
      world.events.filter(
        (one) =>
          (!query.get('source') || one.source.id === query.get('source')) &&
          (!query.get('type') || one.type === query.get('type')),
      ),
      query,
    );
  }),

  route('GET', '/devicecontrol/operations', ({ send, query }) =>
    page(send, 'operations', world.operations.filter((one) => one.deviceId === query.get('deviceId')).toReversed(), query),
  ),
  route('POST', '/devicecontrol/operations', ({ send, body }) => {
    const operation = { id: nextId(), status: 'PENDING', creationTime: new Date().toISOString(), ...body };
    world.operations.push(operation);
    publish('operations', body.deviceId, 'CREATE', operation);
    run(operation);
    send(201, operation);
  }),
  route('PUT', '/devicecontrol/operations/(\\d+)', ({ send, args, body }) => {
    const one = world.operations.find((op) => op.id === args[0]);
    publish('operations', one.deviceId, 'UPDATE', Object.assign(one, body));
    send(200, one);
  }),

  route('GET', '/devicecontrol/newDeviceRequests', ({ send, query }) =>
    page(send, 'newDeviceRequests', world.registrations, query),
  ),
  route('POST', '/devicecontrol/newDeviceRequests', ({ send, body }) => {
    if (world.registrations.some((one) => one.id === body.id))
      return send(422, { error: 'devicecontrol/Non Unique Result', message: `A request for '${body.id}' exists already.` });
    const made = { id: body.id, status: 'WAITING_FOR_CONNECTION', creationTime: new Date().toISOString() };
    world.registrations.unshift(made);
    setTimeout(() => (made.status = 'PENDING_ACCEPTANCE'), 6000);
    return send(201, made);
  }),
  route('PUT', '/devicecontrol/newDeviceRequests/(.+)', ({ send, args, body }) => {
    const one = world.registrations.find((entry) => entry.id === args[0]);
    one.status = body.status;
    send(200, one);
  }),
  route('DELETE', '/devicecontrol/newDeviceRequests/(.+)', ({ send, args }) => {
    world.registrations = world.registrations.filter((one) => one.id !== args[0]);
    send(204);
  }),

  route('GET', '/identity/globalIds/(\\d+)/externalIds', ({ send, args }) =>
    send(200, { externalIds: world.externalIds.filter((one) => one.managedObject.id === args[0]) }),
  ),
  route('POST', '/identity/globalIds/(\\d+)/externalIds', ({ send, args, body }) => {
    if (world.externalIds.some((one) => one.type === body.type && one.externalId === body.externalId))
      return send(409, { error: 'identity/Duplicate', message: 'This external ID is taken.' });
    const made = { ...body, managedObject: { id: args[0] } };
    world.externalIds.push(made);
    return send(201, made);
  }),
  route('DELETE', '/identity/externalIds/([^/]+)/([^/]+)', ({ send, args }) => {
    world.externalIds = world.externalIds.filter((one) => one.type !== args[0] || one.externalId !== args[1]);
    send(204);
  }),

  route('GET', '/user/\\w+/users', ({ send, query }) =>
    page(send, 'users', world.users.filter((one) => one.id.includes(query.get('usernameContains') ?? '')).map(withGroups), query),
  ),
  route('POST', '/user/\\w+/users', ({ send, body }) => {
    if (world.users.some((one) => one.id === body.userName))
      return send(409, { error: 'user/Duplicate', message: 'This user name is taken.' });
    world.users.push({ id: body.userName, ...body, password: undefined, held: [] });
    addAudit('User', 'User created', `User '${body.userName}' created`);
    return send(201, { id: body.userName, ...body });
  }),
  route('GET', '/user/\\w+/users/([^/]+)', ({ send, args }) => {
    const user = world.users.find((one) => one.id === args[0]);
    return user ? send(200, withGroups(user)) : gone(send, args[0]);
  }),
  route('PUT', '/user/\\w+/users/([^/]+)', ({ send, args, body }) =>
    send(
      200,
      Object.assign(
        world.users.find((one) => one.id === args[0]),
        body,
      ),
    ),
  ),
  route('GET', '/user/\\w+/users/([^/]+)/groups', ({ send, args, query }) =>
    page(send, 'references', withGroups(world.users.find((one) => one.id === args[0])).groups.references, query),
  ),
  route('GET', '/user/\\w+/groups', ({ send, query }) => page(send, 'groups', world.groups, query)),
  route('POST', '/user/\\w+/groups/(\\d+)/users', ({ send, args, body }) => {
    const user = world.users.find((one) => body.user.self.endsWith(`/${one.id}`));
    user.held = [...new Set([...user.held, Number(args[0])])];
    send(201, {});
  }),
  route('DELETE', '/user/\\w+/groups/(\\d+)/users/([^/]+)', ({ send, args }) => {
    const user = world.users.find((one) => one.id === args[1]);
    user.held = user.held.filter((id) => id !== Number(args[0]));
    send(204);
  }),

  route('GET', '/audit/auditRecords', ({ send, query }) =>
    page(
      send,
      'auditRecords',
      world.audit.filter(
        (one) => (!query.get('type') || one.type === query.get('type')) && (!query.get('user') || one.user === query.get('user')),
      ),
      query,
    ),
  ),
];
