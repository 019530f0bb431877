import {
  IconAlertCircle,
  IconAlertOctagon,
  IconAlertTriangle,
  IconBan,
  IconCheck,
  IconEyeOff,
  IconClock,
  IconInfoCircle,
  IconLoader2,
  IconPlugConnected,
  IconPlugConnectedX,
  IconTool,
  IconWaveSine,
  IconZzz,
} from '@tabler/icons-react';
import type { ReactNode } from 'react';
import type { AlarmStatus, Device, OperationStatus, Severity } from '../api/shape';
import { text } from '../text';
import { Age } from './Age';

export type Tone = 'critical' | 'major' | 'minor' | 'warning' | 'good' | 'quiet';

export function Badge({ tone, icon, children, title }: { tone: Tone; icon?: ReactNode; children: ReactNode; title?: string }) {
  return (
    <span className="badge" data-tone={tone} title={title}>
      {icon}
      {children}
    </span>
  );
}

const severityIcon: Record<Severity, typeof IconAlertCircle> = {
  CRITICAL: IconAlertOctagon,
  MAJOR: IconAlertTriangle,
  MINOR: IconAlertCircle,
  WARNING: IconInfoCircle,
};

export const toneOf = (severity: Severity) => severity.toLowerCase() as Tone;

export function SeverityIcon({ severity, size = 15 }: { severity: Severity; size?: number }) {
  const Icon = severityIcon[severity] ?? IconAlertCircle;
  return <Icon size={size} stroke={2.2} aria-hidden="true" />;
}

export function SeverityBadge({ severity }: { severity: Severity }) {
  return (
    <Badge tone={toneOf(severity)} icon={<SeverityIcon severity={severity} />}>
      {text.severity[severity] ?? severity}
    </Badge>
  );
}

export function AlarmStatusBadge({ status }: { status: AlarmStatus }) {
  const icon = status === 'CLEARED' ? <IconCheck size={14} /> : <IconClock size={14} />;
  return (
    <Badge tone={status === 'CLEARED' ? 'good' : 'quiet'} icon={icon}>
      {text.alarmStatus[status] ?? status}
    </Badge>
  );
}

const operationLook: Record<OperationStatus, { tone: Tone; icon: typeof IconCheck }> = {
  PENDING: { tone: 'quiet', icon: IconClock },
  EXECUTING: { tone: 'warning', icon: IconLoader2 },
  SUCCESSFUL: { tone: 'good', icon: IconCheck },
  FAILED: { tone: 'critical', icon: IconBan },
};

export function OperationBadge({ status }: { status: OperationStatus }) {
  const look = operationLook[status] ?? operationLook.PENDING;
  return (
    <Badge tone={look.tone} icon={<look.icon size={14} aria-hidden="true" />}>
      {text.operationStatus[status] ?? status}
    </Badge>
  );
}

/** Active alarms of a device, worst first; zero counts are left out. */
export function AlarmCounts({ device, none }: { device: Device; none?: ReactNode }) {
  const status = device.c8y_ActiveAlarmsStatus ?? {};
  const counts = (['CRITICAL', 'MAJOR', 'MINOR', 'WARNING'] as const)
    .map((severity) => ({ severity, count: status[severity.toLowerCase() as keyof typeof status] ?? 0 }))
    .filter((one) => one.count > 0);
  if (!counts.length) return <>{none ?? null}</>;
  return (
    <span style={{ display: 'inline-flex', gap: 4, flexWrap: 'wrap' }}>
      {counts.map(({ severity, count }) => (
        <Badge key={severity} tone={toneOf(severity)} icon={<SeverityIcon severity={severity} />} title={text.severity[severity]}>
          <span className="num">{count}</span>
          <span className="hidden">{text.severity[severity]}</span>
        </Badge>
      ))}
    </span>
  );
}

/** "Sends 12 s ago": when the device was last heard, by the server or, in `heard`, by this page. */
export function Sends({ device, heard = 0 }: { device: Device; heard?: number }) {
  const { status, lastMessage } = device.c8y_Availability ?? {};
  if (status === 'MAINTENANCE') {
    return (
      <Badge tone="quiet" icon={<IconTool size={14} />}>
        {text.status.maintenance}
      </Badge>
    );
  }
  const told = (lastMessage && Date.parse(lastMessage)) || 0;
  const last = Math.max(told, heard);
  if (!status && !last) {
    if ((device.c8y_RequiredAvailability?.responseInterval ?? 0) > 0)
      return (
        <Badge tone="quiet" icon={<IconZzz size={14} aria-hidden="true" />}>
          {text.status.neverHeard}
        </Badge>
      );
    return (
      <Badge tone="quiet" icon={<IconEyeOff size={14} aria-hidden="true" />} title={text.status.notMonitoredHint}>
        {text.status.notMonitored}
      </Badge>
    );
  }
  const silent = status === 'UNAVAILABLE' && heard <= told;
  const icon = silent ? <IconZzz size={14} aria-hidden="true" /> : <IconWaveSine size={14} aria-hidden="true" />;
  return (
    <Badge tone={silent ? 'major' : 'good'} icon={icon}>
      {silent ? text.status.silent : text.status.sends}
      {last > 0 && <Age time={last} />}
    </Badge>
  );
}

/** Whether commands reach the device now; `brief` leaves the word to screen readers and the title. */
export function Reachable({ device, brief }: { device: Device; brief?: boolean }) {
  const status = device.c8y_Connection?.status;
  if (!status || status === 'MAINTENANCE') return null;
  const connected = status === 'CONNECTED';
  const word = connected ? text.status.connected : text.status.disconnected;
  const icon = connected ? (
    <IconPlugConnected size={14} aria-hidden="true" />
  ) : (
    <IconPlugConnectedX size={14} aria-hidden="true" />
  );
  return (
    <Badge tone={connected ? 'good' : 'quiet'} icon={icon} title={brief ? word : undefined}>
      {brief ? <span className="hidden">{word}</span> : word}
    </Badge>
  );
}
