// Life: values every second, heartbeats, an event now and then, an alarm that comes and goes.
import { publish } from './realtime.mjs';
import { addAlarm, addEvent, countAlarms, unitOf, valueAt, world } from './world.mjs';

export function touch(object) {
  object.lastUpdated = new Date().toISOString();
  publish('managedobjects', object.id, 'UPDATE', object);
}

export function setAlarm(alarm, status) {
  alarm.status = status;
  alarm.lastUpdated = new Date().toISOString();
  const source = world.objects.get(alarm.source.id);
  countAlarms(source);
  publish('alarms', source.id, 'UPDATE', alarm);
  touch(source);
}

export function run(operation) {
  const device = world.objects.get(operation.deviceId);
  const set = (status, more = {}) => publish('operations', device.id, 'UPDATE', Object.assign(operation, { status, ...more }));
  setTimeout(() => operation.status === 'PENDING' && set('EXECUTING'), 900);
  setTimeout(() => {
    if (operation.status !== 'EXECUTING') return;
    if (operation.c8y_Command?.text === 'fail')
      return set('FAILED', { failureReason: 'The device did not understand the command.' });
    if (operation.c8y_Relay) device.c8y_Relay = operation.c8y_Relay;
    if (operation.c8y_RelayArray) device.c8y_RelayArray = operation.c8y_RelayArray;
    set('SUCCESSFUL');
    touch(device);
  }, 2200);
}

export function simulate() {
  let tick = 0;
  const timer = setInterval(() => {
    tick++;
    const now = Date.now();
    const time = new Date(now).toISOString();
    for (const [id, entry] of world.measurements) {
      if (entry.silent) continue;
      const device = world.objects.get(id);
      if (!device) continue;
      const measurement = { id: String(now), source: { id }, time, type: 'harbour_Cycle' };
      for (const series of entry.series) {
        const [fragment, name] = series.split('.');
        measurement[fragment] = {
          ...measurement[fragment],
          [name]: { value: valueAt(series, now, entry.seed), unit: unitOf(series) },
        };
      }
      publish('measurements', id, 'CREATE', measurement);
      if ((tick + entry.seed) % 5 === 0) {
        device.c8y_Availability = { status: 'AVAILABLE', lastMessage: time };
        touch(device);
      }
    }
    const devices = [...world.objects.values()].filter((one) => one.c8y_IsDevice);
    if (!devices.length) return;
    if (tick % 9 === 0) {
      const device = devices[tick % devices.length];
      publish('events', device.id, 'CREATE', addEvent(device, 'harbour_Door', `Door of room ${1 + (tick % 8)} was opened`));
    }
    if (tick % 20 === 10) {
      const device = devices.find((one) => one.name === 'Compressor 3') ?? devices[0];
      const old = world.alarms.find((one) => one.type === 'harbour_OilTemperature' && one.status !== 'CLEARED');
      if (old) setAlarm(old, 'CLEARED');
      else {
        publish(
          'alarms',
          device.id,
          'CREATE',
          addAlarm(device, 'MAJOR', 'harbour_OilTemperature', 'Oil temperature above 80 °C'),
        );
        touch(device);
      }
    }
  }, 1000);
  return () => clearInterval(timer);
}
