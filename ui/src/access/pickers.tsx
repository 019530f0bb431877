// Choosing a user or an object by search.
import { Select } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { findObjects, getDevice } from '../api/inventory';
import type { Device } from '../api/shape';
import { listUsers } from '../api/user';
import { sayName } from '../parts/say';
import { words } from '../text/access';

const MOST = 12;
const PAUSE_MS = 200;

interface PickerProps {
  value?: string;
  onChange: (value: string | undefined) => void;
  label: string;
  className?: string;
  required?: boolean;
  autoFocus?: boolean;
}

// What the server found is shown as it is; the words may be anywhere in a name.
const asFound = ({ options }: { options: unknown[] }) => options as never;

export function UserPicker({ tenant, value, ...props }: PickerProps & { tenant: string }) {
  const [typed, setTyped] = useState(value ?? '');
  const [settled] = useDebouncedValue(typed.trim(), PAUSE_MS);
  const search = settled === value ? '' : settled;
  const query = useQuery({
    queryKey: ['users', 'search', search],
    queryFn: ({ signal }) => listUsers(tenant, search, 1, MOST, signal),
    staleTime: 10_000,
  });
  const names = (query.data?.items ?? []).map((user) => user.userName);
  const data = value && !names.includes(value) && !search ? [value, ...names] : names;
  return (
    <Picked
      {...props}
      value={value}
      data={data.map((name) => ({ value: name, label: name }))}
      typed={typed}
      setTyped={setTyped}
      place={words.person.place}
      none={words.person.none}
      clear={words.person.clear}
    />
  );
}

export const objectName = (object: Device | undefined, id: string) => object?.name ?? words.object.unnamed(id);

/** An object by its name, without the picker; the name comes when it is known. */
export function useObject(id: string | undefined) {
  return useQuery({
    queryKey: ['device', id],
    queryFn: ({ signal }) => getDevice(id ?? '', signal),
    enabled: Boolean(id),
    retry: false,
  });
}

export function ObjectPicker({ value, ...props }: PickerProps) {
  const chosen = useObject(value);
  const [typed, setTyped] = useState('');
  const [settled] = useDebouncedValue(typed.trim(), PAUSE_MS);
  const label = (object: Device) =>
    [objectName(object, object.id), object.type && sayName(object.type), object.id].filter(Boolean).join(' · ');
  const shown = value ? label(chosen.data?.id === value ? chosen.data : { id: value }) : '';
  const search = settled === shown ? '' : settled;
  const query = useQuery({
    queryKey: ['devices', 'objects', search],
    queryFn: ({ signal }) => findObjects(search, MOST, signal),
    staleTime: 10_000,
  });
  const found = (query.data ?? [])
    .filter((object) => object.id !== value)
    .map((object) => ({ value: object.id, label: label(object) }));
  return (
    <Picked
      {...props}
      value={value}
      data={value ? [{ value, label: shown }, ...found] : found}
      typed={typed}
      setTyped={setTyped}
      place={props.required ? words.object.place : words.object.any}
      none={words.object.none}
      clear={words.object.clear}
    />
  );
}

interface PickedProps extends PickerProps {
  data: { value: string; label: string }[];
  typed: string;
  setTyped: (typed: string) => void;
  place: string;
  none: string;
  clear: string;
}

function Picked({ value, onChange, data, typed, setTyped, place, none, clear, ...props }: PickedProps) {
  return (
    <Select
      {...props}
      searchable
      clearable={!props.required}
      clearButtonProps={{ 'aria-label': clear }}
      placeholder={place}
      nothingFoundMessage={none}
      filter={asFound}
      data={data}
      value={value ?? null}
      searchValue={typed}
      onSearchChange={setTyped}
      onChange={(next) => onChange(next ?? undefined)}
      comboboxProps={{ shadow: 'md' }}
      maxDropdownHeight={260}
    />
  );
}

/** A link to an object, by name; a group leads to its members. */
export function ObjectLink({ id, name }: { id: string; name?: string }) {
  const object = useObject(id).data;
  const group = Boolean(object?.c8y_IsDeviceGroup);
  return (
    <Link to={group ? `/groups/${id}` : `/device/${id}`} className="inline-link break">
      {object?.name ?? name ?? words.object.unnamed(id)}
    </Link>
  );
}
