// Names and orders of permissions; no part of it decides about access.
import type { Effect } from '../api/access';
import { words } from '../text/access';

export const LEVELS = ['READ', 'CREATE', 'UPDATE', 'ADMIN'] as const;
export type Level = (typeof LEVELS)[number];

export interface Family {
  name: string;
  label: string;
  /** The permission by its level, where there is one. */
  levels: Partial<Record<Level, string>>;
}

/** `ROLE_ALARM_READ` is of the family ALARM and the level READ; some permissions have no level. */
export function split(role: string): { family: string; level: Level } | undefined {
  const match = /^ROLE_(.+)_(READ|CREATE|UPDATE|ADMIN)$/.exec(role);
  return match ? { family: match[1], level: match[2] as Level } : undefined;
}

function labelOf(family: string): string {
  const spaced = family.toLowerCase().replace(/_/g, ' ');
  return words.family[family] ?? spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

/** "Alarms: read". */
export function sayPermission(role: string): string {
  const parts = split(role);
  if (parts) return `${labelOf(parts.family)}: ${words.level[parts.level].toLowerCase()}`;
  return words.single[role] ?? labelOf(role.replace(/^ROLE_/, ''));
}

export interface Matrix {
  families: Family[];
  singles: string[];
}

/** Sorts permissions into rows; those with copy come first, in its order. */
export function matrixOf(roles: readonly string[]): Matrix {
  const byName = new Map<string, Family>();
  const singles: string[] = [];
  for (const role of roles) {
    const parts = split(role);
    if (!parts) {
      singles.push(role);
      continue;
    }
    const family = byName.get(parts.family) ?? { name: parts.family, label: labelOf(parts.family), levels: {} };
    family.levels[parts.level] = role;
    byName.set(parts.family, family);
  }
  const order = Object.keys(words.family);
  const rank = (family: Family) => {
    const at = order.indexOf(family.name);
    return at < 0 ? order.length : at;
  };
  const families = [...byName.values()].sort((a, b) => rank(a) - rank(b) || a.label.localeCompare(b.label));
  return { families, singles: singles.sort() };
}

export interface ScopedRight {
  text: string;
  object: string;
  below: boolean;
}

/** `ALARM:*:READ on and below 7`, the text of a grant in an effect; undefined for a permission. */
export function scopedRight(right: string): ScopedRight | undefined {
  const match = /^([A-Z_*]+):(.+):([A-Z*]+) (on and below|on) (\S+)$/.exec(right);
  if (!match) return undefined;
  return { text: sayScoped(match[1], match[2], match[3]), object: match[5], below: match[4] !== 'on' };
}

/** "Read alarms", "Change operations, only c8y_Restart". */
export function sayScoped(scope: string, fragment: string, level: string): string {
  const what = `${words.scopeLevel[level] ?? level} ${(words.scope[scope] ?? scope).toLowerCase()}`;
  return fragment === '*' ? what : `${what}, only ${fragment}`;
}

export function sayRight(right: string): string {
  const scoped = scopedRight(right);
  if (!scoped) return sayPermission(right);
  const object = words.object.unnamed(scoped.object).toLowerCase();
  return scoped.below ? words.whatIf.onBelow(scoped.text, object) : words.whatIf.on(scoped.text, object);
}

export const isDevice = (user: string) => user.startsWith('device_');

function whoIs(effects: Effect[]): { text: string; one: boolean } {
  const devices = effects.filter((effect) => isDevice(effect.user)).length;
  const people = effects.length - devices;
  const parts = [people > 0 && words.people(people), devices > 0 && words.accounts(devices)].filter(Boolean);
  return { text: parts.join(words.whatIf.and), one: effects.length === 1 };
}

const NAMED = 2;

function whatOf(lists: string[][]): string {
  const all = [...new Set(lists.flat())];
  if (all.length > NAMED) return words.whatIf.something(all.length);
  return all.map(sayRight).join(words.whatIf.and);
}

/** "3 people gain Alarms: read", "1 person loses 4 permissions"; nothing if nobody is affected. */
export function summary(effects: Effect[]): { gain?: string; lose?: string } {
  const gaining = effects.filter((effect) => effect.gained.length > 0);
  const losing = effects.filter((effect) => effect.lost.length > 0);
  const gain = whoIs(gaining);
  const lose = whoIs(losing);
  return {
    gain: gaining.length ? words.whatIf.gain(gain.text, whatOf(gaining.map((one) => one.gained)), gain.one) : undefined,
    lose: losing.length ? words.whatIf.lose(lose.text, whatOf(losing.map((one) => one.lost)), lose.one) : undefined,
  };
}

/** What has to be added and taken away to get from one set to the other. */
export function difference(from: Iterable<string>, to: Iterable<string>): { added: string[]; removed: string[] } {
  const before = new Set(from);
  const after = new Set(to);
  return { added: [...after].filter((one) => !before.has(one)), removed: [...before].filter((one) => !after.has(one)) };
}
