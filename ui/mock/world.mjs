// The in-memory world behind the mock: a small cold store whose values move.
const iso = (ms) => new Date(ms).toISOString();
const MINUTE = 60_000;
let lastId = 1000;
export const nextId = () => String(++lastId);

export const world = {
  objects: new Map(),
  measurements: new Map(),
  events: [],
  alarms: [],
  operations: [],
  externalIds: [],
  registrations: [],
  audit: [],
  users: [],
  groups: [],
};
const refs = () => ({ references: [] });

export function addObject(fields, now = Date.now()) {
  const id = nextId();
  const object = {
    id,
    owner: 'admin',
    creationTime: iso(now),
    lastUpdated: iso(now),
    childDevices: refs(),
    childAssets: refs(),
    childAdditions: refs(),
    deviceParents: refs(),
    assetParents: refs(),
    additionParents: refs(),
    ...fields,
  };
  world.objects.set(id, object);
  return object;
}

const children = new Map();
export const childrenOf = (id, kind) =>
  (children.get(`${id} ${kind}`) ?? []).map((child) => world.objects.get(child)).filter(Boolean);
export function link(parent, kind, child) {
  const key = `${parent} ${kind}`;
  children.set(key, [...new Set([...(children.get(key) ?? []), child])]);
  const object = world.objects.get(child);
  if (kind === 'childAssets')
    object.assetParents.references.push({ managedObject: { id: parent, name: world.objects.get(parent).name } });
}
export function unlink(parent, kind, child) {
  const key = `${parent} ${kind}`;
  children.set(
    key,
    (children.get(key) ?? []).filter((one) => one !== child),
  );
  const parents = world.objects.get(child)?.assetParents;
  if (parents) parents.references = parents.references.filter((one) => one.managedObject.id !== parent);
}

/** A wave per series: middle, swing, period in minutes. */
const waves = {
  'c8y_Temperature.T': { unit: 'C', middle: -18, swing: 2.2, period: 45 },
  'c8y_Humidity.RH': { unit: '%', middle: 62, swing: 8, period: 70 },
  'c8y_Pressure.P': { unit: 'bar', middle: 6.2, swing: 0.9, period: 18 },
  'c8y_Flow.F': { unit: 'l/min', middle: 41, swing: 12, period: 12 },
  'c8y_Power.W': { unit: 'kW', middle: 14, swing: 6, period: 30 },
  'c8y_Battery.level': { unit: '%', middle: 84, swing: 3, period: 600 },
};

export function valueAt(series, ms, seed) {
  const wave = waves[series];
  const t = ms / MINUTE / wave.period;
  const noise = Math.sin(ms / 7919 + seed * 13) * 0.12 + Math.sin(ms / 3571 + seed) * 0.06;
  return Math.round((wave.middle + wave.swing * (Math.sin(t * 2 * Math.PI + seed) + noise)) * 100) / 100;
}
export const unitOf = (series) => waves[series].unit;

export function addEvent(source, type, text, time = Date.now(), more = {}) {
  const event = {
    id: nextId(),
    source: { id: source.id, name: source.name },
    type,
    text,
    time: iso(time),
    creationTime: iso(time),
    ...more,
  };
  world.events.unshift(event);
  return event;
}
export function countAlarms(source) {
  const counts = { critical: 0, major: 0, minor: 0, warning: 0 };
  for (const alarm of world.alarms)
    if (alarm.source.id === source.id && alarm.status !== 'CLEARED') counts[alarm.severity.toLowerCase()]++;
  source.c8y_ActiveAlarmsStatus = counts;
}
export function addAlarm(source, severity, type, text, time = Date.now(), more = {}) {
  const alarm = {
    id: nextId(),
    source: { id: source.id, name: source.name },
    type,
    text,
    severity,
    status: 'ACTIVE',
    time: iso(time),
    creationTime: iso(time),
    count: 1,
    history: { auditRecords: [] },
    ...more,
  };
  world.alarms.unshift(alarm);
  countAlarms(source);
  return alarm;
}
export function addAudit(type, activity, text, time = Date.now(), more = {}) {
  world.audit.unshift({ id: nextId(), type, activity, text, time: iso(time), creationTime: iso(time), user: 'admin', ...more });
}

