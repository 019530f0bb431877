import { request } from './http';
import type { ExternalId } from './shape';

export async function listExternalIds(id: string, signal?: AbortSignal): Promise<ExternalId[]> {
  const path = `/identity/globalIds/${encodeURIComponent(id)}/externalIds`;
  return (await request<{ externalIds?: ExternalId[] }>(path, { signal })).externalIds ?? [];
}

export function createExternalId(id: string, entry: ExternalId): Promise<ExternalId> {
  return request<ExternalId>(`/identity/globalIds/${encodeURIComponent(id)}/externalIds`, { method: 'POST', body: entry });
}

export function deleteExternalId(entry: ExternalId): Promise<unknown> {
  const path = `/identity/externalIds/${encodeURIComponent(entry.type)}/${encodeURIComponent(entry.externalId)}`;
  return request(path, { method: 'DELETE' });
}
