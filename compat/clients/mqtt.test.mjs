// The published MQTT client of Node, as devices use it: MQTT 3.1.1 and 5, SmartREST and JSON.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import mqtt from 'mqtt';
import { Client } from '@c8y/client';
import { admin, bootstrap, eventually, Inbox, mqttUrl, unique, url, within } from './rig.mjs';

const login = ({ tenant, user, password }) => ({ username: `${tenant}/${user}`, password });

let c8y;
const open = new Set();
before(async () => { c8y = await Client.authenticate(admin, url); });
after(async () => { for (const c of open) await c.endAsync(true); });

/** A connected client whose messages land in its inbox. */
async function connect(options) {
  const inbox = new Inbox();
  const client = mqtt.connect(mqttUrl, { protocolVersion: 4, reconnectPeriod: 0, connectTimeout: 5000, ...options });
  open.add(client);
  client.on('message', (topic, payload, packet) => inbox.push({ topic, text: payload.toString(), packet }));
  const connack = await within(new Promise((ok, no) => {
    client.once('connect', ok);
    client.once('error', no);
    client.once('close', () => no(new Error('closed')));
  }), 'CONNACK');
  client.on('error', () => {});
  return { client, inbox, connack, end: async force => { open.delete(client); await client.endAsync(force); } };
}

/** Registers a device through the ordinary way: s/ucr over MQTT, accepted by a user. */
async function register(serial = unique('node'), protocolVersion = 4) {
  await c8y.deviceRegistration.create({ id: serial });
  const { client, inbox, end } = await connect({ clientId: serial, protocolVersion, ...login(bootstrap) });
  await client.subscribeAsync('s/dcr', { qos: 1 });
  await client.publishAsync('s/ucr', '', { qos: 1 });
  await eventually(async () => (await c8y.deviceRegistration.detail(serial)).data.status === 'PENDING_ACCEPTANCE', 'the device to ask');
  assert.equal(inbox.size, 0, 'credentials before acceptance');
  await c8y.deviceRegistration.accept(serial);
  await client.publishAsync('s/ucr', '', { qos: 1 });
  const { text } = await inbox.next(m => m.topic === 's/dcr', 'credentials');
  await end();
  const [id, tenant, user, password] = text.split(',');
  assert.deepEqual([id, tenant, user], ['70', 'main', `device_${serial}`]);
  return { serial, clientId: serial, ...login({ tenant, user, password }) };
}

async function device(options = {}) {
  const account = await register(undefined, options.protocolVersion);
  const connection = await connect({ clientId: account.serial, username: account.username, password: account.password, ...options });
  await connection.client.subscribeAsync(['s/ds', 's/e', 'error'], { qos: 1 });
  await connection.client.publishAsync('s/us', `100,${account.serial},compat_Node`, { qos: 1 });
  const { data } = await c8y.identity.detail({ type: 'c8y_Serial', externalId: account.serial });
  return { ...connection, account, id: data.managedObject.id };
}

