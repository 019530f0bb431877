import { requestPage, type Page } from './http';
import type { AuditRecord } from './shape';

export interface AuditFilter {
  type?: string;
  user?: string;
  page: number;
  pageSize: number;
}

export function listAudit(filter: AuditFilter, signal?: AbortSignal): Promise<Page<AuditRecord>> {
  const query = { type: filter.type, user: filter.user, pageSize: filter.pageSize, currentPage: filter.page };
  return requestPage<AuditRecord>('/audit/auditRecords', 'auditRecords', query, signal);
}
