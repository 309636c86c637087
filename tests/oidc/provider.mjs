// A genuine provider. It listens on a free port, says where, and takes as signed in whoever POST /be names: {"sub", "name", "groups"}.
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const [redirect, secret] = process.argv.slice(2);
let person = { sub: 'nobody', name: 'Nobody', groups: [] };
const server = createServer((request, response) => handle(request, response));
let handle = (_, response) => response.writeHead(503).end();

server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: 'drydock', client_secret: secret, redirect_uris: redirect.split(',') }],
    claims: { openid: ['sub'], profile: ['name', 'groups'], email: ['email'] },
    conformIdTokenClaims: process.env.ONLY_USERINFO === '1',
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ ...person, sub }) }),
    // Who signs in agrees to what is asked.
    loadExistingGrant: async (context) => {
      const grant = new context.oidc.provider.Grant({
        clientId: context.oidc.client.clientId,
        accountId: context.oidc.session.accountId,
      });
      grant.addOIDCScope('openid profile email');
      await grant.save();
      return grant;
    },
    cookies: { keys: ['test'] },
    jwks: undefined,
  });
  const callback = provider.callback();
  handle = (request, response) => {
    if (request.method === 'POST' && request.url === '/be') {
      let text = '';
      request.on('data', (chunk) => { text += chunk; });
      request.on('end', () => { person = JSON.parse(text); response.writeHead(204).end(); });
    } else if (request.url.startsWith('/interaction/')) {
      const result = person.refuses
        ? { error: 'access_denied', error_description: 'they said no' }
        : { login: { accountId: person.sub, remember: false } };
      provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
        .catch((error) => response.writeHead(500).end(String(error)));
    } else {
      callback(request, response);
    }
  };
  console.log(issuer);
});
