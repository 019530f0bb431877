// A real OpenID Connect provider for the tests of single sign-on: oidc-provider, with the accounts that the test gives it. It prints the port on
// which it listens, and takes changes of accounts as lines of JSON.
import { generateKeyPairSync } from 'node:crypto';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';

const issuer = process.env.ISSUER, redirect = process.env.REDIRECT;
let accounts = JSON.parse(process.env.ACCOUNTS);

const key = (type, options, kid) => ({ ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), kid, use: 'sig' });
const client = (id, alg) => ({ client_id: id, client_secret: `secret of ${id}`, redirect_uris: [redirect], id_token_signed_response_alg: alg, response_types: ['code'], grant_types: ['authorization_code'] });

const provider = new Provider(issuer, {
  clients: [client('rs', 'RS256'), client('es', 'ES256'), client('ps', 'PS256'), client('ed', 'EdDSA'),
    { ...client('post', 'RS256'), token_endpoint_auth_method: 'client_secret_post' }],
  jwks: { keys: [key('rsa', { modulusLength: 2048 }, 'rsa'), key('ec', { namedCurve: 'P-256' }, 'ec'), key('ed25519', {}, 'ed')] },
  claims: { openid: ['sub'], profile: ['preferred_username', 'given_name', 'family_name', 'groups', 'office', 'level'], email: ['email', 'email_verified'] },
  conformIdTokenClaims: process.env.LEAN === 'true', // true: only UserInfo tells more than who it is
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'PS256', 'EdDSA'] },
  pkce: { required: () => true },
  findAccount: (_, id) => accounts[id] && { accountId: id, claims: () => ({ sub: id, ...accounts[id] }) },
  cookies: { keys: ['only for tests'] },
});
provider.proxy = true;
createInterface({ input: process.stdin }).on('line', line => { accounts = JSON.parse(line); console.log('changed'); }).on('close', () => process.exit(0));
const server = provider.listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`));
