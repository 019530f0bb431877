// Bayeux client for /notification/realtime: WebSocket first, long polling when the socket cannot open.
// Channels are reference counted; handlers may come and go at any time and survive reconnects.
import { APPLICATION_KEY, goToLogin, readCookie } from './http';
import type { RealtimeAction } from './shape';

export type LiveState = 'connecting' | 'live' | 'reconnecting' | 'offline';
export type Handler = (action: RealtimeAction, data: unknown) => void;

export interface BayeuxMessage {
  id?: string;
  channel: string;
  clientId?: string;
  subscription?: string;
  successful?: boolean;
  error?: string;
  advice?: { reconnect?: string; interval?: number; timeout?: number };
  data?: unknown;
}

const ADDRESS = '/notification/realtime';
const POLL_TIMEOUT_MS = 30_000;
const GRACE_MS = 20_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
/** After this many sockets that never opened, long polling is used. */
const SOCKET_TRIES = 2;

export class Realtime {
  private handlers = new Map<string, Set<Handler>>();
  private watchers = new Set<() => void>();
  private reconnected = new Set<() => void>();
  private socket?: WebSocket;
  private clientId?: string;
  private nextId = 1;
  private waitMs = FIRST_WAIT_MS;
  private retryTimer?: ReturnType<typeof setTimeout>;
  private watchdog?: ReturnType<typeof setTimeout>;
  private serverTimeoutMs = POLL_TIMEOUT_MS;
  private deadSockets = 0;
  private poll?: AbortController;
  private started = false;
  private wasLive = false;
  state: LiveState = 'connecting';

  start(): void {
    if (this.started) return;
    this.started = true;
    window.addEventListener('online', this.retryNow);
    window.addEventListener('offline', this.goOffline);
    this.open();
  }

  stop(): void {
    this.started = false;
    window.removeEventListener('online', this.retryNow);
    window.removeEventListener('offline', this.goOffline);
    this.hangUp();
  }

  /** Calls the handler for every message of a channel such as `/alarms/*` until the returned function is called. */
  on(channel: string, handler: Handler): () => void {
    const known = this.handlers.get(channel);
    if (known) known.add(handler);
    else {
      this.handlers.set(channel, new Set([handler]));
      if (this.clientId) this.write(this.subscribeMessage(channel));
    }
    return () => this.off(channel, handler);
  }

