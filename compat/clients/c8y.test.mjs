// The published @c8y/client, as the web applications and Node programs use it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BasicAuth, Client, CookieAuth, FetchClient } from '@c8y/client';
import { admin, bootstrap, eventually, failure, Inbox, tenant, unique, url, within } from './rig.mjs';

const at = seconds => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds)).toISOString();

let client, device;
before(async () => {
  client = await Client.authenticate(admin, url);
  ({ data: device } = await client.inventory.create({ name: unique('c8y client'), c8y_IsDevice: {}, com_cumulocity_model_Agent: {} }));
});

test('login with Basic finds the tenant', () => {
  assert.equal(client.core.tenant, tenant);
});

test('login with a wrong password is refused', async () => {
  const f = await failure(Client.authenticate({ ...admin, password: 'wrong' }, url));
  assert.equal(f.status, 401);
  assert.equal(f.error, 'security/Unauthorized');
  assert.match(f.message, /Bad credentials/);
});

test('login with a token (OAI-Secure)', async () => {
  const c = await Client.authenticateViaOAuthInternal(admin, url);
  const { data } = await c.user.current();
  assert.equal(data.userName, 'admin');
});

test('login with the cookie in Node (OAI-Secure)', async () => {
  const c = await Client.authenticateViaOAuthInternalCookie(admin, url);
  const { data } = await c.user.current();
  assert.equal(data.userName, 'admin');
  assert.equal((await c.inventory.create({ name: 'by cookie' })).res.status, 201);
});

test('login with cookies as in a browser needs the XSRF token', async t => {
  const res = await new FetchClient(url).fetch('/tenant/oauth?tenant_id=' + tenant, {
    method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded;charset=UTF-8' },
    body: new URLSearchParams({ grant_type: 'PASSWORD', username: admin.user, password: admin.password, tfa_code: undefined }).toString()
  });
  assert.equal(res.status, 200);
  const set = res.headers.raw()['set-cookie'];
  assert.equal(set.length, 2, set.join('\n'));
  assert.match(set.find(c => c.startsWith('authorization=')), /HttpOnly/i);
  assert.doesNotMatch(set.find(c => c.startsWith('XSRF-TOKEN=')), /HttpOnly/i, 'JavaScript must read it');

  const jar = set.map(c => c.split(';')[0]).join('; ');
  globalThis.document = { cookie: set.find(c => c.startsWith('XSRF-TOKEN=')).split(';')[0] };
  t.after(() => { delete globalThis.document; });
  const c = new Client(new CookieAuth(), url);
  c.core.tenant = tenant;
  c.core.defaultHeaders = { cookie: jar }; // what a browser adds by itself
  assert.equal((await c.user.current()).data.userName, 'admin');
  assert.equal((await c.inventory.create({ name: 'with XSRF token' })).res.status, 201);
  globalThis.document.cookie = 'XSRF-TOKEN=forged';
  const f = await failure(c.inventory.create({ name: 'forged' }));
  assert.ok(f.status === 401 || f.status === 403, `status ${f.status}`);
  globalThis.document.cookie = jar.split('; ').find(x => x.startsWith('XSRF'));
  assert.equal((await c.core.fetch('/user/logout', { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } })).status, 200);
  assert.equal((await failure(c.user.current())).status, 401, 'the token works after logout');
});

test('the login options are public', async () => {
  const res = await new FetchClient(url).fetch('/tenant/loginOptions');
  assert.equal(res.status, 200);
  const types = (await res.json()).loginOptions.map(o => o.type);
  assert.ok(types.includes('BASIC') || types.includes('OAUTH2_INTERNAL'), types.join());
});

