import { ActionIcon, Avatar, Menu, Text, useMantineColorScheme } from '@mantine/core';
import { IconCheck, IconDeviceDesktop, IconLogout, IconMoon, IconSun, IconUserCircle } from '@tabler/icons-react';
import { Link } from 'react-router';
import { LOGIN_URL } from '../api/http';
import { logOut } from '../api/user';
import { text } from '../text';
import { useCurrentUser, useTenant } from './session';

const schemes = [
  { value: 'light', icon: IconSun },
  { value: 'dark', icon: IconMoon },
  { value: 'auto', icon: IconDeviceDesktop },
] as const;

export function UserMenu() {
  const user = useCurrentUser().data;
  const tenant = useTenant().data;
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const name = [user?.firstName, user?.lastName].filter(Boolean).join(' ') || user?.userName || '';

  async function leave() {
    // Even if the server cannot be told, the person wants to be out.
    const answer = await logOut().catch(() => undefined);
    location.assign(answer?.url && /^https?:\/\//.test(answer.url) ? answer.url : LOGIN_URL);
  }

  const now = schemes.find((scheme) => scheme.value === colorScheme) ?? schemes[2];
  return (
    <>
      <Menu position="bottom-end" shadow="md" width={190}>
        <Menu.Target>
          <ActionIcon
            variant="subtle"
            color="gray"
            size="lg"
            className="wide"
            aria-label={text.shell.schemeLabel}
            data-testid="scheme"
          >
            <now.icon size={19} stroke={1.7} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <SchemeItems current={colorScheme} set={setColorScheme} />
        </Menu.Dropdown>
      </Menu>
      <Menu position="bottom-end" shadow="md" width={220}>
        <Menu.Target>
          <ActionIcon variant="transparent" size="xl" radius="xl" aria-label={text.shell.user} data-testid="user-menu">
            <Avatar radius="xl" size={34} color="isobar" name={name} alt="" />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <div style={{ padding: '6px 12px 8px' }}>
            <Text size="sm" fw={600}>
              {name}
            </Text>
            <Text size="xs" c="dimmed">
              {user?.userName} {tenant && `· ${tenant.name}`}
            </Text>
          </div>
          <Menu.Divider />
          <Menu.Item component={Link} to="/account" leftSection={<IconUserCircle size={17} />} data-testid="my-account">
            {text.nav.account}
          </Menu.Item>
          <Menu.Divider />
          <Menu.Label>{text.shell.schemeLabel}</Menu.Label>
          <SchemeItems current={colorScheme} set={setColorScheme} />
          <Menu.Divider />
          <Menu.Item leftSection={<IconLogout size={17} />} onClick={() => void leave()} data-testid="log-out">
            {text.shell.logOut}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </>
  );
}

type Scheme = (typeof schemes)[number]['value'];

function SchemeItems({ current, set }: { current: string; set: (scheme: Scheme) => void }) {
  return schemes.map((scheme) => (
    <Menu.Item
      key={scheme.value}
      leftSection={<scheme.icon size={17} />}
      rightSection={current === scheme.value ? <IconCheck size={15} /> : null}
      aria-current={current === scheme.value}
      onClick={() => set(scheme.value)}
    >
      {text.shell.scheme[scheme.value]}
    </Menu.Item>
  ));
}
