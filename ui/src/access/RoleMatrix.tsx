import { Checkbox, Text } from '@mantine/core';
import { IconCheck } from '@tabler/icons-react';
import { words } from '../text/access';
import { LEVELS, matrixOf } from './rights';

interface MatrixProps {
  /** All permissions to show. */
  roles: readonly string[];
  held: ReadonlySet<string>;
  /** Those that are saved, to mark what differs. */
  saved?: ReadonlySet<string>;
  onChange?: (role: string, held: boolean) => void;
}

/** Permissions as a table of families and levels; without `onChange` only to read. */
export function RoleMatrix({ roles, held, saved, onChange }: MatrixProps) {
  const { families, singles } = matrixOf(roles);
  const differs = (role: string) => Boolean(saved && saved.has(role) !== held.has(role));
  const cell = (role: string, label: string) =>
    onChange ? (
      <Checkbox
        aria-label={label}
        title={role}
        checked={held.has(role)}
        data-role-name={role}
        onChange={(event) => onChange(role, event.currentTarget.checked)}
      />
    ) : held.has(role) ? (
      <IconCheck size={18} stroke={2.4} role="img" aria-label={label} style={{ color: 'var(--good)' }} />
    ) : null;
  return (
    <>
      <table className="matrix" aria-label={words.roles.matrix}>
        <thead>
          <tr>
            <th scope="col">{words.roles.familyColumn}</th>
            {LEVELS.map((level) => (
              <th key={level} scope="col" title={words.levelHint[level]}>
                {words.level[level]}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {families.map((family) => (
            <tr key={family.name}>
              <th scope="row" title={`ROLE_${family.name}_…`}>
                {family.label}
              </th>
              {LEVELS.map((level) => {
                const role = family.levels[level];
                return (
                  <td key={level} data-changed={role !== undefined && differs(role)}>
                    {role && cell(role, words.roles.cell(family.label, words.level[level]))}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
      {singles.length > 0 && (
        <div className="pad" style={{ borderTop: '1px solid var(--line)', display: 'grid', gap: 10 }}>
          <Text fw={600} size="sm">
            {words.roles.others}
          </Text>
          {singles.map((role) =>
            onChange ? (
              <Checkbox
                key={role}
                label={words.single[role] ?? role}
                description={role}
                checked={held.has(role)}
                data-role-name={role}
                onChange={(event) => onChange(role, event.currentTarget.checked)}
              />
            ) : (
              <Text key={role} size="sm" title={role}>
                {words.single[role] ?? role}
              </Text>
            ),
          )}
        </div>
      )}
    </>
  );
}
