/** For what no notification tells about: who looks at it sees the changes of others within seconds. */
export const freshly = { refetchInterval: 10_000, refetchOnWindowFocus: 'always' } as const;