test('inventory: create, read, change, delete', async () => {
  const { data: made, res } = await client.inventory.create({ name: 'box', type: 'compat_Box', compat_Size: { cm: [1, 2.5, -3], wide: true }, text: 'ä "€" 𝄞' });
  assert.equal(res.status, 201);
  assert.match(made.id, /^\d+$/);
  assert.equal(res.headers.get('location'), made.self);
  const { data: read } = await client.inventory.detail(made.id);
  assert.deepEqual(read.compat_Size, { cm: [1, 2.5, -3], wide: true });
  assert.equal(read.text, 'ä "€" 𝄞');
  assert.equal(read.owner, 'admin');
  for (const list of ['childDevices', 'childAssets', 'childAdditions', 'deviceParents', 'assetParents', 'additionParents']) {
    assert.deepEqual(read[list].references, [], list);
  }
  const { data: changed } = await client.inventory.update({ id: made.id, name: 'bigger box', compat_Size: { cm: [9] }, text: null });
  assert.equal(changed.name, 'bigger box');
  assert.deepEqual(changed.compat_Size, { cm: [9] }, 'a fragment is replaced as a whole');
  assert.ok(!('text' in changed), 'null removes');
  assert.equal(changed.type, 'compat_Box', 'what was not sent stays');
  assert.equal((await client.inventory.delete(made.id)).res.status, 204);
  const gone = await failure(client.inventory.detail(made.id));
  assert.deepEqual([gone.status, gone.error], [404, 'inventory/Not Found']);
});

test('inventory: queries of the client', async () => {
  const type = unique('compat_Query');
  for (let i = 0; i < 7; i++) await client.inventory.create({ name: `q${i}`, type, size: { n: i, odd: i % 2 === 1 }, c8y_IsDevice: i < 3 ? {} : undefined });
  const names = async (query, filter) => (await client.inventory.listQuery(query, { pageSize: 100, ...filter })).data.map(o => o.name);
  assert.deepEqual(await names({ __filter: { type, 'size.n': { __gt: 4 } }, __orderby: [{ name: -1 }] }), ['q6', 'q5']);
  assert.deepEqual(await names({ __filter: { type, 'size.n': { __le: 1 } }, __orderby: [{ name: 1 }] }), ['q0', 'q1']);
  assert.deepEqual(await names({ __filter: { type, __or: [{ name: 'q0' }, { name: 'q3' }] }, __orderby: [{ name: 1 }] }), ['q0', 'q3']);
  assert.deepEqual(await names({ __filter: { type, name: { __in: ['q2', 'q4'] } }, __orderby: [{ name: 1 }] }), ['q2', 'q4']);
  assert.deepEqual(await names({ __filter: { __and: [{ type }, { __not: { __has: 'c8y_IsDevice' } }] }, __orderby: [{ name: 1 }] }), ['q3', 'q4', 'q5', 'q6']);
  assert.deepEqual(await names({ __filter: { type, name: 'Q*' }, __orderby: [{ name: 1 }] }), ['q0', 'q1', 'q2', 'q3', 'q4', 'q5', 'q6'], 'a pattern ignores case');
  assert.deepEqual((await client.inventory.listQueryDevices({ __filter: { type }, __orderby: [{ name: 1 }] })).data.map(o => o.name), ['q0', 'q1', 'q2']);
  assert.equal((await client.inventory.count({ type })).data, 7);
  const bad = await failure(client.inventory.list({ query: "name eq 'x' and and" }));
  assert.deepEqual([bad.status, bad.error], [422, 'inventory/Invalid Data']);

  const pages = [];
  let page = await client.inventory.list({ type, pageSize: 3, withTotalPages: true });
  assert.equal(page.paging.totalPages, 3);
  for (let n = 0; page && page.data.length && n < 10; n++) {
    pages.push(page.data.map(o => o.name));
    page = page.data.length < 3 ? undefined : await page.paging.next();
  }
  assert.deepEqual(pages.map(p => p.length), [3, 3, 1]);
  assert.equal(new Set(pages.flat()).size, 7);
});

