import { Menu } from '@mantine/core';
import { IconDots } from '@tabler/icons-react';
import { Link, NavLink } from 'react-router';
import { text } from '../text';
import { BAR_PLACES, type Place } from './nav';

export function BottomBar({ places }: { places: Place[] }) {
  return (
    <nav className="shell-bar" aria-label={text.nav.label}>
      <ul>
        {places.slice(0, BAR_PLACES).map((place) => (
          <li key={place.to}>
            <NavLink to={place.to} end={place.to === '/'} className="shell-bar-link">
              <place.icon size={21} stroke={1.7} aria-hidden="true" />
              {place.label}
            </NavLink>
          </li>
        ))}
        <li>
          <Menu position="top-end" shadow="md">
            <Menu.Target>
              <button type="button" className="shell-bar-link">
                <IconDots size={21} aria-hidden="true" />
                {text.nav.more}
              </button>
            </Menu.Target>
            <Menu.Dropdown>
              {places.slice(BAR_PLACES).map((place) => (
                <Menu.Item key={place.to} component={Link} to={place.to} leftSection={<place.icon size={18} stroke={1.7} />}>
                  {place.label}
                </Menu.Item>
              ))}
            </Menu.Dropdown>
          </Menu>
        </li>
      </ul>
    </nav>
  );
}
