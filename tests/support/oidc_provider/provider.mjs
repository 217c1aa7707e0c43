// A real OpenID provider for tests: oidc-provider with a login page of one field. Whoever types an address is
// that person; "unverified-..." has an address that nobody has checked. Nothing is stored but in memory.
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const [port, clientId, redirectUri] = process.argv.slice(2);
const secret = process.env.CLIENT_SECRET;
const issuer = `http://127.0.0.1:${port}`; // another site than localhost, for cookies

const provider = new Provider(issuer, {
  clients: [{ client_id: clientId, client_secret: secret, redirect_uris: [redirectUri] }],
  claims: { email: ['email', 'email_verified'] },
  cookies: { keys: ['only for tests'] },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  pkce: { required: () => true },
  findAccount: (_ctx, sub) => ({
    accountId: sub,
    claims: () => ({ sub, email: sub.slice(4), email_verified: !sub.startsWith('sub-unverified-') }),
  }),
  // Who has logged in agrees to what is asked for.
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({
      clientId: ctx.oidc.client.clientId,
      accountId: ctx.oidc.session.accountId,
    });
    grant.addOIDCScope('openid email');
    await grant.save();
    return grant;
  },
});

const page = (action) => `<!doctype html><html lang="en"><title>The other house</title>
<h1>The other house</h1><form method="post" action="${action}">
<label>Address <input name="login" required></label>
<button name="do" value="login">Log in</button></form>
<form method="post" action="${action}"><button name="do" value="cancel">No thanks</button></form></html>`;

async function interact(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const typed = new URLSearchParams(Buffer.concat(chunks).toString());
  const result =
    typed.get('do') === 'login'
      ? { login: { accountId: `sub-${typed.get('login')}` } }
      : { error: 'access_denied', error_description: 'they said no' };
  await provider.interactionFinished(request, response, result);
}

const answer = provider.callback();
createServer((request, response) => {
  if (!request.url.startsWith('/interaction/')) return answer(request, response);
  if (request.method === 'POST') {
    return interact(request, response).catch((error) => response.writeHead(400).end(error.message));
  }
  return response.writeHead(200, { 'content-type': 'text/html' }).end(page(request.url));
}).listen(Number(port), '127.0.0.1');