test('inventory: children of each kind', async () => {
  const { data: parent } = await client.inventory.create({ name: 'parent', type: 'c8y_DeviceGroup', c8y_IsDeviceGroup: {} });
  for (const kind of ['Devices', 'Assets', 'Additions']) {
    const { data: born } = await client.inventory[`child${kind}Create`]({ name: `born ${kind}` }, parent.id);
    assert.equal(born.name, `born ${kind}`);
    const { data: [one, two] } = { data: await Promise.all([1, 2].map(async i => (await client.inventory.create({ name: `${kind}${i}` })).data)) };
    assert.equal((await client.inventory[`child${kind}Add`](one.id, parent.id)).data.id, one.id);
    await client.inventory[`child${kind}Add`](one.id, parent.id);
    assert.deepEqual((await client.inventory[`child${kind}BulkAdd`]([two.id], parent.id)).data.map(o => o.id), [two.id]);
    const ids = async () => (await client.inventory[`child${kind}List`](parent.id, { pageSize: 50 })).data.map(o => o.id).sort();
    assert.deepEqual(await ids(), [born.id, one.id, two.id].sort(), 'linking again adds no second link');
    await client.inventory[`child${kind}Remove`](one.id, parent.id);
    assert.deepEqual(await ids(), [born.id, two.id].sort());
  }
});

test('inventory: binaries', async () => {
  const content = Buffer.from(Array.from({ length: 3000 }, (_, i) => i % 251));
  const { data: made } = await client.inventoryBinary.create(content, { name: 'photo.bin', type: 'application/x-photo' });
  const res = await client.inventoryBinary.download(made.id);
  assert.deepEqual(Buffer.from(await res.arrayBuffer()), content);
  assert.equal((await client.inventoryBinary.delete(made.id)).res.status, 204);
});

test('identity: bind, find, refuse a second binding, release', async () => {
  const identity = { type: 'c8y_Serial', externalId: unique('serial'), managedObject: { id: device.id } };
  assert.equal((await client.identity.create(identity)).res.status, 201);
  assert.equal((await client.identity.detail(identity)).data.managedObject.id, device.id);
  assert.ok((await client.identity.list(device.id)).data.some(x => x.externalId === identity.externalId));
  const { data: other } = await client.inventory.create({ name: 'other' });
  assert.equal((await failure(client.identity.create({ ...identity, managedObject: { id: other.id } }))).status, 409);
  assert.equal((await client.identity.delete(identity)).res.status, 204);
  assert.equal((await failure(client.identity.detail(identity))).status, 404);
});

test('measurements: create, list, series, latest first', async () => {
  const { data: source } = await client.inventory.create({ name: 'thermometer', c8y_IsDevice: {} });
  for (let i = 0; i < 5; i++) {
    const { res, data } = await client.measurement.create({ sourceId: source.id, time: at(i), type: 'compat_T', c8y_T: { T: { value: 20 + i / 2, unit: '°C' }, H: { value: i } } });
    assert.equal(res.status, 201);
    assert.equal(data.source.id, source.id);
  }
  const list = async more => (await client.measurement.list({ source: source.id, pageSize: 100, dateFrom: at(0), dateTo: at(60), ...more })).data.map(m => m.c8y_T.T.value);
  assert.deepEqual(await list({ revert: true }), [22, 21.5, 21, 20.5, 20]);
  assert.deepEqual(await list({ revert: false }), [20, 20.5, 21, 21.5, 22]);
  assert.deepEqual(await list({ revert: false, dateFrom: at(1), dateTo: at(3) }), [20.5, 21], 'from is inclusive, to is exclusive');
  const { data: series } = await client.measurement.listSeries({ source: source.id, dateFrom: at(0), dateTo: at(60), series: ['c8y_T.T', 'c8y_T.H'] });
  assert.deepEqual(series.series.map(s => [s.type, s.name, s.unit ?? '']), [['c8y_T', 'T', '°C'], ['c8y_T', 'H', '']]);
  assert.equal(series.truncated, false);
  assert.deepEqual(Object.values(series.values).map(v => v.map(x => [x.min, x.max])), Array.from({ length: 5 }, (_, i) => [[20 + i / 2, 20 + i / 2], [i, i]]));
  assert.deepEqual(await client.inventory.getSupportedSeries(source.id).then(s => s.sort()), ['c8y_T.H', 'c8y_T.T']);
  assert.deepEqual(await client.inventory.getSupportedMeasurements(source.id), ['c8y_T']);
  assert.deepEqual(await client.inventory.getMeasurementsAndSeries(source.id).then(s => s.map(x => x.series).sort()), ['H', 'T']);
  const csv = await client.measurement.getMeasurementsFile({ source: source.id, dateFrom: at(0), dateTo: at(60) }, { accept: 'text/csv' });
  assert.match(csv.headers.get('content-type'), /^text\/csv/);
  assert.equal((await csv.text()).trim().split(/\r?\n/).length, 11, 'a header and a row for each value');
  const f = await failure(client.measurement.create({ source: { id: '99999999' }, c8y_T: { T: { value: 1 } } }));
  assert.ok(f.status === 404 || f.status === 422, `unknown source: ${f.status}`);
});

