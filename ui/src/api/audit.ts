import { requestPage, type Page } from './http';
import type { AuditRecord } from './shape';

export interface AuditFilter {
  type?: string;
  user?: string;
  source?: string;
  from?: string;
  to?: string;
  page: number;
  pageSize: number;
}

export function listAudit(filter: AuditFilter, signal?: AbortSignal): Promise<Page<AuditRecord>> {
  const query = {
    type: filter.type,
    user: filter.user,
    source: filter.source,
    dateFrom: filter.from,
    dateTo: filter.to,
    pageSize: filter.pageSize,
    currentPage: filter.page,
  };
  return requestPage<AuditRecord>('/audit/auditRecords', 'auditRecords', query, signal);
}