for (const protocolVersion of [4, 5]) {
  const name = protocolVersion === 5 ? 'MQTT 5' : 'MQTT 3.1.1';

  test(`${name}: bootstrap, then SmartREST at each QoS is stored when it is acknowledged`, async () => {
    const { client, id, end } = await device({ protocolVersion });
    for (const qos of [0, 1, 2]) await client.publishAsync('s/us', `200,compat_Q,q${qos},${qos + 0.5},V`, { qos });
    await client.publishAsync('s/us', '400,compat_Ev,"it said ""hi"", twice"\n301,compat_Al,too hot', { qos: 2 });
    const { data: events } = await c8y.event.list({ source: id, type: 'compat_Ev' });
    assert.deepEqual(events.map(e => e.text), ['it said "hi", twice']);
    const { data: alarms } = await c8y.alarm.list({ source: id });
    assert.deepEqual(alarms.map(a => [a.type, a.severity, a.status, a.text]), [['compat_Al', 'CRITICAL', 'ACTIVE', 'too hot']]);
    const { data: measured } = await c8y.measurement.list({ source: id, pageSize: 10, dateFrom: '1970-01-01' });
    const got = Object.assign({}, ...measured.map(m => m.compat_Q));
    assert.deepEqual(got, { q0: { value: 0.5, unit: 'V' }, q1: { value: 1.5, unit: 'V' }, q2: { value: 2.5, unit: 'V' } });
    await end();
  });

  test(`${name}: free topics keep payload and QoS, each message once`, async () => {
    const a = await device({ protocolVersion }), b = await device({ protocolVersion });
    await b.client.subscribeAsync(`compat/${a.id}/#`, { qos: 2 });
    const payload = Buffer.from(Array.from({ length: 5000 }, (_, i) => i % 256));
    for (const qos of [0, 1, 2]) {
      await a.client.publishAsync(`compat/${a.id}/${qos}`, payload, { qos });
      const m = await b.inbox.next(x => x.topic === `compat/${a.id}/${qos}`);
      assert.deepEqual([m.packet.qos, Buffer.compare(m.packet.payload, payload)], [qos, 0]);
    }
    for (let i = 0; i < 100; i++) a.client.publish(`compat/${a.id}/many`, String(i), { qos: 2 });
    const seen = [];
    for (let i = 0; i < 100; i++) seen.push(Number((await b.inbox.next(x => x.topic.endsWith('/many'))).text));
    assert.deepEqual(seen, Array.from({ length: 100 }, (_, i) => i), 'in order, none twice');
    await Promise.all([a.end(), b.end()]);
  });

  test(`${name}: a will is carried out when the connection breaks, not when it ends`, async () => {
    for (const breaks of [false, true]) {
      const d = await device({ protocolVersion });
      await d.end();
      const again = await connect({ protocolVersion, clientId: d.account.serial, username: d.account.username, password: d.account.password,
        will: { topic: 's/us', payload: Buffer.from('400,compat_Gone,first\n400,compat_Gone,second'), qos: 1 } });
      if (breaks) {
        again.client.stream.destroy();
        await eventually(async () => (await c8y.event.list({ source: d.id, type: 'compat_Gone' })).data.length === 2, 'both lines of the will');
      } else {
        await again.end();
        const after = await connect({ protocolVersion, clientId: d.account.serial, username: d.account.username, password: d.account.password });
        await after.client.publishAsync('s/us', '400,compat_After,x', { qos: 1 });
        assert.equal((await c8y.event.list({ source: d.id, type: 'compat_Gone' })).data.length, 0);
        await after.end();
      }
    }
  });

  test(`${name}: an operation goes PENDING, EXECUTING, SUCCESSFUL`, async () => {
    const { client, inbox, id, account, end } = await device({ protocolVersion });
    await client.publishAsync('s/us', '114,c8y_Restart,c8y_Command', { qos: 1 });
    const { data: op } = await c8y.operation.create({ deviceId: id, description: 'restart', c8y_Restart: {} });
    const line = await inbox.next(m => m.topic === 's/ds' && m.text.startsWith('510'), 'the operation');
    assert.equal(line.text.trim(), `510,${account.serial}`);
    const status = async () => (await c8y.operation.detail(op.id)).data.status;
    assert.equal(await status(), 'PENDING', 'delivery changes no status');
    await client.publishAsync('s/us', '501,c8y_Restart', { qos: 1 });
    assert.equal(await status(), 'EXECUTING');
    await client.publishAsync('s/us', '503,c8y_Restart', { qos: 1 });
    assert.equal(await status(), 'SUCCESSFUL');

    const { data: second } = await c8y.operation.create({ deviceId: id, c8y_Command: { text: 'say "a,b"' } });
    assert.equal((await inbox.next(m => m.text.startsWith('511'), 'the command')).text.trim(), `511,${account.serial},"say \\"a,b\\""`);
    await client.publishAsync('s/us', `504,${second.id}\n506,${second.id},"a,b"`, { qos: 1 });
    const { data: done } = await c8y.operation.detail(second.id);
    assert.deepEqual([done.status, done.c8y_Command.result], ['SUCCESSFUL', 'a,b']);
    await client.publishAsync('s/us', '502,c8y_Restart,nothing to fail', { qos: 1 });
    assert.equal(await status(), 'SUCCESSFUL', 'an operation that ended stays ended');
    await end();
  });

  test(`${name}: a device that was away gets what waits for it`, async () => {
    const d = await device({ protocolVersion });
    await d.end();
    const { data: first } = await c8y.operation.create({ deviceId: d.id, c8y_Command: { text: 'one' } });
    const { data: second } = await c8y.operation.create({ deviceId: d.id, c8y_Command: { text: 'two' } });
    const back = await connect({ protocolVersion, clientId: d.account.serial, username: d.account.username, password: d.account.password });
    await back.client.subscribeAsync('s/ds', { qos: 1 });
    await back.client.publishAsync('s/us', '500', { qos: 1 });
    const lines = [await back.inbox.next(m => m.topic === 's/ds'), await back.inbox.next(m => m.topic === 's/ds')].map(m => m.text.trim());
    assert.deepEqual(lines, [`511,${d.account.serial},one`, `511,${d.account.serial},two`], 'oldest first');
    await eventually(async () => (await c8y.operation.detail(first.id)).data.delivery?.status === 'DELIVERED', 'the delivery to be recorded');
    assert.equal((await c8y.operation.detail(second.id)).data.status, 'PENDING');
    await back.client.subscribeAsync('devicecontrol/notifications', { qos: 1 });
    await back.end();

    const json = await connect({ protocolVersion, clientId: d.account.serial, username: d.account.username, password: d.account.password });
    await json.client.subscribeAsync('devicecontrol/notifications', { qos: 1 });
    const pushed = JSON.parse((await json.inbox.next(m => m.topic === 'devicecontrol/notifications', 'JSON')).text.split('\n')[0]);
    assert.equal(pushed.externalSource.externalId, d.account.serial);
    assert.deepEqual([pushed.id, pushed.status, pushed.c8y_Command], [first.id, 'PENDING', { text: 'one' }]);
    await json.end();
  });

  test(`${name}: JSON`, async () => {
    const { client, inbox, id, account, end } = await device({ protocolVersion });
    const send = (topic, body) => client.publishAsync(topic, typeof body === 'string' ? body : JSON.stringify(body), { qos: 1 });
    await send('measurement/measurements/create', { type: 'compat_J', time: '2026-01-01T00:00:00Z', c: { t: { value: 23.4, unit: '°C' } } });
    await send('measurement/measurements/createBulk', { measurements: [1, 2, 3].map(n => ({ type: 'compat_J', time: `2026-01-01T00:00:0${n}Z`, c: { t: { value: n } } })) });
    const { data: measured } = await c8y.measurement.list({ source: id, type: 'compat_J', dateFrom: '2026-01-01', revert: false, pageSize: 10 });
    assert.deepEqual(measured.map(m => m.c.t.value), [23.4, 1, 2, 3]);
    await send('event/events/create', { type: 'compat_J', text: 'e', time: '2026-01-01T00:00:00Z', extra: { deep: [1] } });
    assert.deepEqual((await c8y.event.list({ source: id, type: 'compat_J' })).data[0].extra, { deep: [1] });
    await send('alarm/alarms/create', { type: 'compat_J', text: 'a', severity: 'MINOR', time: '2026-01-01T00:00:00Z' });
    assert.equal((await c8y.alarm.list({ source: id, type: 'compat_J' })).data[0].severity, 'MINOR');
    await send(`inventory/managedObjects/update/${account.serial}`, { compat_Twin: { on: true }, name: 'twin' });
    assert.deepEqual((await c8y.inventory.detail(id)).data.compat_Twin, { on: true });
    await send(`inventory/managedObjects/update/${account.serial}`, { compat_Twin: null });
    assert.ok(!('compat_Twin' in (await c8y.inventory.detail(id)).data));
    await client.publishAsync('s/us', `101,${account.serial}-child,Child,compat_Child`, { qos: 1 });
    await send('event/events/create', { externalSource: { externalId: `${account.serial}-child`, type: 'c8y_Serial' }, type: 'compat_C', text: 'c', time: '2026-01-01T00:00:00Z' });
    const { data: child } = await c8y.identity.detail({ type: 'c8y_Serial', externalId: `${account.serial}-child` });
    const { data: [event] } = await c8y.event.list({ source: child.managedObject.id });
    assert.deepEqual([event.text, 'externalSource' in event], ['c', false]);
    await send('alarm/alarms/create', { type: 'compat_J' });
    const e = JSON.parse((await inbox.next(m => m.topic === 'error', 'an error')).text);
    assert.equal(e.error, 'undefined/validationError');
    assert.match(e.message, /severity|text/);
    await end();
  });

  test(`${name}: mistakes are told on s/e, and the connection lives on`, async () => {
    const { client, inbox, id, account, end } = await device({ protocolVersion });
    for (const [payload, expected] of [
      [`100,${account.serial},x`, /^41,100,/],
      ['999,what', /^40,999,/],
      ['200,only', /^\d+,200,/],
      ['504,999999999', /^\d+,504,/],
      ['"', /^\d+,/]
    ]) {
      await client.publishAsync('s/us', payload, { qos: 1 });
      assert.match((await inbox.next(m => m.topic === 's/e', `the error of ${payload}`)).text, expected);
    }
    await client.publishAsync('s/us', '400,compat_Alive,yes', { qos: 1 });
    assert.equal((await c8y.event.list({ source: id, type: 'compat_Alive' })).data.length, 1);
    await end();
  });
}