test('events: create, change, attach a file, list, delete', async () => {
  const { data: made, res } = await client.event.create({ source: { id: device.id }, type: 'compat_Door', text: 'opened', time: at(1), who: 'me' });
  assert.equal(res.status, 201);
  assert.equal((await client.event.update({ id: made.id, text: 'closed' })).data.text, 'closed');
  assert.equal((await client.event.detail(made.id)).data.who, 'me');
  assert.deepEqual((await client.event.list({ source: device.id, type: 'compat_Door' })).data.map(e => e.id), [made.id]);
  assert.equal((await client.event.delete(made.id)).res.status, 204);
  assert.equal((await failure(client.event.detail(made.id))).status, 404);
  const f = await failure(client.event.create({ source: { id: device.id }, type: 'compat_Door' }));
  assert.equal(f.status, 422);
});

test('alarms: create, merge, acknowledge, clear, count', async () => {
  const alarm = { source: { id: device.id }, type: unique('compat_Hot'), text: 'hot', severity: 'MAJOR', status: 'ACTIVE', time: at(1) };
  const { data: made } = await client.alarm.create({ ...alarm });
  const { data: again } = await client.alarm.create({ ...alarm, time: at(2) });
  assert.deepEqual([again.id, again.count], [made.id, 2], 'the same alarm counts up');
  assert.equal((await client.alarm.update({ id: made.id, status: 'ACKNOWLEDGED' })).data.status, 'ACKNOWLEDGED');
  assert.equal((await client.alarm.create({ ...alarm, time: at(3) })).data.status, 'ACKNOWLEDGED');
  assert.equal((await client.alarm.count({ source: device.id, type: alarm.type, resolved: false })).data, 1);
  await client.alarm.update({ id: made.id, status: 'CLEARED' });
  assert.notEqual((await client.alarm.create({ ...alarm, time: at(4) })).data.id, made.id, 'a cleared alarm takes no more');
  assert.equal((await client.alarm.list({ source: device.id, type: alarm.type })).data.length, 2);
});

test('operations: create, run, list', async () => {
  const { data: made, res } = await client.operation.create({ deviceId: device.id, description: 'restart', c8y_Restart: {} });
  assert.deepEqual([res.status, made.status], [201, 'PENDING']);
  assert.equal((await client.operation.update({ id: made.id, status: 'EXECUTING' })).data.status, 'EXECUTING');
  const { data: failed } = await client.operation.update({ id: made.id, status: 'FAILED', failureReason: 'no' });
  assert.deepEqual([failed.status, failed.failureReason], ['FAILED', 'no']);
  assert.deepEqual((await client.operation.list({ deviceId: device.id, status: 'FAILED' })).data.map(o => o.id), [made.id]);
  assert.equal((await failure(client.operation.create({ deviceId: '99999999', c8y_Restart: {} }))).status >= 400, true);
});

