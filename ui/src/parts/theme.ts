import { createTheme, type MantineColorsTuple } from '@mantine/core';

const isobar: MantineColorsTuple = [
  '#e6f5f8',
  '#cfe8ee',
  '#a0d1dd',
  '#6db9cb',
  '#45a5bc',
  '#2b98b2',
  '#1987a1',
  '#0b6f86',
  '#0b5c6e',
  '#064859',
];
const dark: MantineColorsTuple = [
  '#d5dde2',
  '#b6c2c9',
  '#98a7b0',
  '#6f808a',
  '#43535c',
  '#2f3d45',
  '#222e35',
  '#182228',
  '#10181d',
  '#0a1014',
];

export const theme = createTheme({
  primaryColor: 'isobar',
  primaryShade: 7,
  autoContrast: true,
  colors: { isobar, dark },
  fontFamily: "'Inter Variable', system-ui, -apple-system, 'Segoe UI', sans-serif",
  fontFamilyMonospace: "ui-monospace, 'Cascadia Code', 'DejaVu Sans Mono', Menlo, monospace",
  headings: { fontFamily: "'Inter Variable', system-ui, sans-serif", fontWeight: '650' },
  defaultRadius: 'md',
  cursorType: 'pointer',
  respectReducedMotion: true,
  focusRing: 'auto',
  breakpoints: { xs: '30em', sm: '43.75em', md: '62em', lg: '75em', xl: '90em' },
});
