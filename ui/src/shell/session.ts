// Who is logged in, in which tenant, and what they may do.
import { useQuery } from '@tanstack/react-query';
import { getCurrentTenant } from '../api/tenant';
import { getCurrentUser } from '../api/user';

export function useCurrentUser() {
  return useQuery({ queryKey: ['currentUser'], queryFn: ({ signal }) => getCurrentUser(signal), staleTime: Infinity });
}

export function useTenant() {
  return useQuery({ queryKey: ['currentTenant'], queryFn: ({ signal }) => getCurrentTenant(signal), staleTime: Infinity });
}

/** Whether the user has one of the roles; true while unknown, because the server decides anyway. */
export function useHasRole(...roles: string[]): boolean {
  const held = useCurrentUser().data?.effectiveRoles;
  return !held || held.some((role) => roles.includes(role.name ?? role.id));
}