test('users, groups and roles', async () => {
  const { data: me } = await client.user.current();
  assert.ok(client.user.hasRole(me, 'ROLE_INVENTORY_ADMIN'), 'the roles of the groups are complete');
  const { data: effective } = await client.user.currentWithEffectiveRoles();
  assert.ok(effective.effectiveRoles.some(r => r.id === 'ROLE_INVENTORY_ADMIN'));

  const userName = unique('jane'), password = 'Secret-1234!';
  const { res, data: made } = await client.user.create({ userName, password, email: `${userName}@example.com`, firstName: 'Jane' });
  assert.deepEqual([res.status, made.userName, 'password' in made], [201, userName, false]);
  const { data: group } = await client.userGroup.create({ name: unique('readers') });
  assert.equal(typeof group.id, 'number');
  const { data: roles } = await client.userRole.list({ pageSize: 200 });
  await client.userGroup.addRoleToGroup(group.id, roles.find(r => r.id === 'ROLE_INVENTORY_READ'));
  await client.userGroup.addUserToGroup(group.id, made);
  const jane = await Client.authenticate({ tenant, user: userName, password }, url);
  assert.ok((await jane.inventory.list()).data.length > 0);
  assert.equal((await failure(jane.inventory.create({ name: 'not allowed' }))).status, 403);
  await client.userGroup.removeUserFromGroup(group.id, userName);
  assert.equal((await jane.inventory.list()).data.filter(o => o.owner !== userName && !o.c8y_Global).length, 0, 'the right ended at once');
  assert.equal((await client.user.update({ id: userName, enabled: false })).data.enabled, false);
  assert.equal((await failure(jane.user.current())).status, 401, 'a disabled user is out at once');
  assert.ok((await client.user.list({ pageSize: 100 })).data.some(u => u.userName === userName));
  assert.equal((await client.userGroup.delete(group.id)).res.status, 204);
  assert.equal((await client.user.delete(userName)).res.status, 204);
  assert.equal((await failure(client.user.detail(userName))).status, 404);
});

test('options of the tenant', async () => {
  const option = { category: 'compat', key: unique('key'), value: 'v' };
  await client.options.tenant.create({ ...option });
  assert.equal((await client.options.tenant.detail(option)).data.value, 'v');
  assert.equal((await client.options.tenant.delete(option)).res.status, 204);
});

test('a device registers, and is let in', async () => {
  const id = unique('registered');
  await client.deviceRegistration.create({ id });
  const basicAuthToken = btoa(`${bootstrap.tenant}/${bootstrap.user}:${bootstrap.password}`);
  const becoming = Client.deviceBootstrap({ deviceId: id, timeout: 10_000, baseUrl: url, basicAuthToken });
  becoming.catch(() => {}); // awaited below
  await eventually(async () => (await client.deviceRegistration.detail(id)).data.status === 'PENDING_ACCEPTANCE', 'the device to ask');
  await client.deviceRegistration.accept(id);
  const it = await within(becoming, 'credentials');
  const { data: object } = await it.inventory.create({ name: id, c8y_IsDevice: {} });
  assert.equal(object.owner, `device_${id}`);
});

for (const [name, login] of [['Basic', () => client], ['a token', () => Client.authenticateViaOAuthInternal(admin, url)]]) {
  test(`realtime with ${name}`, async () => {
    const c = await login();
    const inbox = new Inbox();
    const handshaken = new Promise(ok => c.realtime.addHandshakeListener(ok));
    const subscribe = channel => within(new Promise((ok, no) => {
      c.realtime.checkConnection();
      c.realtime.cometd.subscribe(channel, m => inbox.push(m), {}, r => (r.successful ? ok() : no(new Error(`${channel}: ${JSON.stringify(r)}`))));
    }), `subscription of ${channel}`);
    const shared = channel => { c.realtime.subscribe(channel, m => inbox.push(m)); };
    shared(`/managedobjects/${device.id}`);
    assert.equal((await within(handshaken, 'handshake')).successful, true);
    for (const channel of ['measurements', 'events', 'alarms', 'operations']) await subscribe(`/${channel}/${device.id}`);
    await eventually(async () => {
      await client.inventory.update({ id: device.id, touched: Date.now() });
      return inbox.size > 0;
    }, 'the subscription to be alive');

    await client.measurement.create({ sourceId: device.id, compat: { x: { value: 7 } } });
    const measured = await inbox.next(m => m.channel.startsWith('/measurements'), 'a measurement');
    assert.deepEqual([measured.data.realtimeAction, measured.data.data.compat.x.value], ['CREATE', 7]);
    const { data: event } = await client.event.create({ source: { id: device.id }, type: 'compat_E', text: 'e', time: at(5) });
    assert.equal((await inbox.next(m => m.channel.startsWith('/events'), 'an event')).data.data.id, event.id);
    await client.event.delete(event.id);
    const gone = await inbox.next(m => m.channel.startsWith('/events') && m.data.realtimeAction === 'DELETE', 'a deletion');
    assert.equal(gone.data.data, event.id, 'a deletion carries only the id');
    const { data: alarm } = await client.alarm.create({ source: { id: device.id }, type: unique('rt'), text: 'a', severity: 'MINOR', time: at(6) });
    assert.equal((await inbox.next(m => m.channel.startsWith('/alarms'), 'an alarm')).data.data.id, alarm.id);
    const { data: op } = await client.operation.create({ deviceId: device.id, c8y_Restart: {} });
    assert.equal((await inbox.next(m => m.channel.startsWith('/operations'), 'an operation')).data.data.id, op.id);
    await client.operation.update({ id: op.id, status: 'SUCCESSFUL' });
    const done = await inbox.next(m => m.channel.startsWith('/operations') && m.data.realtimeAction === 'UPDATE', 'its end');
    assert.equal(done.data.data.status, 'SUCCESSFUL');
    await within(new Promise(ok => c.realtime.disconnect(ok)), 'disconnect');
  });
}