  watch = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };

  /** Tells when the line is back after a gap, so that missed changes can be fetched once. */
  onReconnect(callback: () => void): () => void {
    this.reconnected.add(callback);
    return () => this.reconnected.delete(callback);
  }

  private off(channel: string, handler: Handler): void {
    const known = this.handlers.get(channel);
    if (!known?.delete(handler) || known.size > 0) return;
    this.handlers.delete(channel);
    if (this.clientId) this.write(this.message('/meta/unsubscribe', { subscription: channel }));
  }

  private setState(state: LiveState): void {
    if (state === this.state) return;
    this.state = state;
    this.watchers.forEach((watcher) => watcher());
    if (state !== 'live') return;
    if (this.wasLive) this.reconnected.forEach((callback) => callback());
    this.wasLive = true;
  }

  private retryNow = (): void => {
    this.hangUp();
    this.waitMs = FIRST_WAIT_MS;
    this.open();
  };

  private goOffline = (): void => {
    this.hangUp();
    this.setState('offline');
  };

  private hangUp(): void {
    clearTimeout(this.retryTimer);
    clearTimeout(this.watchdog);
    this.clientId = undefined;
    this.poll?.abort();
    this.poll = undefined;
    const socket = this.socket;
    this.socket = undefined;
    socket?.close();
  }

  private open(): void {
    if (!this.started) return;
    if (this.deadSockets >= SOCKET_TRIES) this.openPoll();
    else this.openSocket();
  }

  private openSocket(): void {
    const url = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${ADDRESS}`;
    const socket = new WebSocket(url);
    let opened = false;
    this.socket = socket;
    socket.onopen = () => {
      opened = true;
      this.deadSockets = 0;
      this.handshake();
    };
    socket.onmessage = (event) => {
      if (this.socket === socket) this.receive(JSON.parse(String(event.data)) as BayeuxMessage[]);
    };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      if (!opened) this.deadSockets++;
      this.fail();
    };
  }

  private openPoll(): void {
    this.poll = new AbortController();
    this.handshake();
  }

  private fail(): void {
    this.hangUp();
    if (!this.started) return;
    this.setState(navigator.onLine ? (this.wasLive ? 'reconnecting' : 'connecting') : 'offline');
    const wait = this.waitMs * (0.75 + Math.random() / 2);
    this.waitMs = Math.min(this.waitMs * 2, LONGEST_WAIT_MS);
    this.retryTimer = setTimeout(() => this.open(), wait);
  }

  private handshake(): void {
    this.clientId = undefined;
    this.write(
      this.message('/meta/handshake', {
        version: '1.0',
        minimumVersion: '1.0',
        supportedConnectionTypes: ['websocket', 'long-polling'],
        advice: { timeout: POLL_TIMEOUT_MS, interval: 0 },
        ext: { 'com.cumulocity.authn': { xsrfToken: readCookie('XSRF-TOKEN') } },
      }),
    );
  }

  private message(channel: string, fields: object): object {
    return { id: String(this.nextId++), channel, ...(this.clientId ? { clientId: this.clientId } : {}), ...fields };
  }

  private subscribeMessage(channel: string): object {
    return this.message('/meta/subscribe', { subscription: channel });
  }

  private connect(): void {
    const connectionType = this.poll ? 'long-polling' : 'websocket';
    this.write(this.message('/meta/connect', { connectionType, advice: { timeout: POLL_TIMEOUT_MS, interval: 0 } }));
  }

  private write(...messages: object[]): void {
    this.feedWatchdog();
    if (this.poll) void this.post(messages, this.poll);
    else if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(messages));
  }

  private async post(messages: object[], poll: AbortController): Promise<void> {
    try {
      const response = await fetch(ADDRESS, {
        method: 'POST',
        credentials: 'same-origin',
        headers: {
          'Content-Type': 'application/json',
          Accept: 'application/json',
          UseXBasic: 'true',
          'X-XSRF-TOKEN': readCookie('XSRF-TOKEN') ?? '',
          'X-Cumulocity-Application-Key': APPLICATION_KEY,
        },
        body: JSON.stringify(messages),
        signal: poll.signal,
      });
      if (response.status === 401) return goToLogin();
      if (!response.ok) throw new Error(String(response.status));
      const answer = (await response.json()) as BayeuxMessage[];
      if (this.poll === poll) this.receive(answer);
    } catch {
      if (poll.signal.aborted || this.poll !== poll) return;
      this.deadSockets = 0;
      this.fail();
    }
  }

  private feedWatchdog(): void {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => this.fail(), Math.max(POLL_TIMEOUT_MS, this.serverTimeoutMs) + GRACE_MS);
  }

  private receive(messages: BayeuxMessage[]): void {
    this.feedWatchdog();
    for (const message of messages) {
      if (message.advice?.timeout) this.serverTimeoutMs = message.advice.timeout;
      if (message.channel === '/meta/handshake') this.shookHands(message);
      else if (message.channel === '/meta/connect') this.connected(message);
      else if (!message.channel.startsWith('/meta/')) this.deliver(message);
    }
  }

  private shookHands(message: BayeuxMessage): void {
    if (!message.successful || !message.clientId) return this.fail();
    this.clientId = message.clientId;
    this.waitMs = FIRST_WAIT_MS;
    const channels = [...this.handlers.keys()];
    if (channels.length) this.write(...channels.map((channel) => this.subscribeMessage(channel)));
    this.connect();
    this.setState('live');
  }

  private connected(message: BayeuxMessage): void {
    const lost = message.error?.startsWith('402') || message.advice?.reconnect === 'handshake';
    if (lost) {
      if (this.wasLive) this.setState('reconnecting');
      return this.handshake();
    }
    if (message.successful === false) return this.fail();
    const pause = message.advice?.interval ?? 0;
    const { clientId } = this;
    setTimeout(() => {
      if (this.clientId && this.clientId === clientId) this.connect();
    }, pause);
  }

  private deliver(message: BayeuxMessage): void {
    const payloads = Array.isArray(message.data) ? message.data : [message.data];
    const base = message.channel.slice(0, message.channel.lastIndexOf('/'));
    for (const payload of payloads as { realtimeAction?: RealtimeAction; data?: unknown }[]) {
      if (!payload?.realtimeAction) continue;
      const channels = new Set([message.channel, `${base}/*`]);
      const source = (payload.data as { source?: { id?: string } } | undefined)?.source?.id;
      if (source && message.channel.endsWith('*')) channels.add(`${base}/${source}`);
      for (const channel of channels) {
        this.handlers.get(channel)?.forEach((handler) => handler(payload.realtimeAction as RealtimeAction, payload.data));
      }
    }
  }
}

export const realtime = new Realtime();