test('MQTT 3.1.1: a session outlives its connection', async () => {
  const a = await device(), b = await device();
  const options = { clientId: b.account.serial, username: b.account.username, password: b.account.password, clean: false };
  await b.end();
  const first = await connect(options);
  await first.client.subscribeAsync(`compat/${a.id}/kept`, { qos: 1 });
  await first.end();
  for (let i = 0; i < 20; i++) await a.client.publishAsync(`compat/${a.id}/kept`, String(i), { qos: 1 });
  const second = await connect(options);
  assert.equal(second.connack.sessionPresent, true);
  for (let i = 0; i < 20; i++) assert.equal((await second.inbox.next(m => m.topic.endsWith('/kept'))).text, String(i));
  await Promise.all([a.end(), second.end()]);
});

test('MQTT 5: the reason of a refusal is told', async () => {
  const refused = await connect({ protocolVersion: 5, clientId: unique('x'), username: 'main/nobody', password: 'wrong' }).catch(e => e);
  assert.equal(refused.code, 0x86);
  const old = await connect({ protocolVersion: 4, clientId: unique('x'), username: 'main/nobody', password: 'wrong' }).catch(e => e);
  assert.ok(old.code === 4 || old.code === 5, `code ${old.code}`);
});

test('MQTT 5: limits are announced, user properties and expiry travel', async () => {
  const a = await device({ protocolVersion: 5 }), b = await device({ protocolVersion: 5 });
  assert.equal(a.connack.properties.maximumPacketSize, 16184);
  await b.client.subscribeAsync(`compat/${a.id}/props`, { qos: 1 });
  await a.client.publishAsync(`compat/${a.id}/props`, 'x', { qos: 1, properties: { userProperties: { k: 'v' }, contentType: 'text/plain', messageExpiryInterval: 60 } });
  const { packet } = await b.inbox.next(m => m.topic.endsWith('/props'));
  assert.deepEqual([packet.properties.userProperties.k, packet.properties.contentType], ['v', 'text/plain']);
  await Promise.all([a.end(), b.end()]);
});

