// Numbers, times and names as a person reads them.
import { text } from '../text';

const number = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 5 });
const count = new Intl.NumberFormat();
const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' });

export function sayNumber(value: number | undefined | null): string {
  return value === undefined || value === null || !Number.isFinite(value) ? '–' : number.format(value);
}

export function sayCount(value: number | undefined): string {
  return value === undefined ? '–' : count.format(value);
}

export function sayTime(time: string | number | undefined): string {
  if (time === undefined) return '–';
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? '–' : dateTime.format(date);
}

/** "12 s ago", with one unit. */
export function sayAge(time: string | number, now = Date.now()): string {
  const seconds = Math.round((now - new Date(time).getTime()) / 1000);
  if (Number.isNaN(seconds)) return '–';
  if (seconds < 2) return text.age.now;
  if (seconds < 60) return text.age.seconds(seconds);
  if (seconds < 3600) return text.age.minutes(Math.floor(seconds / 60));
  if (seconds < 48 * 3600) return text.age.hours(Math.floor(seconds / 3600));
  return text.age.days(Math.floor(seconds / 86_400));
}

/** `c8y_Temperature.T` becomes "Temperature T". */
export function saySeries(series: string): string {
  const dot = series.indexOf('.');
  const fragment = series.slice(0, dot).replace(/^[a-z0-9]+_/, '');
  const name = series.slice(dot + 1);
  const spaced = fragment.replace(/([a-z])([A-Z])/g, '$1 $2');
  return name.toLowerCase() === fragment.toLowerCase() ? spaced : `${spaced} ${name}`;
}

/** `c8y_LoraGateway` becomes "Lora gateway", without the prefix of its maker; used for types and abilities without copy of their own. */
export function sayName(technical: string): string {
  const words = technical
    .replace(/^(com_cumulocity_model_|[a-z][a-z0-9]*_(?=[A-Z]))/, '')
    .replace(/_/g, ' ')
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2');
  const sentence = words.replace(/(?<=\s)[A-Z](?=[a-z])/g, (letter) => letter.toLowerCase());
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

const stepUnits: Record<string, string> = { s: 's', m: 'min', h: 'h', d: 'd' };

/** `5m` becomes "5 min". */
export function sayStep(word: string): string {
  return word.replace(/([a-z])$/, (unit) => ` ${stepUnits[unit] ?? unit}`);
}
