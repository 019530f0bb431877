import '@mantine/core/styles.css';
import '../parts/app.css';
import './login.css';
import { MantineProvider } from '@mantine/core';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { theme } from '../parts/theme';
import { LoginPage } from './LoginPage';

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <LoginPage />
    </MantineProvider>
  </StrictMode>,
);
