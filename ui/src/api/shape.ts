// Shapes of the Cumulocity-compatible API, as far as this front reads them.

export type Severity = 'CRITICAL' | 'MAJOR' | 'MINOR' | 'WARNING';
export type AlarmStatus = 'ACTIVE' | 'ACKNOWLEDGED' | 'CLEARED';
export type OperationStatus = 'PENDING' | 'EXECUTING' | 'SUCCESSFUL' | 'FAILED';
export type RealtimeAction = 'CREATE' | 'UPDATE' | 'DELETE';

export const SEVERITIES: readonly Severity[] = ['CRITICAL', 'MAJOR', 'MINOR', 'WARNING'];

export interface Reference {
  managedObject: Device;
  self?: string;
}

/** A device, asset or group of the inventory. */
export interface Device {
  id: string;
  name?: string;
  type?: string;
  owner?: string;
  self?: string;
  creationTime?: string;
  lastUpdated?: string;
  c8y_IsDevice?: object;
  c8y_IsDeviceGroup?: object;
  com_cumulocity_model_Agent?: object;
  c8y_Availability?: { lastMessage?: string; status?: 'AVAILABLE' | 'UNAVAILABLE' | 'MAINTENANCE' };
  c8y_Connection?: { status?: 'CONNECTED' | 'DISCONNECTED' | 'MAINTENANCE' };
  c8y_RequiredAvailability?: { responseInterval?: number };
  c8y_ActiveAlarmsStatus?: { critical?: number; major?: number; minor?: number; warning?: number };
  c8y_Hardware?: { model?: string; serialNumber?: string; revision?: string };
  c8y_Firmware?: { name?: string; version?: string };
  c8y_SupportedOperations?: string[];
  c8y_Relay?: { relayState?: string };
  c8y_RelayArray?: string[];
  c8y_Position?: { lat?: number; lng?: number };
  assetParents?: { references?: Reference[] };
  deviceParents?: { references?: Reference[] };
  [fragment: string]: unknown;
}

export interface Source {
  id: string;
  name?: string;
}

export interface Alarm {
  id: string;
  source: Source;
  type: string;
  text: string;
  severity: Severity;
  status: AlarmStatus;
  time: string;
  creationTime?: string;
  firstOccurrenceTime?: string;
  count?: number;
}

export interface DeviceEvent {
  id: string;
  source: Source;
  type: string;
  text: string;
  time: string;
  creationTime?: string;
  [fragment: string]: unknown;
}

export interface Operation {
  id: string;
  deviceId: string;
  deviceName?: string;
  status: OperationStatus;
  creationTime: string;
  description?: string;
  failureReason?: string;
  [fragment: string]: unknown;
}

export interface Measurement {
  id?: string;
  source: Source;
  time: string;
  type?: string;
  [fragment: string]: unknown;
}

export interface ExternalId {
  type: string;
  externalId: string;
}

export type RegistrationStatus = 'WAITING_FOR_CONNECTION' | 'PENDING_ACCEPTANCE' | 'ACCEPTED' | 'BLOCKED';

export interface Registration {
  id: string;
  status: RegistrationStatus;
  owner?: string;
  creationTime?: string;
}

export interface CurrentUser {
  id: string;
  userName: string;
  firstName?: string;
  lastName?: string;
  email?: string;
  phone?: string;
  shouldResetPassword?: boolean;
  lastPasswordChange?: string;
  twoFactorAuthenticationEnabled?: boolean;
  customProperties?: { userOrigin?: string };
  groups?: { references?: { group: Group }[] };
  effectiveRoles?: { id: string; name: string }[];
}

/** A global role; the API calls it a group of users. */
export interface Group {
  id: number;
  name: string;
  description?: string;
  roles?: { references?: { role: { id: string; name: string } }[] };
}

export interface User {
  id: string;
  userName: string;
  displayName?: string;
  firstName?: string;
  lastName?: string;
  email?: string;
  phone?: string;
  enabled?: boolean;
  shouldResetPassword?: boolean;
  lastPasswordChange?: string;
  twoFactorAuthenticationEnabled?: boolean;
  owner?: string;
  customProperties?: { userOrigin?: string };
  /** By object: `SCOPE:fragment:LEVEL`. */
  devicePermissions?: Record<string, string[]>;
  roles?: { references?: { role: { id: string; name: string } }[] };
  groups?: { references?: { group: Group }[] };
}

export interface Tenant {
  name: string;
  domainName?: string;
  /** Whether tenants can be made below this one. */
  allowCreateTenants?: boolean;
}

export interface AuditRecord {
  id: string;
  time?: string;
  creationTime?: string;
  type: string;
  activity: string;
  text?: string;
  user?: string;
  application?: string;
  severity?: string;
  source?: Source;
  com_cumulocity_model_event_AuditSourceDevice?: { id?: string };
  changes?: { attribute: string; changeType?: string; newValue?: unknown; previousValue?: unknown }[];
}

export interface LoginOption {
  type: string;
  grantType?: string;
  id?: string;
  /** Whether this server can send a link with which a forgotten password is replaced. */
  passwordReset?: boolean;
  userManagementSource?: string;
  visibleOnLoginPage?: boolean;
  buttonName?: string;
  initRequest?: string;
  tfaStrategy?: string;
}