test('MQTT over WebSocket', async () => {
  const account = await register();
  const inbox = new Inbox();
  const client = mqtt.connect(url.replace('http', 'ws') + '/mqtt', { protocolVersion: 4, reconnectPeriod: 0, clientId: account.serial, username: account.username, password: account.password });
  open.add(client);
  client.on('message', (topic, payload) => inbox.push({ topic, text: payload.toString() }));
  await within(new Promise((ok, no) => { client.once('connect', ok); client.once('error', no); }), 'CONNACK');
  await client.subscribeAsync('s/ds', { qos: 1 });
  await client.publishAsync('s/us', '100,over WebSocket,compat_Ws\n400,compat_Ws,hello', { qos: 1 });
  const { data } = await c8y.identity.detail({ type: 'c8y_Serial', externalId: account.serial });
  assert.equal((await c8y.event.list({ source: data.managedObject.id, type: 'compat_Ws' })).data[0].text, 'hello');
  open.delete(client);
  await client.endAsync();
});

test('a device gets a token over MQTT and uses it over REST', async () => {
  const { client, inbox, id, end } = await device();
  await client.subscribeAsync('s/dat', { qos: 1 });
  await client.publishAsync('s/uat', '', { qos: 1 });
  const [code, token] = (await inbox.next(m => m.topic === 's/dat', 'a token')).text.trim().split(',');
  assert.equal(code, '71');
  const post = auth => fetch(`${url}/event/events`, { method: 'POST', headers: { authorization: auth, 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ source: { id }, type: 'compat_Token', text: 't', time: '2026-01-01T00:00:00Z' }) });
  assert.equal((await post(`Bearer ${token}`)).status, 201);
  assert.equal((await post(`Bearer ${token.slice(0, -4)}AAAA`)).status, 401);
  await end();
});
