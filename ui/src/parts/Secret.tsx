import { PasswordInput, type PasswordInputProps } from '@mantine/core';

/** A field for a password that must be given: the present one, or a new one. */
export function Secret({
  fresh = false,
  onValue,
  ...rest
}: Omit<PasswordInputProps, 'onChange'> & { fresh?: boolean; onValue: (value: string) => void }) {
  return (
    <PasswordInput
      required
      withAsterisk={false}
      autoComplete={fresh ? 'new-password' : 'current-password'}
      onChange={(event) => onValue(event.currentTarget.value)}
      {...rest}
    />
  );
}
