import { Alert, Button, Divider, Group, Loader, Stack, Text, TextInput, Title } from '@mantine/core';
import { IconAlertCircle, IconClock, IconCloudOff, IconDeviceMobile, IconLock } from '@tabler/icons-react';
import { lazy, Suspense, useCallback, useEffect, useRef, useState, type FormEvent } from 'react';
import { ApiError } from '../api/http';
import { getLoginOptions, logIn, logInOnce, type Credentials, type Reset } from '../api/tenant';
import { getCurrentUser } from '../api/user';
import type { LoginOption } from '../api/shape';
import { Mark } from '../parts/Mark';
import { text } from '../text';
import { leave, mailedReset, oneTimeCode, refusalOf, returnPath, ssoAddress, ssoRefusal, type Refusal } from './flow';
import { Forgot } from './Forgot';
import { NewPassword } from './NewPassword';
import { Secret } from '../parts/Secret';

const FactorSetup = lazy(async () => ({ default: (await import('../access/FactorSetup')).FactorSetup }));

type Step =
  | { name: 'form'; notice?: string }
  | { name: 'oneTime' }
  /** With a session already there. */
  | { name: 'password'; known?: string; code?: string }
  /** With a token, and, after a refused login, who wanted to log in. */
  | { name: 'reset'; reset: Reset; login?: Credentials }
  | { name: 'setup'; login: Credentials }
  | { name: 'forgot'; tenant?: string };

function firstStep(): Step {
  if (oneTimeCode(location.hash)) return { name: 'oneTime' };
  const reset = mailedReset(location.search);
  if (reset) return { name: 'reset', reset };
  return location.hash === '#reset' ? { name: 'password' } : { name: 'form' };
}

/** Goes on to the app, or to the new-password step when the server asks for it. */
async function afterLogin(known: string | undefined, code: string | undefined, setStep: (step: Step) => void): Promise<void> {
  const user = await getCurrentUser();
  if (user.shouldResetPassword) setStep({ name: 'password', known, code });
  else leave();
}

export function LoginPage() {
  const [step, setStep] = useState<Step>(firstStep);
  const [options, setOptions] = useState<LoginOption[]>([]);
  const [refusal, setRefusal] = useState(() => ssoRefusal(location.search));
  const started = useRef(false);

  useEffect(() => {
    if (started.current) return;
    started.current = true;
    getLoginOptions().then(setOptions, (error) => setRefusal(refusalOf(error, false)));
    const code = oneTimeCode(location.hash);
    // Neither a code nor a token stays in the history, nor does an error that is over with the next attempt.
    if (code || mailedReset(location.search) || ssoRefusal(location.search)) history.replaceState(null, '', location.pathname);
    if (!code) return;
    logInOnce(code)
      .then(() => afterLogin(undefined, code, setStep))
      .catch((error) => {
        const why = refusalOf(error, false);
        setRefusal(why.kind === 'wrong' || why.kind === 'server' ? { ...why, message: text.login.oneTimeBad } : why);
        setStep({ name: 'form' });
      });
  }, []);

  /** Logs in again after something that the login asked for; if that fails, the form says what to do. */
  async function goOn(login: Credentials | undefined, notice: string) {
    try {
      if (!login) throw new Error(notice);
      await logIn(login);
      await afterLogin(login.password, undefined, setStep);
    } catch (error) {
      if (error instanceof ApiError) setRefusal(refusalOf(error, false));
      setStep({ name: 'form', notice });
    }
  }

  return (
    <div className="login">
      <Lines />
      <main className="card login-card">
        <Group gap="sm" mb="xs">
          <Mark size={36} />
          <Text fw={700} fz={22}>
            {text.app.name}
          </Text>
        </Group>
        <Text c="dimmed" size="sm" mb="lg">
          {text.login.welcome}
        </Text>
        {step.name === 'oneTime' && (
          <Group role="status">
            <Loader size="sm" />
            <Text>{text.login.oneTime}</Text>
          </Group>
        )}
        {step.name === 'form' && (
          <LoginForm options={options} notice={step.notice} refusal={refusal} setRefusal={setRefusal} setStep={setStep} />
        )}
        {step.name === 'password' && <NewPassword known={step.known} code={step.code} onDone={leave} />}
        {step.name === 'reset' && (
          <NewPassword
            reset={step.reset}
            onDone={(password) => void goOn(step.login && { ...step.login, password, tfaCode: '' }, text.login.resetDone)}
          />
        )}
        {step.name === 'setup' && (
          <>
            <Title order={1} fz={18} mb={4}>
              {text.login.setup}
            </Title>
            <Text size="sm" c="dimmed" mb="sm">
              {text.login.setupHint}
            </Text>
            <Suspense fallback={<Loader size="sm" />}>
              <FactorSetup
                onDone={(tfaCode) => void goOn({ ...step.login, tfaCode }, text.login.needCode)}
                onCancel={() => setStep({ name: 'form' })}
              />
            </Suspense>
          </>
        )}
        {step.name === 'forgot' && <Forgot tenant={step.tenant} back={() => setStep({ name: 'form' })} />}
      </main>
    </div>
  );
}

