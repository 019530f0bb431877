// A fake Bayeux endpoint: WebSocket and long polling, just enough of the protocol.
import { randomUUID } from 'node:crypto';
import { WebSocketServer } from 'ws';

const sessions = new Map();
/** Set to refuse sockets, so that long polling is used. */
export const line = { socket: true };

export function publish(channel, id, realtimeAction, data) {
  const message = { channel: `/${channel}/${id}`, data: { realtimeAction, data } };
  for (const session of sessions.values()) {
    if (session.channels.has(message.channel) || session.channels.has(`/${channel}/*`)) session.push(message);
  }
}

function answer(message, session) {
  const base = { id: message.id, channel: message.channel, successful: true };
  if (message.channel === '/meta/subscribe') session.channels.add(message.subscription);
  if (message.channel === '/meta/unsubscribe') session.channels.delete(message.subscription);
  if (message.channel === '/meta/connect') return { ...base, advice: { interval: 0, timeout: 30000, reconnect: 'retry' } };
  return { ...base, clientId: session.id, subscription: message.subscription };
}

function handshake(message, push) {
  const session = { id: randomUUID(), channels: new Set(), push, queue: [] };
  sessions.set(session.id, session);
  return {
    session,
    reply: {
      id: message.id,
      channel: message.channel,
      clientId: session.id,
      successful: true,
      version: '1.0',
      supportedConnectionTypes: ['websocket', 'long-polling'],
    },
  };
}

export function attach(server) {
  const sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, head) => {
    if (!line.socket || !request.url.startsWith('/notification/realtime')) return socket.destroy();
    return sockets.handleUpgrade(request, socket, head, (ws) => {
      let mine;
      const push = (...messages) => ws.readyState === 1 && ws.send(JSON.stringify(messages));
      ws.on('close', () => mine && sessions.delete(mine.id));
      ws.on('message', (text) => {
        for (const message of JSON.parse(String(text))) {
          if (message.channel === '/meta/handshake') {
            const { session, reply } = handshake(message, push);
            mine = session;
            push(reply);
          } else if (!sessions.has(message.clientId))
            push({
              id: message.id,
              channel: message.channel,
              successful: false,
              error: '402::Unknown client',
              advice: { reconnect: 'handshake', interval: 0 },
            });
          else if (message.channel === '/meta/connect') setTimeout(() => push(answer(message, mine)), 25_000);
          else push(answer(message, sessions.get(message.clientId)));
        }
      });
    });
  });
  return { drop: () => sockets.clients.forEach((ws) => ws.terminate()) };
}

/** Long polling: answers at once unless the batch is a connect with nothing to tell. */
export function poll(messages, respond) {
  const replies = [];
  let waiting;
  for (const message of messages) {
    if (message.channel === '/meta/handshake') {
      const { session, reply } = handshake(message, undefined);
      session.push = (one) => {
        session.queue.push(one);
        session.wake?.();
      };
      replies.push(reply);
      continue;
    }
    const session = sessions.get(message.clientId);
    if (!session)
      replies.push({
        id: message.id,
        channel: message.channel,
        successful: false,
        error: '402::Unknown client',
        advice: { reconnect: 'handshake' },
      });
    else {
      replies.push(answer(message, session));
      if (message.channel === '/meta/connect') waiting = session;
    }
  }
  let finished = false;
  const finish = () => {
    if (finished) return;
    finished = true;
    if (waiting) waiting.wake = undefined;
    respond([...(waiting?.queue.splice(0) ?? []), ...replies]);
  };
  if (!waiting || waiting.queue.length) return finish();
  const timer = setTimeout(finish, 25_000);
  waiting.wake = () => {
    clearTimeout(timer);
    setTimeout(finish, 20);
  };
  return undefined;
}
