import { Select, type SelectProps } from '@mantine/core';

/** A filter: one of some values, or any of them, which is also what clears it. */
export function AnyOf({ label, any, ...rest }: Omit<SelectProps, 'label' | 'placeholder'> & { label: string; any: string }) {
  return <Select aria-label={label} placeholder={any} clearable clearButtonProps={{ 'aria-label': any }} {...rest} />;
}
