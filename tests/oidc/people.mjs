// A real OpenID Provider (npm's oidc-provider) that people sign in at with a browser, for the tests of the web interface. In the
// process of the test: loopback only, keys and the client's secret made at the start, nothing kept. It takes anybody whom it
// knows, by name; what is real is the protocol. It stands at `localhost`, and the gateway at 127.0.0.1: to a browser that is
// another site.
import { randomBytes } from 'node:crypto';
import http from 'node:http';

import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

const SCOPES = { openid: ['sub'], profile: ['name'], groups: ['groups'] };
const FORM_BYTES_MAX = 4096;

/** `people`: {login: {name, groups}}. The client may come back to what `register` names. */
export async function people(known, clientId = 'keyward') {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const keys = [{ ...(await exportJWK(privateKey)), alg: 'RS256', use: 'sig', kid: 'one' }];
  const clientSecret = randomBytes(24).toString('hex');
  const cookieKeys = [randomBytes(16).toString('hex')];
  let issuer;
  let provider;
  /** How long ago somebody signed in who signs in now, in seconds. */
  let age = 0;

  function register(redirectUri) {
    provider = new Provider(issuer, {
      clients: [{ client_id: clientId, client_secret: clientSecret, redirect_uris: [redirectUri], require_auth_time: true }],
      jwks: { keys },
      cookies: { keys: cookieKeys },
      claims: SCOPES,
      conformIdTokenClaims: false,
      pkce: { required: () => true },
      features: { devInteractions: { enabled: false } },
      findAccount: (_context, accountId) => ({ accountId, claims: () => ({ sub: accountId, ...known[accountId] }) }),
      loadExistingGrant: async ({ oidc }) => {
        const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
        grant.addOIDCScope(Object.keys(SCOPES).join(' '));
        await grant.save();
        return grant;
      },
      interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    });
    provider.on('server_error', (_context, error) => console.error(error));
  }

  async function interact(request, response) {
    const { uid } = await provider.interactionDetails(request, response);
    if (request.method !== 'POST') {
      response.setHeader('content-type', 'text/html; charset=utf-8');
      return response.end(page(uid));
    }
    const form = new URLSearchParams(await read(request));
    const login = form.get('login') ?? '';
    if (form.has('cancel')) {
      return provider.interactionFinished(request, response, { error: 'access_denied', error_description: 'The person went away' });
    }
    if (!Object.hasOwn(known, login)) return response.end(page(uid, 'Nobody is called so.'));
    return provider.interactionFinished(request, response, { login: { accountId: login, ts: Math.floor(Date.now() / 1000) - age } });
  }

  const server = http.createServer(async (request, response) => {
    try {
      if (request.url.startsWith('/interaction/')) return await interact(request, response);
      return await provider.callback()(request, response);
    } catch (error) {
      console.error(error);
      if (!response.headersSent) response.writeHead(500).end();
      return undefined;
    }
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  issuer = `http://localhost:${server.address().port}`;
  register(`${issuer}/nowhere`);
  return {
    issuer,
    clientId,
    clientSecret,
    register,
    /** Whoever signs in from now on did so that long ago. */
    dated: (seconds) => {
      age = seconds;
    },
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

function page(uid, trouble = '') {
  return `<!doctype html><html lang="en"><title>The provider</title><h1>Who are you?</h1><p>${trouble}</p>
<form method="post" action="/interaction/${uid}"><label>User name <input name="login" autofocus></label>
<button>Sign in</button> <button name="cancel" value="yes">Cancel</button></form></html>`;
}

async function read(request) {
  let text = '';
  for await (const chunk of request) {
    text += chunk;
    if (text.length > FORM_BYTES_MAX) throw new Error('the form is too long');
  }
  return text;
}
