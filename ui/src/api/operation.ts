import { request, requestPage, type Page } from './http';
import type { Operation, OperationStatus } from './shape';

export interface OperationFilter {
  deviceId: string;
  status?: OperationStatus;
  page: number;
  pageSize: number;
}

export function listOperations(filter: OperationFilter, signal?: AbortSignal): Promise<Page<Operation>> {
  // Newest first is only possible together with a date bound.
  const query = {
    deviceId: filter.deviceId,
    status: filter.status,
    dateFrom: '1970-01-01T00:00:00.000Z',
    revert: true,
    pageSize: filter.pageSize,
    currentPage: filter.page,
  };
  return requestPage<Operation>('/devicecontrol/operations', 'operations', query, signal);
}

export function createOperation(deviceId: string, description: string, fragments: Record<string, unknown>): Promise<Operation> {
  return request<Operation>('/devicecontrol/operations', { method: 'POST', body: { deviceId, description, ...fragments } });
}

export function cancelOperation(id: string, reason: string): Promise<Operation> {
  const body = { status: 'FAILED', failureReason: reason };
  return request<Operation>(`/devicecontrol/operations/${encodeURIComponent(id)}`, { method: 'PUT', body });
}

const META = new Set([
  'id',
  'self',
  'deviceId',
  'deviceName',
  'deviceExternalIDs',
  'bulkOperationId',
  'creationTime',
  'status',
  'failureReason',
  'description',
  'delivery',
  'com_cumulocity_model_WebCamDevice',
  'externalSource',
]);

/** What the operation asks for: its fragments without the bookkeeping. */
export function operationBody(operation: Operation): Record<string, unknown> {
  return Object.fromEntries(Object.entries(operation).filter(([key]) => !META.has(key)));
}
