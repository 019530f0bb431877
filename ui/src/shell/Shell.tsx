import { Center, Loader } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import { Link, NavLink, Outlet, useLocation, useNavigation } from 'react-router';
import { goToLogin } from '../api/http';
import { useChannel, useLiveBasics } from '../api/live';
import type { Alarm } from '../api/shape';
import { Mark } from '../parts/Mark';
import { Failed } from '../parts/States';
import { text } from '../text';
import { BottomBar } from './BottomBar';
import { Live } from './Live';
import { PLACES, type Place } from './nav';
import { Search } from './Search';
import { useCurrentUser, useTenant } from './session';
import { UserMenu } from './UserMenu';

export function usePlaces(): Place[] {
  const held = useCurrentUser().data?.effectiveRoles;
  const tenant = useTenant().data;
  return PLACES.filter(
    (place) =>
      (!place.management || tenant?.allowCreateTenants) &&
      (!place.roles || !held || held.some((role) => place.roles?.includes(role.name ?? role.id))),
  );
}

export function Shell() {
  const user = useCurrentUser();
  useEffect(() => {
    if (user.data?.shouldResetPassword) goToLogin('#reset');
  }, [user.data]);
  if (user.isPending) {
    return (
      <Center h="100dvh" role="status" aria-label={text.state.loading}>
        <Loader />
      </Center>
    );
  }
  if (!user.data) return <Failed error={user.error} retry={() => void user.refetch()} />;
  return <Frame />;
}

function Frame() {
  useLiveBasics();
  const tenant = useTenant();
  const main = useRef<HTMLElement>(null);
  const places = usePlaces();
  const busy = useNavigation().state !== 'idle';
  useFocusOnPageChange(main);
  const plain = places.filter((place) => !place.access);
  const access = places.filter((place) => place.access);
  return (
    <div className="shell">
      <a
        className="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        {text.app.skip}
      </a>
      <header className="shell-top">
        <Link to="/" className="shell-brand" aria-label={`${text.app.name} – ${text.nav.home}`}>
          <Mark />
          <span className="shell-brand-name" style={{ minWidth: 0, lineHeight: 1.15 }}>
            <strong style={{ display: 'block', fontSize: 16 }}>{text.app.name}</strong>
            {tenant.data && (
              <span className="soft" style={{ fontSize: 12 }} title={text.app.tenant}>
                {tenant.data.name}
              </span>
            )}
          </span>
        </Link>
        <Search />
        <div className="shell-space" />
        <Live />
        <UserMenu />
      </header>
      <nav className="shell-nav" aria-label={text.nav.label}>
        <ul>
          {plain.map((place) => (
            <NavItem key={place.to} place={place} />
          ))}
        </ul>
        {access.length > 0 && (
          <>
            <div className="soft" style={{ fontSize: 12, fontWeight: 600, padding: '18px 12px 6px' }}>
              {text.nav.access}
            </div>
            <ul>
              {access.map((place) => (
                <NavItem key={place.to} place={place} />
              ))}
            </ul>
          </>
        )}
      </nav>
      <main id="main" ref={main} tabIndex={-1} className="shell-main" aria-busy={busy}>
        <Outlet />
      </main>
      <BottomBar places={places} />
      <AlarmVoice />
    </div>
  );
}

function NavItem({ place }: { place: Place }) {
  return (
    <li>
      <NavLink to={place.to} end={place.to === '/'} className="shell-link">
        <place.icon size={19} stroke={1.7} aria-hidden="true" />
        {place.label}
      </NavLink>
    </li>
  );
}

/** Puts the focus on the new page for keyboard and screen reader; changing a tab does not count. */
function useFocusOnPageChange(main: React.RefObject<HTMLElement | null>): void {
  const page = useLocation().pathname.split('/').slice(0, 3).join('/');
  const last = useRef(page);
  useEffect(() => {
    if (last.current === page) return;
    last.current = page;
    main.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [page, main]);
}

const VOICE_PAUSE_MS = 5000;

/** Speaks new alarms to screen readers, politely and not more often than every five seconds. */
function AlarmVoice() {
  const [words, setWords] = useState('');
  const spoken = useRef(0);
  useChannel('/alarms/*', (action, data) => {
    const alarm = data as Alarm;
    if (action !== 'CREATE' || alarm?.status !== 'ACTIVE' || Date.now() - spoken.current < VOICE_PAUSE_MS) return;
    spoken.current = Date.now();
    setWords(
      text.shell.newAlarm(text.severity[alarm.severity] ?? alarm.severity, alarm.source.name ?? alarm.source.id, alarm.text),
    );
  });
  return (
    <div className="hidden" aria-live="polite">
      {words}
    </div>
  );
}