after(() => { setTimeout(() => process.exit(), 500).unref(); }); // CometD's adapter keeps sockets open

// A ZIP file of stored files, made by hand: what is tested needs no library for it.
function archive(files) {
  const table = Array.from({ length: 256 }, (_, n) => { let c = n; for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1; return c >>> 0; });
  const crc = b => (b.reduce((c, x) => table[(c ^ x) & 0xff] ^ (c >>> 8), 0xffffffff) ^ 0xffffffff) >>> 0;
  const heads = [], parts = [];
  let at = 0;
  for (const [path, text] of Object.entries(files)) {
    const name = Buffer.from(path), data = Buffer.from(text), common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0); common.writeUInt32LE(crc(data), 10); common.writeUInt32LE(data.length, 14); common.writeUInt32LE(data.length, 18); common.writeUInt16LE(name.length, 22);
    const central = Buffer.alloc(14);
    central.writeUInt32LE(at, 10);
    heads.push(Buffer.from('PK\x01\x02\x14\x00', 'latin1'), common, central, name);
    parts.push(Buffer.from('PK\x03\x04', 'latin1'), common, name, data);
    at += 30 + name.length + data.length;
  }
  const directory = Buffer.concat(heads), end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1'); end.writeUInt16LE(Object.keys(files).length, 8); end.writeUInt16LE(Object.keys(files).length, 10); end.writeUInt32LE(directory.length, 12); end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, directory, end]);
}

