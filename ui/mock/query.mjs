// A small evaluator of the inventory query language, enough for what the front sends.
const TOKEN = /\s*(?:'((?:[^'\\]|''|\\.)*)'|([(),])|([^\s(),']+))/gy;

function tokens(text) {
  const found = [];
  TOKEN.lastIndex = 0;
  for (let match; TOKEN.lastIndex < text.trimEnd().length && (match = TOKEN.exec(text));) {
    if (match[1] !== undefined) found.push({ string: match[1].replace(/''/g, "'").replace(/\\(.)/g, '$1') });
    else found.push({ word: match[2] ?? match[3] });
  }
  return found;
}

const at = (object, path) => path.split('.').reduce((value, key) => value?.[key], object);

function compare(actual, op, wanted) {
  if (op === 'eq') {
    if (typeof wanted === 'string' && wanted.includes('*')) {
      const pattern = wanted
        .split('*')
        .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
        .join('.*');
      return new RegExp(`^${pattern}$`, 'i').test(String(actual ?? ''));
    }
    return String(actual ?? 'null') === String(wanted);
  }
  const [a, b] = [Number(actual), Number(String(wanted).replace(/[fd]$/, ''))];
  return { gt: a > b, ge: a >= b, lt: a < b, le: a <= b }[op] ?? false;
}

function parse(list) {
  let i = 0;
  const peek = () => list[i]?.word;
  const or = () => {
    let left = and();
    while (peek() === 'or') {
      i++;
      const [a, b] = [left, and()];
      left = (o) => a(o) || b(o);
    }
    return left;
  };
  const and = () => {
    let left = not();
    while (peek() === 'and') {
      i++;
      const [a, b] = [left, not()];
      left = (o) => a(o) && b(o);
    }
    return left;
  };
  const not = () => {
    if (peek() !== 'not') return primary();
    i++;
    const inner = primary();
    return (o) => !inner(o);
  };
  const primary = () => {
    if (peek() === '(') {
      i++;
      const inner = or();
      i++;
      return inner;
    }
    const name = list[i++]?.word;
    if (name === 'has') {
      i++;
      const arg = list[i++];
      i++;
      return (o) => at(o, arg.word ?? arg.string) !== undefined;
    }
    const op = list[i++]?.word;
    const value = list[i++];
    return (o) => compare(at(o, name), op, value?.string ?? value?.word);
  };
  return list.length ? or() : () => true;
}

/** Filters and sorts objects by `$filter=... $orderby=...`. */
export function evaluate(objects, text) {
  const [, filter = '', order = ''] = /^(?:\$filter=)?(.*?)(?:\$orderby=(.*))?$/s.exec(text.trim()) ?? [];
  const fits = parse(tokens(filter));
  const [path, direction] = order.split(',')[0].trim().split(/\s+/);
  const found = objects.filter(fits);
  if (path)
    found.sort((a, b) => String(at(a, path) ?? '').localeCompare(String(at(b, path) ?? '')) * (direction === 'desc' ? -1 : 1));
  return found;
}