interface FormProps {
  options: LoginOption[];
  notice?: string;
  refusal?: Refusal;
  setRefusal: (refusal: Refusal | undefined) => void;
  setStep: (step: Step) => void;
}

function LoginForm({ options, notice, refusal, setRefusal, setStep }: FormProps) {
  const [user, setUser] = useState('');
  const [password, setPassword] = useState('');
  const [tenant, setTenant] = useState('');
  const [otherTenant, setOtherTenant] = useState(false);
  const [code, setCode] = useState('');
  const [wantsCode, setWantsCode] = useState(false);
  const [busy, setBusy] = useState(false);
  const wait = useCountdown(refusal?.waitSeconds, () => setRefusal(undefined));
  const named = otherTenant ? tenant.trim() || undefined : undefined;

  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setRefusal(undefined);
    const login = { user: user.trim(), password, tenant: named, tfaCode: code.trim() };
    try {
      await logIn(login);
      await afterLogin(password, undefined, setStep);
    } catch (error) {
      const why = refusalOf(error, wantsCode && code !== '');
      setBusy(false);
      if (why.kind === 'setup') return setStep({ name: 'setup', login });
      if (why.kind === 'reset' && error instanceof ApiError && error.resetToken)
        return setStep({ name: 'reset', reset: { token: error.resetToken, tenantId: named }, login });
      if (why.kind === 'code') {
        setWantsCode(true);
        setCode('');
      }
      setRefusal(why);
    }
  }

  function startOver() {
    setWantsCode(false);
    setCode('');
    setPassword('');
    setRefusal(undefined);
  }

  const external = options.filter((option) => option.type.toUpperCase() === 'OAUTH2' && option.visibleOnLoginPage !== false);
  const first = refusal?.kind === 'code' && refusal.message === text.login.needCode;
  return (
    <form onSubmit={submit}>
      <Title order={1} className={wantsCode ? undefined : 'hidden'} fz={18} mb={wantsCode ? 4 : 0}>
        {wantsCode ? text.login.codeTitle : text.login.title}
      </Title>
      <Stack gap="sm">
        {wantsCode && (
          <Text size="sm" c="dimmed" className="break">
            {text.login.codeFor(user.trim())}
          </Text>
        )}
        {notice && !refusal && (
          <Alert color="teal" role="status" styles={{ message: { color: 'var(--mantine-color-text)' } }}>
            {notice}
          </Alert>
        )}
        {refusal && !(wantsCode && first) && <RefusalNote refusal={refusal} wait={wait} />}
        {wantsCode ? (
          <TextInput
            key="code"
            label={text.login.code}
            autoFocus
            required
            withAsterisk={false}
            inputMode="numeric"
            autoComplete="one-time-code"
            size="md"
            data-testid="login-code"
            value={code}
            onChange={(event) => setCode(event.currentTarget.value)}
          />
        ) : (
          <>
            <TextInput
              label={text.login.user}
              required
              withAsterisk={false}
              autoFocus
              autoComplete="username"
              autoCapitalize="none"
              size="md"
              data-testid="login-user"
              value={user}
              onChange={(event) => setUser(event.currentTarget.value)}
            />
            <Secret label={text.login.password} size="md" data-testid="login-password" value={password} onValue={setPassword} />
            {otherTenant && (
              <TextInput
                label={text.login.tenant}
                autoFocus
                autoCapitalize="none"
                size="md"
                data-testid="login-tenant"
                value={tenant}
                onChange={(event) => setTenant(event.currentTarget.value)}
              />
            )}
          </>
        )}
        <Button type="submit" size="md" loading={busy} disabled={wait > 0} mt={4} data-testid="login-submit">
          {text.login.submit}
        </Button>
        {wantsCode ? (
          <Button variant="subtle" size="compact-sm" onClick={startOver}>
            {text.login.back}
          </Button>
        ) : (
          <>
            {options.some((option) => option.passwordReset) && (
              <Button
                variant="subtle"
                size="compact-sm"
                onClick={() => setStep({ name: 'forgot', tenant: named })}
                data-testid="login-forgot"
              >
                {text.login.forgot}
              </Button>
            )}
            <Button
              variant="subtle"
              size="compact-sm"
              onClick={() => setOtherTenant(!otherTenant)}
              aria-expanded={otherTenant}
              data-testid="login-other-tenant"
            >
              {otherTenant ? text.login.hideTenant : text.login.showTenant}
            </Button>
            {external.length > 0 && <Divider label={text.login.or} />}
            {external.map((option) => (
              <Button
                key={option.id ?? option.buttonName ?? option.type}
                component="a"
                href={ssoAddress(option.initRequest, returnPath(), location.origin)}
                variant="default"
                size="md"
                data-testid="login-sso"
              >
                {text.login.sso(option.buttonName ?? option.type)}
              </Button>
            ))}
          </>
        )}
      </Stack>
    </form>
  );
}

