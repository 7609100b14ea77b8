// A real OpenID Provider (npm's oidc-provider, OpenID certified) for Keyward's tests: loopback only, keys and client
// secrets made at the start, nothing kept.
//
// usage: node server.mjs
//
// Prints one JSON line once it listens: {"issuer", "audience", "clients": {id: secret}}. Ends when its stdin ends, so that
// it cannot outlive the test that started it. What a token is signed with follows from the resource it is asked for:
// urn:keyward:rs256 or urn:keyward:es256, both with the audience urn:keyward.
//
// Its only person is alice, whom it signs in without asking: the public client keyward-cli (PKCE, device codes, refresh
// tokens) is for command lines.
//
// POST /control/rotate      new signing keys in front, the old ones stay published  -> {"kids": [...]}
// POST /control/drop-old    only the newest pair of keys stays                      -> {"kids": [...]}
import { randomBytes } from 'node:crypto';
import http from 'node:http';

import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

const AUDIENCE = 'urn:keyward';
const ALGORITHMS = { 'urn:keyward:rs256': 'RS256', 'urn:keyward:es256': 'ES256' };
const GROUPS = { 'svc-ci': ['ci-pipelines'], 'svc-agent': ['agents', 'gateway-users'] };
const PEOPLE = { alice: ['eng'] };
const CLI = {
  client_id: 'keyward-cli',
  token_endpoint_auth_method: 'none',
  application_type: 'native',
  grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
  response_types: ['code'],
  redirect_uris: ['http://127.0.0.1/callback'],
};
const TOKEN_SECONDS = 300;

const secrets = Object.fromEntries(Object.keys(GROUPS).map((id) => [id, randomBytes(24).toString('hex')]));
const cookieKeys = [randomBytes(16).toString('hex')];

async function signingKeys() {
  return Promise.all(
    Object.values(ALGORITHMS).map(async (alg) => {
      const { privateKey } = await generateKeyPair(alg, { extractable: true });
      const kid = `${alg.toLowerCase()}-${randomBytes(4).toString('hex')}`;
      return { ...(await exportJWK(privateKey)), alg, use: 'sig', kid };
    }),
  );
}

function provider(issuer, keys) {
  const client = (id) => ({
    client_id: id,
    client_secret: secrets[id],
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
  });
  const built = new Provider(issuer, {
    clients: [...Object.keys(GROUPS).map(client), CLI],
    jwks: { keys },
    cookies: { keys: cookieKeys },
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256'] },
    ttl: { ClientCredentials: TOKEN_SECONDS },
    findAccount: (_context, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    loadExistingGrant: async ({ oidc }) => {
      const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
      grant.addOIDCScope('openid offline_access');
      Object.keys(ALGORITHMS).forEach((resource) => grant.addResourceScope(resource, 'infer'));
      await grant.save();
      return grant;
    },
    features: {
      devInteractions: { enabled: false },
      deviceFlow: { enabled: true },
      revocation: { enabled: true },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, resource) => ({
          scope: 'infer',
          audience: AUDIENCE,
          accessTokenFormat: 'jwt',
          accessTokenTTL: TOKEN_SECONDS,
          jwt: { sign: { alg: ALGORITHMS[resource] } },
        }),
      },
    },
    extraTokenClaims: (_context, token) => ({ groups: PEOPLE[token.accountId] ?? GROUPS[token.clientId] ?? [] }),
  });
  built.on('server_error', (_context, error) => console.error(error));
  return built;
}

// Whoever is asked who they are is alice, and consents.
async function interact(request, response) {
  const { prompt } = await current.interactionDetails(request, response);
  const result = prompt.name === 'login' ? { login: { accountId: 'alice' } } : { consent: {} };
  return current.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
}

function answer(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

let keys = await signingKeys();
let issuer;
let current;
let handle;

function publish(changed) {
  keys = changed;
  current = provider(issuer, keys);
  handle = current.callback();
}

const server = http.createServer(async (request, response) => {
  try {
    if (request.url.startsWith('/interaction/')) return await interact(request, response);
    if (request.method !== 'POST' || !request.url.startsWith('/control/')) {
      return await handle(request, response);
    }
    switch (request.url) {
      case '/control/rotate':
        publish([...(await signingKeys()), ...keys]);
        break;
      case '/control/drop-old':
        publish(keys.slice(0, Object.keys(ALGORITHMS).length));
        break;
      default:
        return answer(response, 404, { error: 'no such control' });
    }
    return answer(response, 200, { kids: keys.map((key) => key.kid) });
  } catch (error) {
    console.error(error);
    if (!response.headersSent) answer(response, 500, { error: 'see stderr' });
    return undefined;
  }
});

server.listen(0, '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  publish(keys);
  console.log(JSON.stringify({ issuer, audience: AUDIENCE, clients: secrets }));
});
process.stdin.on('end', () => process.exit(0)).resume();
