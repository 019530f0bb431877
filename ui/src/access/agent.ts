const BROWSERS: [RegExp, string][] = [
  [/Edg(e|A|iOS)?\//, 'Edge'],
  [/OPR\/|Opera/, 'Opera'],
  [/Firefox\/|FxiOS/, 'Firefox'],
  [/Chrome\/|CriOS|HeadlessChrome/, 'Chrome'],
  [/Safari\//, 'Safari'],
];
const SYSTEMS: [RegExp, string][] = [
  [/Android/, 'Android'],
  [/iPhone|iPad|iPod/, 'iOS'],
  [/Windows/, 'Windows'],
  [/Mac OS X|Macintosh/, 'macOS'],
  [/Linux|X11/, 'Linux'],
];

/** "Firefox on Linux"; programs are called as they call themselves, without the version. */
export function sayAgent(agent: string | undefined): string | undefined {
  if (!agent) return undefined;
  if (!agent.startsWith('Mozilla/')) return agent.split(/[/\s]/)[0] || undefined;
  const found = (list: [RegExp, string][]) => list.find(([pattern]) => pattern.test(agent))?.[1];
  const names = [found(BROWSERS), found(SYSTEMS)].filter(Boolean);
  return names.join(' on ') || undefined;
}
