import type { ReactNode } from 'react';
import { Link, useNavigate } from 'react-router';
import type { Device } from '../api/shape';
import { Age } from '../parts/Age';
import { AlarmCounts, Reachable, Sends } from '../parts/Badges';
import { sayName } from '../parts/say';
import { text } from '../text';

export const nameOf = (device: Device) => device.name ?? text.devices.unnamed(device.id);

function Status({ device, brief }: { device: Device; brief?: boolean }) {
  return (
    <span style={{ display: 'inline-flex', gap: 4, flexWrap: brief ? 'nowrap' : 'wrap' }}>
      <Sends device={device} />
      <Reachable device={device} brief={brief} />
    </span>
  );
}

export function DeviceTable({ devices }: { devices: Device[] }) {
  const navigate = useNavigate();
  const words = text.devices.columns;
  return (
    <div className="scroller" tabIndex={-1}>
      <table className="list">
        <thead>
          <tr>
            {[words.name, words.status, words.alarms, words.type, words.model, words.serial, words.updated].map((word) => (
              <th key={word} scope="col" data-wide={word === words.serial}>
                {word}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {devices.map((device) => (
            <tr
              key={device.id}
              data-testid="device-row"
              data-id={device.id}
              style={{ cursor: 'pointer' }}
              onClick={(event) => {
                // The link in the row is the accessible way; a click anywhere else is a convenience.
                if (!(event.target as HTMLElement).closest('a')) void navigate(`/device/${device.id}`);
              }}
            >
              <td className="name" title={nameOf(device)}>
                <Link to={`/device/${device.id}`} className="plain" style={{ fontWeight: 600 }}>
                  {nameOf(device)}
                </Link>
              </td>
              <td>
                <Status device={device} brief />
              </td>
              <td>
                <AlarmCounts device={device} none={<span className="soft">{text.status.noAlarms}</span>} />
              </td>
              <td className="side" title={device.type}>
                {device.type ? sayName(device.type) : '–'}
              </td>
              <td className="side" title={device.c8y_Hardware?.model}>
                {device.c8y_Hardware?.model ?? '–'}
              </td>
              <td className="side num" data-wide="true" title={device.c8y_Hardware?.serialNumber}>
                {device.c8y_Hardware?.serialNumber ?? '–'}
              </td>
              <td className="soft">
                <Age time={device.lastUpdated} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function DeviceCards({ devices, side }: { devices: Device[]; side?: (device: Device) => ReactNode }) {
  return (
    <ul className="rows">
      {devices.map((device) => (
        <li
          key={device.id}
          data-testid="device-row"
          data-id={device.id}
          style={{ display: 'flex', gap: 8, alignItems: 'center' }}
        >
          <Link
            to={device.c8y_IsDeviceGroup ? `/groups/${device.id}` : `/device/${device.id}`}
            style={{ color: 'inherit', textDecoration: 'none', flex: 1, minWidth: 0 }}
          >
            <span className="break" style={{ fontWeight: 600, display: 'block' }}>
              {nameOf(device)}
            </span>
            <span className="soft break" style={{ fontSize: 13, display: 'block', marginBottom: 6 }}>
              {[device.type && sayName(device.type), device.c8y_Hardware?.serialNumber].filter(Boolean).join(' · ') || device.id}
            </span>
            {!device.c8y_IsDeviceGroup && (
              <span style={{ display: 'flex', gap: 4, flexWrap: 'wrap' }}>
                <Status device={device} />
                <AlarmCounts device={device} />
              </span>
            )}
          </Link>
          {side?.(device)}
        </li>
      ))}
    </ul>
  );
}