const look = {
  wrong: IconAlertCircle,
  locked: IconLock,
  down: IconCloudOff,
  tooMany: IconClock,
  code: IconLock,
  setup: IconDeviceMobile,
  reset: IconLock,
  server: IconAlertCircle,
};

function RefusalNote({ refusal, wait }: { refusal: Refusal; wait: number }) {
  const Icon = look[refusal.kind];
  const color =
    refusal.kind === 'code' && refusal.message === text.login.needCode
      ? 'blue'
      : refusal.kind === 'down' || refusal.kind === 'tooMany'
        ? 'yellow'
        : 'red';
  return (
    <Alert
      color={color}
      icon={<Icon size={18} />}
      role="alert"
      data-testid="login-refusal"
      data-kind={refusal.kind}
      styles={{ message: { color: 'var(--mantine-color-text)' } }}
    >
      {wait > 0 ? text.login.tooMany(wait) : refusal.message}
    </Alert>
  );
}

/** Seconds left until a refused login may be tried again. */
function useCountdown(seconds: number | undefined, onEnd: () => void): number {
  const [left, setLeft] = useState(0);
  const end = useRef(onEnd);
  useEffect(() => {
    end.current = onEnd;
  });
  const tick = useCallback((until: number) => Math.max(0, Math.ceil((until - Date.now()) / 1000)), []);
  useEffect(() => {
    if (!seconds) {
      setLeft(0);
      return undefined;
    }
    const until = Date.now() + seconds * 1000;
    setLeft(seconds);
    const timer = setInterval(() => {
      const now = tick(until);
      setLeft(now);
      if (now === 0) {
        clearInterval(timer);
        end.current();
      }
    }, 250);
    return () => clearInterval(timer);
  }, [seconds, tick]);
  return left;
}

function Lines() {
  return (
    <svg className="login-lines" viewBox="0 0 1200 800" preserveAspectRatio="xMidYMid slice" aria-hidden="true">
      <g fill="none" stroke="currentColor" strokeWidth="2">
        {[0, 1, 2, 3, 4, 5, 6, 7, 8].map((i) => (
          <path
            key={i}
            d={`M${-60} ${560 - i * 62} C 200 ${380 - i * 66}, 420 ${720 - i * 74}, 660 ${520 - i * 58} S 1060 ${300 - i * 40}, 1280 ${470 - i * 66}`}
          />
        ))}
        {[70, 120, 175, 235].map((r) => (
          <ellipse key={r} cx="960" cy="640" rx={r * 1.25} ry={r * 0.9} transform="rotate(-14 960 640)" />
        ))}
      </g>
    </svg>
  );
}
