import { requestPage, type Page } from './http';
import type { DeviceEvent } from './shape';

export interface EventFilter {
  source?: string;
  type?: string;
  page: number;
  pageSize: number;
}

export function listEvents(filter: EventFilter, signal?: AbortSignal): Promise<Page<DeviceEvent>> {
  const query = { source: filter.source, type: filter.type, pageSize: filter.pageSize, currentPage: filter.page };
  return requestPage<DeviceEvent>('/event/events', 'events', query, signal);
}
