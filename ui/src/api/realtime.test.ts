import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Realtime, type BayeuxMessage } from './realtime';

class FakeSocket {
  static all: FakeSocket[] = [];
  static OPEN = 1;
  readyState = 1;
  sent: (BayeuxMessage & { ext?: object })[] = [];
  onopen?: () => void;
  onmessage?: (event: { data: string }) => void;
  onclose?: () => void;
  constructor() {
    FakeSocket.all.push(this);
  }
  send(text: string) {
    this.sent.push(...(JSON.parse(text) as BayeuxMessage[]));
  }
  close() {}
  tell(...messages: Partial<BayeuxMessage>[]) {
    this.onmessage?.({ data: JSON.stringify(messages) });
  }
}

let line: Realtime;
const shake = (socket: FakeSocket, clientId = 'c1') => {
  socket.onopen?.();
  socket.tell({ channel: '/meta/handshake', successful: true, clientId });
};

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
  vi.stubGlobal('WebSocket', FakeSocket);
  line = new Realtime();
});
afterEach(() => {
  line.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test('handshakes, subscribes and connects', () => {
  line.on('/alarms/*', () => {});
  line.start();
  const [socket] = FakeSocket.all;
  shake(socket);
  expect(socket.sent.map((one) => one.channel)).toEqual(['/meta/handshake', '/meta/subscribe', '/meta/connect']);
  expect(socket.sent[0].ext).toHaveProperty(['com.cumulocity.authn']);
  expect(line.state).toBe('live');
});

test('delivers to exact and wildcard channels, until unsubscribed', () => {
  const exact = vi.fn();
  const any = vi.fn();
  const stop = line.on('/alarms/7', exact);
  line.on('/alarms/*', any);
  line.start();
  shake(FakeSocket.all[0]);
  const message = { channel: '/alarms/7', data: { realtimeAction: 'CREATE', data: { id: '1' } } };
  FakeSocket.all[0].tell(message);
  stop();
  FakeSocket.all[0].tell(message);
  expect(exact).toHaveBeenCalledTimes(1);
  expect(any).toHaveBeenCalledTimes(2);
});

test('an unknown client shakes hands again', () => {
  line.start();
  const [socket] = FakeSocket.all;
  shake(socket);
  socket.tell({
    channel: '/meta/connect',
    successful: false,
    error: '402::Unknown client',
    advice: { reconnect: 'handshake', interval: 0 },
  });
  expect(line.state).toBe('reconnecting');
  expect(socket.sent.at(-1)?.channel).toBe('/meta/handshake');
});

test('a lost line comes back and tells so once', () => {
  const back = vi.fn();
  line.onReconnect(back);
  line.start();
  shake(FakeSocket.all[0]);
  FakeSocket.all[0].onclose?.();
  expect(line.state).toBe('reconnecting');
  vi.advanceTimersByTime(2000);
  expect(FakeSocket.all).toHaveLength(2);
  shake(FakeSocket.all[1], 'c2');
  expect(line.state).toBe('live');
  expect(back).toHaveBeenCalledTimes(1);
});

test('falls back to long polling when sockets never open', async () => {
  const answer = [{ channel: '/meta/handshake', successful: true, clientId: 'p1' }];
  const fetched = vi
    .fn()
    .mockResolvedValueOnce({ ok: true, status: 200, json: async () => answer })
    .mockReturnValue(new Promise(() => {}));
  vi.stubGlobal('fetch', fetched);
  line.start();
  FakeSocket.all[0].onclose?.();
  vi.advanceTimersByTime(2000);
  FakeSocket.all[1].onclose?.();
  await vi.advanceTimersByTimeAsync(4000);
  expect(fetched).toHaveBeenCalled();
  expect(line.state).toBe('live');
});
