/** The Isobar mark: three pressure lines. */
export function Mark({ size = 28 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#0b5c6e" />
      <g fill="none" stroke="#fff" strokeLinecap="round">
        <path
          d="M5.6 18.8c-.9-6.3 3.7-12.6 10.8-12.8 6.3-.2 10.3 4.3 10 9.8-.3 6-5 10.3-11 10.2-5.1-.1-9.1-2.6-9.8-7.2z"
          strokeWidth="1.5"
          opacity=".55"
        />
        <path
          d="M9.4 17.7c-.4-4.2 2.5-8 7-8.1 4-.1 6.600 2.600 6.400 6.100-.2 3.900-3.200 6.600-7 6.500-3.300-.1-6.100-1.600-6.400-4.500z"
          strokeWidth="1.800"
          opacity=".8"
        />
        <path
          d="M13.2 16.5c-.1-2 1.200-3.500 3.200-3.500 1.800 0 2.900 1.200 2.800 2.700-.1 1.700-1.400 2.900-3.100 2.800-1.500 0-2.800-.6-2.900-2z"
          strokeWidth="2"
        />
      </g>
    </svg>
  );
}