export function build() {
  const now = Date.now();
  const kinds = [
    [
      'Compressor',
      'harbour_Compressor',
      'Kaltwerk K40',
      ['c8y_Temperature.T', 'c8y_Pressure.P', 'c8y_Power.W'],
      4,
      ['c8y_Restart', 'c8y_Command'],
    ],
    [
      'Pump',
      'harbour_Pump',
      'Fluxa P7',
      ['c8y_Flow.F', 'c8y_Pressure.P', 'c8y_Power.W', 'c8y_Temperature.T'],
      3,
      ['c8y_Restart', 'c8y_Relay', 'c8y_Command', 'c8y_Configuration'],
    ],
    [
      'Cold room sensor',
      'harbour_RoomSensor',
      'Sensit TH2',
      ['c8y_Temperature.T', 'c8y_Humidity.RH', 'c8y_Battery.level'],
      8,
      [],
    ],
    ['Power meter', 'harbour_PowerMeter', 'Volta M3', ['c8y_Power.W'], 3, ['c8y_Restart']],
  ];
  const gateway = addObject(
    {
      name: 'Gateway north',
      type: 'thin-edge.io',
      c8y_IsDevice: {},
      com_cumulocity_model_Agent: {},
      c8y_SupportedOperations: ['c8y_Restart', 'c8y_Command', 'c8y_RelayArray', 'c8y_SoftwareUpdate'],
      c8y_RelayArray: ['OPEN', 'CLOSED', 'CLOSED'],
      c8y_Hardware: { model: 'Edge box 2', serialNumber: 'GW-0001' },
      c8y_Connection: { status: 'CONNECTED' },
      c8y_Availability: { status: 'AVAILABLE', lastMessage: iso(now - 4000) },
    },
    now - 90 * 86400_000,
  );
  let seed = 0;
  for (const [name, type, model, series, count, operations] of kinds) {
    for (let n = 1; n <= count; n++) {
      const serial = `${type.slice(8, 10).toUpperCase()}-${1040 + ++seed * 7}`;
      const silent = name === 'Cold room sensor' && n === 5;
      const device = addObject(
        {
          name: `${name} ${n}`,
          type,
          c8y_IsDevice: {},
          com_cumulocity_model_Agent: {},
          c8y_Hardware: { model, serialNumber: serial, revision: 'B' },
          c8y_Firmware: { name: `${model.split(' ')[0].toLowerCase()}-fw`, version: `2.${n}.0` },
          c8y_RequiredAvailability: { responseInterval: 10 },
          c8y_Availability: {
            status: silent ? 'UNAVAILABLE' : 'AVAILABLE',
            lastMessage: iso(now - (silent ? 5 * 3600_000 : 3000)),
          },
          c8y_Connection: { status: silent || name === 'Power meter' ? 'DISCONNECTED' : 'CONNECTED' },
          ...(operations.length ? { c8y_SupportedOperations: operations } : {}),
          ...(operations.includes('c8y_Relay') ? { c8y_Relay: { relayState: 'CLOSED' } } : {}),
          c8y_Position: { lat: 53.54 + seed / 900, lng: 9.97 + seed / 700, alt: 4 },
        },
        now - (40 + seed) * 86400_000,
      );
      device.series = undefined;
      world.measurements.set(device.id, { series: silent ? series : series, seed, silent, extra: [] });
      world.externalIds.push({ type: 'c8y_Serial', externalId: serial, managedObject: { id: device.id } });
      if (name === 'Cold room sensor') link(gateway.id, 'childDevices', device.id);
    }
  }
  world.measurements.set(gateway.id, { series: [], seed: 0, extra: [] });
  const devices = [...world.objects.values()];
  const called = (name) => devices.find((one) => one.name === name);
  const site = addObject({ name: 'Harbour cold store', type: 'c8y_DeviceGroup', c8y_IsDeviceGroup: {} });
  const hall = addObject({ name: 'Machine hall', type: 'c8y_DeviceSubGroup', c8y_IsDeviceGroup: {} });
  const rooms = addObject({ name: 'Cold rooms', type: 'c8y_DeviceSubGroup', c8y_IsDeviceGroup: {} });
  addObject({ name: 'Spare parts', type: 'c8y_DeviceGroup', c8y_IsDeviceGroup: {} });
  [hall, rooms].forEach((one) => link(site.id, 'childAssets', one.id));
  devices.filter((one) => /Compressor|Pump/.test(one.name)).forEach((one) => link(hall.id, 'childAssets', one.id));
  devices.filter((one) => /sensor/.test(one.name)).forEach((one) => link(rooms.id, 'childAssets', one.id));
  const pump = called('Pump 2');
  addAlarm(called('Power meter 1'), 'WARNING', 'harbour_PhaseShift', 'Phase shift above 10 %', now - 4 * 3600_000);
  addAlarm(called('Cold room sensor 3'), 'MINOR', 'harbour_BatteryLow', 'Battery below 20 %', now - 3 * 3600_000, {
    status: 'ACKNOWLEDGED',
  });
  addAlarm(
    called('Cold room sensor 5'),
    'MAJOR',
    'c8y_UnavailabilityAlarm',
    'No data received from the device within the required interval.',
    now - 100 * MINUTE,
  );
  addAlarm(
    called('Compressor 1'),
    'MAJOR',
    'harbour_Vibration',
    'Vibration of the second stage is higher than usual',
    now - 40 * MINUTE,
    { count: 12 },
  );
  addAlarm(pump, 'CRITICAL', 'harbour_Overpressure', 'Pressure above 9 bar', now - 6 * MINUTE, { count: 3 });
  for (let i = 0; i < 60; i++)
    addAlarm(
      devices[1 + (i % (devices.length - 1))],
      ['MINOR', 'WARNING', 'MAJOR'][i % 3],
      'harbour_Old',
      `Short fault number ${i + 1}`,
      now - (5 + i) * 3600_000,
      { status: 'CLEARED' },
    );
  world.alarms.sort((a, b) => b.time.localeCompare(a.time));
  devices.forEach(countAlarms);
  for (let i = 40; i > 0; i--)
    addEvent(
      devices[1 + ((i * 7) % (devices.length - 1))],
      i % 2 ? 'harbour_Door' : 'harbour_Login',
      i % 2 ? `Door of room ${1 + (i % 8)} was ${i % 4 === 1 ? 'opened' : 'closed'}` : 'Technician logged in at the panel',
      now - i * 9 * MINUTE,
      i % 2 ? { harbour_Door: { open: i % 4 === 1 } } : {},
    );
  const operation = (device, status, description, fragments, age, more = {}) =>
    world.operations.push({
      id: nextId(),
      deviceId: device.id,
      deviceName: device.name,
      status,
      creationTime: iso(now - age),
      description,
      ...fragments,
      ...more,
    });
  operation(pump, 'SUCCESSFUL', 'Close the valve', { c8y_Relay: { relayState: 'CLOSED' } }, 26 * 3600_000);
  operation(pump, 'FAILED', 'Run “calibrate all”', { c8y_Command: { text: 'calibrate all' } }, 3 * 3600_000, {
    failureReason: 'Calibration needs a running pump.',
  });
  operation(pump, 'SUCCESSFUL', 'Restart the device', { c8y_Restart: {} }, 2 * 3600_000);
  world.registrations.push(
    { id: 'SN-77120', status: 'PENDING_ACCEPTANCE', creationTime: iso(now - 90_000) },
    { id: 'SN-77121', status: 'WAITING_FOR_CONNECTION', creationTime: iso(now - 60_000) },
    { id: 'SN-70002', status: 'BLOCKED', creationTime: iso(now - 86400_000) },
  );
  world.groups.push(
    { id: 1, name: 'admins', description: 'May do everything' },
    { id: 2, name: 'business', description: 'Sees devices and values' },
    { id: 3, name: 'readers', description: 'May only read' },
  );
  const user = (userName, firstName, lastName, groups, enabled = true) =>
    world.users.push({
      id: userName,
      userName,
      firstName,
      lastName,
      email: `${userName}@harbour.example`,
      enabled,
      held: groups,
    });
  user('admin', 'Ada', 'Okafor', [1]);
  user('jens', 'Jens', 'Petersen', [2]);
  user('mira', 'Mira', 'Santos', [2, 3]);
  user('guest', '', '', [3], false);
  addAudit('Inventory', 'Managed object created', 'Pump 2 was registered', now - 30 * 86400_000, {
    source: { id: pump.id, name: pump.name },
  });
  addAudit('Alarm', 'Alarm updated', 'Alarm updated', now - 3 * 3600_000, {
    changes: [{ attribute: 'status', previousValue: 'ACTIVE', newValue: 'ACKNOWLEDGED' }],
    source: { id: pump.id, name: pump.name },
    user: 'mira',
  });
  addAudit('User', 'User created', "User 'guest' created", now - 2 * 3600_000);
  addAudit('UserAuthentication', 'User login', "User 'admin' logged in", now - 5 * MINUTE);
  return { pump };
}

/** History of a device between two times, at most `limit` points, or buckets of `stepMs`. */
export function history(id, names, from, to, stepMs) {
  const entry = world.measurements.get(id);
  const series = (entry?.series ?? []).filter((one) => !names.length || names.includes(one));
  const end = Math.min(to, entry?.silent ? Date.now() - 5 * 3600_000 : Date.now());
  const values = {};
  let truncated = false;
  const step = stepMs || 5000;
  for (let time = Math.ceil(from / step) * step; time < end; time += step) {
    values[iso(time)] = series.map((one) => {
      if (!stepMs) {
        const value = valueAt(one, time, entry.seed);
        return { min: value, max: value };
      }
      const inside = [0, 0.25, 0.5, 0.75].map((part) => valueAt(one, time + part * stepMs, entry.seed));
      return { min: Math.min(...inside), max: Math.max(...inside), avg: inside.reduce((a, b) => a + b) / 4 };
    });
    if (Object.keys(values).length > 5000) {
      truncated = true;
      break;
    }
  }
  return {
    values,
    series: series.map((one) => ({ type: one.split('.')[0], name: one.split('.')[1], unit: unitOf(one) })),
    truncated,
  };
}