test('applications: upload, activate, open, patch, versions, delete', async () => {
  const apps = client.application, name = unique('web');
  const { data: app, res } = await apps.create({ name, key: name, contextPath: name, type: 'HOSTED', availability: 'PRIVATE' });
  assert.equal(res.status, 201);
  const open = (path, init) => fetch(`${url}/apps/${path}`, { redirect: 'manual', ...init });
  assert.equal((await open(name + '/')).status, 404);

  const files = { 'index.html': '<p>one</p>', 'main.1a2b3c4d5e6f7a8b.js': '1', 'cumulocity.json': JSON.stringify({ name, contextPath: name, noAppSwitcher: true }) };
  const { data: binary } = await apps.binary(app).upload(archive(files), 'web.zip');
  assert.ok(binary.id);
  await apps.update({ id: app.id, activeVersionId: binary.id });
  const detail = (await apps.detail(app.id)).data;
  assert.equal(detail.activeVersionId, binary.id);
  assert.equal(detail.noAppSwitcher, true);

  const bare = await open(name);
  assert.equal(bare.status, 302);
  assert.equal(bare.headers.get('location'), `/apps/${name}/`);
  const index = await open(name + '/');
  assert.equal(index.status, 200);
  assert.match(index.headers.get('content-type'), /^text\/html/);
  assert.equal(index.headers.get('cache-control'), 'no-cache');
  assert.equal(await index.text(), '<p>one</p>');
  assert.equal((await open(name + '/', { headers: { 'if-none-match': index.headers.get('etag') } })).status, 304);
  const script = await open(name + '/main.1a2b3c4d5e6f7a8b.js');
  assert.match(script.headers.get('content-type'), /^text\/javascript/);
  assert.match(script.headers.get('cache-control'), /immutable/);
  assert.equal((await open(`public/${name}/index.html`)).status, 200);
  for (const path of [`${name}/..%2f..%2fisobar/index.html`, `${name}/%2e%2e/%2e%2e/etc/passwd`, `${name}/INDEX.HTML`, `${name}/..%5cindex.html`, `${name}@none/`, `public/public-options@app-${name}/options.json`]) {
    assert.ok((await open(path)).status >= 300, path);
  }

  assert.equal((await apps.getAppManifest(app)).name, name);
  assert.equal((await apps.getManifestOfContextPath(name)).data.id, app.id);
  await apps.storeAppManifest(app, { name, contextPath: name, patched: 1 });
  assert.equal((await apps.getAppManifest(app)).patched, 1);
  assert.equal(await (await open(name + '/')).text(), '<p>one</p>');

  const upload = (version, text, tags) => apps.binary(app).uploadApplicationVersion(Object.assign(archive({ ...files, 'index.html': text }), { name: version + '.zip' }), version, tags);
  assert.deepEqual((await upload('1.0.0', 'v1', ['Stable'])).data.tags, ['stable', 'latest']);
  await upload('2.0.0', 'v2');
  assert.equal(await (await open(name + '/')).text(), 'v1');
  assert.equal(await (await open(name + '@2.0.0/')).text(), 'v2');
  assert.equal(await (await open(name + '@stable/')).text(), 'v1');
  assert.equal((await failure(upload('2.0.0', 'again'))).status, 409);
  await apps.setPackageVersionTag(app, '2.0.0', ['latest']);
  assert.equal(await (await open(name + '/')).text(), 'v2');
  assert.equal((await apps.listVersions(app)).data.length, 2);
  assert.equal((await failure(apps.deleteVersionPackage(app, { tag: 'latest' }))).status, 409);
  await apps.deleteVersionPackage(app, { version: '1.0.0' });
  assert.equal((await apps.listVersions(app)).data.length, 1);

  const binaries = (await apps.binary(app).list()).data;
  assert.ok(binaries.length >= 2);
  const bytes = Buffer.from(await (await apps.binary(app).downloadArchive(binaries[0].id)).arrayBuffer());
  assert.equal(bytes.subarray(0, 2).toString(), 'PK');
  const unused = (await apps.binary(app).upload(archive(files), 'unused.zip')).data;
  assert.equal((await apps.binary(app).delete(unused.id)).res.status, 204);

  const { data: copy } = await apps.clone(app);
  assert.equal(copy.name, 'clone' + name);
  assert.equal(await (await open(`clone${name}/`)).text(), 'v2');
  for (const list of [apps.list({ pageSize: 2000 }), apps.listByName(name), apps.listByTenant(tenant, { pageSize: 2000 }), apps.listByOwner(tenant, { pageSize: 2000 }), apps.listByUser('admin', { pageSize: 2000 })]) {
    assert.ok((await list).data.some(a => a.id === app.id));
  }
  assert.equal((await apps.isAvailable(name)).data, true);
  assert.deepEqual(await apps.updateApplicationConfig(app, { a: 1 }).then(a => a.config), { a: 1 });
  assert.equal((await apps.updateApplicationAvailability(app, 'SHARED')).data.availability, 'SHARED');
  assert.equal((await apps.reactivateArchive(app.id)).res.status, 200);
  for (const id of [copy.id, app.id]) assert.equal((await apps.delete(id)).res.status, 204);
  assert.equal((await open(name + '/')).status, 404);
  assert.equal((await failure(apps.detail(app.id))).status, 404);
});

test('applications: a microservice has a bootstrap user', async () => {
  const name = unique('svc'), { data: app } = await client.application.create({ name, key: name, type: 'MICROSERVICE' });
  const { data: user } = await client.application.getBootstrapUser(app);
  assert.equal(user.name, 'servicebootstrap_' + name);
  const c = await new FetchClient(new BasicAuth({ user: user.name, password: user.password, tenant: user.tenant }), url).fetch('/application/currentApplication');
  assert.equal((await c.json()).id, app.id);
  assert.equal((await client.application.getInstanceLog(app, name + '-1')).data.logs, '');
  assert.ok(Array.isArray((await client.application.getStatusDetails(app)).data));
  await client.application.delete(app);
});
